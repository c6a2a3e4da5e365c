"""Linear models that are fitted to data, under the names of `captum._utils.models`: surrogates for LIME, classifiers.

`captum._utils.models.linear_model` becomes `xai_nlp.attr.linear_model`, and so does `captum._utils.models`.
"""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from xai_nlp.core.captum_types import CaptumAssertion, UnknownChoice
from xai_nlp.errors import InvalidInput

Batch = tuple[Tensor, Tensor, Tensor | None]  # features (N, M), values (N,) or (N, K), weights (N,)

INITS: dict[str, Callable[[Tensor], Tensor]] = {"xavier": nn.init.xavier_uniform_, "zeros": nn.init.zeros_}


class UnknownNorm(UnknownChoice, ValueError):
    """A normalisation that a linear model does not know."""


class Model(ABC):
    """What can be fitted to data and tells what it learned: the interpretable model of `Lime` and `LimeBase`."""

    @abstractmethod
    def fit(self, train_data: DataLoader[Any], **kwargs: Any) -> dict[str, Any] | None:
        """Fit the model to batches (features, values) or (features, values, weights)."""

    @abstractmethod
    def representation(self) -> Tensor:
        """What was learned, as a rule a coefficient for each feature."""

    @abstractmethod
    def __call__(self, x: Any) -> Any:
        """The model's predictions."""


class LinearModel(nn.Module, Model):
    """A linear model that a function trains.

    train_fn: trains the model: called with it and the keywords `dataloader`, `construct_kwargs` and those of `fit`.
    kwargs: options of the training function, handed on as `construct_kwargs`.
    """

    SUPPORTED_NORMS: ClassVar[list[str | None]] = [None, "batch_norm", "layer_norm"]

    def __init__(self, train_fn: Callable[..., Any], **kwargs: Any) -> None:
        super().__init__()
        self.norm: nn.Module | None = None
        self.linear: nn.Linear | None = None
        self.train_fn = train_fn
        self.construct_kwargs = kwargs

    def _construct_model_params(
        self,
        in_features: int | None = None,
        out_features: int | None = None,
        norm_type: str | None = None,
        affine_norm: bool = False,
        bias: bool = True,
        weight_values: Tensor | None = None,
        bias_value: Tensor | None = None,
        classes: Tensor | None = None,
    ) -> None:
        """Make the layers, with these weights (K, M) and biases (K,) if they are given."""
        if norm_type not in self.SUPPORTED_NORMS:
            raise UnknownNorm("norm_type", norm_type, self.SUPPORTED_NORMS)
        if weight_values is not None:
            weight_values = weight_values.reshape(-1, weight_values.shape[-1])
            out_features, in_features = weight_values.shape
        if in_features is None or out_features is None:
            raise InvalidInput("give in_features and out_features, or weight_values.")
        if bias_value is not None and not bias:
            raise InvalidInput("bias_value is given and bias is False; leave one of them out.")
        if norm_type == "batch_norm":
            self.norm = nn.BatchNorm1d(in_features, eps=1e-8, affine=affine_norm)
        elif norm_type == "layer_norm":
            self.norm = nn.LayerNorm(in_features, eps=1e-8, elementwise_affine=affine_norm)
        else:
            self.norm = None
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        if weight_values is not None:
            self.linear.weight.data = weight_values
        if bias_value is not None:
            self.linear.bias.data = bias_value
        self.linear.classes = classes  # type: ignore[assignment]

    def fit(self, train_data: DataLoader[Any], **kwargs: Any) -> dict[str, Any] | None:
        """Train the model; returns what the training function reports. kwargs: its further options."""
        return self.train_fn(self, dataloader=train_data, construct_kwargs=self.construct_kwargs, **kwargs)

    def forward(self, x: Tensor) -> Tensor:
        """The predictions (N, K) for features (N, M)."""
        return self._fitted(x if self.norm is None else self.norm(x))

    def representation(self) -> Tensor:
        """The coefficients: (K, M)."""
        return self._fitted.weight.detach()

    def bias(self) -> Tensor | None:
        """The intercepts (K,); None before `fit`, or where there are none."""
        return None if self.linear is None or self.linear.bias is None else self.linear.bias.detach()

    def classes(self) -> Tensor | None:
        """The labels of a classifier, in the order of its outputs; None for any other model."""
        known = None if self.linear is None else self.linear.classes
        return known.detach() if isinstance(known, Tensor) else None

    @property
    def _fitted(self) -> nn.Linear:
        if self.linear is None:
            raise CaptumAssertion(f"{type(self).__name__} has not been fitted; call `fit` first.")
        return self.linear


# Gradient descent -----------------------------------------------------------------------------------------------------


def l2_loss(x1: Tensor, x2: Tensor, weights: Tensor | None = None) -> Tensor:
    """Half the mean squared difference; with weights, weighted by them."""
    squares = (x1 - x2) ** 2
    return (squares.mean() if weights is None else (weights / weights.norm(p=1) * squares).sum()) / 2


class _Plateau:
    """Says whether a loss has not fallen by `threshold` for so many updates."""

    def __init__(self, patience: int, threshold: float) -> None:
        self.patience, self.threshold = patience, threshold
        self.lowest: Tensor | None = None
        self.waited = 0

    def reached(self, loss: Tensor) -> bool:
        if self.lowest is not None:
            improved = loss <= self.lowest and not torch.isclose(self.lowest, loss, atol=self.threshold)
            self.waited = 0 if improved else self.waited + 1
            if self.waited >= self.patience and not improved:
                return True
        if self.lowest is None or loss <= self.lowest:
            self.lowest = loss.clone()
        return False


def _batches(dataloader: Iterable[Any], device: str | None = None) -> Iterator[Batch]:
    """The batches of a loader: pairs, or triples with weights."""
    for batch in dataloader:
        if len(batch) not in (2, 3):
            raise CaptumAssertion(f"batches are (features, values) or (features, values, weights); got {len(batch)}.")
        x, y, *rest = (t if device is None else t.to(device) for t in batch)
        yield x, y, rest[0] if rest else None


def sgd_train_linear_model(
    model: LinearModel,
    dataloader: DataLoader[Any],
    construct_kwargs: dict[str, Any],
    max_epoch: int = 100,
    reduce_lr: bool = True,
    initial_lr: float = 0.01,
    alpha: float = 1.0,
    loss_fn: Callable[[Tensor, Tensor, Tensor | None], Tensor] = l2_loss,
    reg_term: int | None = 1,
    patience: int = 10,
    threshold: float = 1e-4,
    running_loss_window: int | None = None,
    device: str | None = None,
    init_scheme: str = "zeros",
    debug: bool = False,
) -> dict[str, float]:
    """Train a linear model by gradient descent, until the loss stays or `max_epoch` epochs are over.

    dataloader: batches (features, values) or (features, values, weights).
    construct_kwargs: options of the model's layers: norm_type, affine_norm, bias.
    reduce_lr: halve the learning rate, `initial_lr` at first, when the loss has not fallen for `patience` batches.
    alpha, reg_term: alpha times the norm of this order of the weights is added to the loss; None adds nothing.
    loss_fn: of values, predictions and weights.
    patience, threshold: training ends after so many batches in which the loss did not fall by the threshold.
    running_loss_window: how many batches losses are averaged over; None takes the number of examples.
    device: where the data goes; None leaves it.
    init_scheme: zeros or xavier. debug: print the loss of each batch.
    Returns the seconds, the last averaged loss, batches and epochs: train_time, train_loss, train_iter, train_epoch.
    Raises UnknownChoice for another init_scheme.
    """
    if init_scheme is not None and init_scheme not in INITS:
        raise UnknownChoice("init_scheme", init_scheme, INITS)
    plateau, begun = _Plateau(patience, threshold), 0.0
    losses: deque[Tensor] = deque()
    iterations = epoch = 0
    ended = False
    with torch.enable_grad():
        while epoch < max_epoch and not ended:
            for x, y, w in _batches(dataloader, device):
                if not iterations:
                    model._construct_model_params(x.shape[1], y.shape[1] if y.ndim == 2 else 1, **construct_kwargs)
                    losses = deque(maxlen=(running_loss_window or x.shape[0] * len(dataloader)) + 1)
                    optimizer, scheduler = _optimizer(model, init_scheme, initial_lr, reduce_lr, patience, threshold)
                    begun = time.time()
                iterations += 1
                loss = loss_fn(y.view(len(x), -1), model(x), None if w is None else w.view(len(x), -1))
                if reg_term is not None:
                    loss = loss + alpha * torch.linalg.vector_norm(model._fitted.weight, reg_term)
                losses.append(loss.detach().clone())
                average = torch.stack(tuple(losses)).mean()
                if ended := plateau.reached(average):
                    break
                if debug:
                    print(f"lr={optimizer.param_groups[0]['lr']}, loss={loss}, average={average}")
                loss.backward()
                optimizer.step()
                model.zero_grad()
                if scheduler is not None:
                    scheduler.step(float(average))
            epoch += not ended
    if not iterations:
        raise InvalidInput("there is nothing to fit: the loader has no batches.")
    return {
        "train_time": time.time() - begun,
        "train_loss": float(torch.stack(tuple(losses)).mean()),
        "train_iter": iterations,
        "train_epoch": epoch,
    }


def _optimizer(
    model: LinearModel, init_scheme: str | None, lr: float, reduce_lr: bool, patience: int, threshold: float
) -> tuple[torch.optim.SGD, torch.optim.lr_scheduler.ReduceLROnPlateau | None]:
    """The optimizer and scheduler of a model in training mode, its weights as the scheme says."""
    model.train()
    if init_scheme is not None:
        INITS[init_scheme](model._fitted.weight)
        if model._fitted.bias is not None:
            nn.init.zeros_(model._fitted.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    if not reduce_lr:
        return optimizer, None
    return optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=patience, threshold=threshold
    )


class SGDLinearModel(LinearModel):
    """A linear model trained by `sgd_train_linear_model`.

    kwargs: options of its layers: norm_type, affine_norm, bias.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(train_fn=sgd_train_linear_model, **kwargs)


class SGDLasso(SGDLinearModel):
    """Least squares with a penalty of alpha · ‖w‖₁; `fit` takes the options of `sgd_train_linear_model`."""

    def fit(self, train_data: DataLoader[Any], **kwargs: Any) -> dict[str, Any] | None:
        return super().fit(train_data, loss_fn=l2_loss, reg_term=1, **kwargs)


class SGDRidge(SGDLinearModel):
    """Least squares with a penalty of alpha · ‖w‖₂ (not squared); `fit` takes what `sgd_train_linear_model` does."""

    def fit(self, train_data: DataLoader[Any], **kwargs: Any) -> dict[str, Any] | None:
        return super().fit(train_data, loss_fn=l2_loss, reg_term=2, **kwargs)


class SGDLinearRegression(SGDLinearModel):
    """Least squares; `fit` takes the options of `sgd_train_linear_model`."""

    def fit(self, train_data: DataLoader[Any], **kwargs: Any) -> dict[str, Any] | None:
        return super().fit(train_data, loss_fn=l2_loss, reg_term=None, **kwargs)


# scikit-learn ---------------------------------------------------------------------------------------------------------


class NormLayer(nn.Module):
    """Features (N, M) less their mean, over their standard deviation: (M,) each."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Any, std: Any, n: int | None = None, eps: float = 1e-8) -> None:
        super().__init__()
        self.register_buffer("mean", torch.as_tensor(mean))
        self.register_buffer("std", torch.as_tensor(std))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / (self.std + self.eps)


def _joined(column: tuple[Any, ...]) -> Any:
    """The rows of a column of batches as an array; None for weights that are not there."""
    return None if column[0] is None else torch.cat(column).numpy()


def sklearn_train_linear_model(
    model: LinearModel,
    dataloader: DataLoader[Any],
    construct_kwargs: dict[str, Any],
    sklearn_trainer: str = "Lasso",
    norm_input: bool = False,
    **fit_kwargs: Any,
) -> dict[str, float]:
    """Fit a model of scikit-learn's to all batches, and hand its coefficients to a linear model.

    dataloader: batches (features, values) or (features, values, weights).
    construct_kwargs: options of scikit-learn's class. fit_kwargs: options of its `fit`.
    sklearn_trainer: the class, as a path in scikit-learn: "svm.LinearSVC"; a name alone is one of `linear_model`.
    norm_input: fit to features with mean 0 and standard deviation 1, and bring inputs there before predicting.
    Returns the seconds: train_time. Warns where there are weights that the class does not take.

    >>> data = [(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([1.0, 3.0, 5.0]))]
    >>> line = SkLearnLinearRegression()
    >>> sorted(line.fit(data))
    ['train_time']
    >>> line.representation(), line.bias()
    (tensor([[2.]]), tensor([1.]))
    """
    from sklearn.utils.validation import has_fit_parameter

    x, y, w = (_joined(column) for column in zip(*_batches(dataloader, "cpu"), strict=True))
    norm = None
    if norm_input:
        norm = NormLayer(x.mean(0), x.std(0))
        x = norm(torch.from_numpy(x)).numpy()
    begun = time.time()
    module, _, name = sklearn_trainer.rpartition(".")
    estimator = getattr(import_module(f"sklearn.{module or 'linear_model'}"), name)(**construct_kwargs)
    if has_fit_parameter(estimator, "sample_weight"):
        fit_kwargs = {"sample_weight": w, **fit_kwargs}
    elif w is not None:
        warnings.warn(f"{sklearn_trainer} takes no weights; it was fitted without them.", stacklevel=2)
    estimator.fit(x, y, **fit_kwargs)
    seconds = time.time() - begun
    device = getattr(model, "device", "cpu")
    classes = getattr(estimator, "classes_", None)
    model._construct_model_params(
        weight_values=torch.as_tensor(estimator.coef_, dtype=torch.float, device=device),
        bias_value=torch.as_tensor(estimator.intercept_, dtype=torch.float, device=device).reshape(-1),
        classes=None if classes is None else torch.as_tensor(classes, dtype=torch.int),
    )
    model.norm = norm
    return {"train_time": seconds}


class SkLearnLinearModel(LinearModel):
    """A linear model of scikit-learn's, as a module.

    sklearn_module: its class, as a path in scikit-learn: "linear_model.Lasso". kwargs: options of the class.
    """

    def __init__(self, sklearn_module: str, **kwargs: Any) -> None:
        super().__init__(train_fn=sklearn_train_linear_model, **kwargs)
        self.sklearn_module = sklearn_module

    def fit(self, train_data: DataLoader[Any], **kwargs: Any) -> dict[str, Any] | None:
        """Fit it; kwargs: norm_input, and options of scikit-learn's `fit`."""
        return super().fit(train_data, sklearn_trainer=self.sklearn_module, **kwargs)


class SkLearnLasso(SkLearnLinearModel):
    """`sklearn.linear_model.Lasso`, with its options."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(sklearn_module="linear_model.Lasso", **kwargs)


class SkLearnRidge(SkLearnLinearModel):
    """`sklearn.linear_model.Ridge`, with its options."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(sklearn_module="linear_model.Ridge", **kwargs)


class SkLearnLinearRegression(SkLearnLinearModel):
    """`sklearn.linear_model.LinearRegression`, with its options."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(sklearn_module="linear_model.LinearRegression", **kwargs)


class SkLearnLogisticRegression(SkLearnLinearModel):
    """`sklearn.linear_model.LogisticRegression`, with its options."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(sklearn_module="linear_model.LogisticRegression", **kwargs)


class SkLearnSGDClassifier(SkLearnLinearModel):
    """`sklearn.linear_model.SGDClassifier`, with its options."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(sklearn_module="linear_model.SGDClassifier", **kwargs)
