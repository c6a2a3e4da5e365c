"""TracIn: the influence of a training example is how far its steps of gradient descent changed another one's loss."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.errors import UnknownName
from xai_nlp.hooks.lent_weights import lent_weights
from xai_nlp.influence.batches import Loss, LossFunction, loader_of, training_loader
from xai_nlp.influence.checkpoints import Checkpoints, _load_flexible_state_dict, find_checkpoints
from xai_nlp.influence.data_influence import DataInfluence, KMostInfluentialResults, given, most_influential, progress
from xai_nlp.influence.example_gradients import GradientFunction
from xai_nlp.influence.gradient_terms import ExampleGradients

LoadFunction = Callable[[nn.Module, Any], float]


class TracInCPBase(DataInfluence):
    """What the classes of TracIn share: checkpoints, losses, and sums over both. The arguments are `TracInCP`'s.

    The influence of example z on x is Σ_c η_c ∇ℓ(w_c, z) · ∇ℓ(w_c, x) over checkpoints c with learning rates η_c.
    Each checkpoint is loaded once in a call, into copies of the model's weights.

    Source: Pruthi et al. 2020, sec. 3.3 (arXiv:2002.08484).
    """

    reduced_loss = True  # does the loss give one number for a batch?
    loss: Loss
    test_loss: Loss
    gradients: GradientFunction

    def __init__(
        self,
        model: nn.Module,
        train_dataset: Dataset[Any] | DataLoader[Any],
        checkpoints: Checkpoints,
        checkpoints_load_func: LoadFunction = _load_flexible_state_dict,
        loss_fn: LossFunction | None = None,
        batch_size: int | None = 1,
        test_loss_fn: LossFunction | None = None,
    ) -> None:
        self.model = model
        self.checkpoints = checkpoints
        self.checkpoints_load_func = checkpoints_load_func
        self.loss_fn = loss_fn
        self.test_loss_fn = loss_fn if test_loss_fn is None else test_loss_fn
        self.batch_size = batch_size
        self.train_dataloader = training_loader(train_dataset, batch_size)

    @property
    def checkpoints(self) -> list[Any]:
        """The checkpoints, in their order."""
        return self._checkpoints

    @checkpoints.setter
    def checkpoints(self, checkpoints: Any) -> None:
        self._checkpoints = find_checkpoints(checkpoints)

    @abstractmethod
    def self_influence(self, inputs: Any = None, show_progress: bool = False) -> Tensor:
        """The influence of each example on itself: (N,)."""

    @abstractmethod
    def _get_k_most_influential(
        self, inputs: Any, k: int = 5, proponents: bool = True, show_progress: bool = False
    ) -> KMostInfluentialResults:
        """The k training examples of the highest or the lowest influence on each input."""

    @abstractmethod
    def _influence(self, inputs: Any, show_progress: bool = False) -> Tensor:
        """The influence of each training example on each input: (B, N)."""

    @abstractmethod
    def influence(  # type: ignore[override]
        self,
        inputs: Any,
        k: int | None = None,
        proponents: bool = True,
        unpack_inputs: bool = True,
        show_progress: bool = False,
    ) -> Tensor | KMostInfluentialResults:
        """Scores (B, N), or with k the most influential training examples."""

    def _check_losses(self, loss_fn: LossFunction | None, test_loss_fn: LossFunction | None, reduced: bool) -> None:
        self.loss = Loss.checked(loss_fn, "loss_fn", reduced=reduced)
        self.test_loss = (
            self.loss if test_loss_fn is None else Loss.checked(test_loss_fn, "test_loss_fn", reduced=reduced)
        )
        self.reduction_type, self.test_reduction_type = self.loss.reduction, self.test_loss.reduction

    def _at_checkpoints(self, work: Callable[[float], Tensor]) -> list[Tensor]:
        """What work gives for the learning rate of each checkpoint, while its weights are in the model."""
        results = []
        with lent_weights(self.model):
            for checkpoint in self.checkpoints:
                if checkpoint is None:
                    raise CaptumAssertion("None returned from `checkpoints`, cannot load.")
                results.append(work(float(self.checkpoints_load_func(self.model, checkpoint))))
        return results

    def _gradients_of(self, inputs: Any, loss: Loss, aggregate: bool = False) -> ExampleGradients:
        """The gradients of all inputs at the weights of now; with `aggregate` their sum."""
        parts: list[ExampleGradients] = []
        for batch in loader_of(inputs):
            part = self.gradients(batch, loss)
            parts.append(part.total() if aggregate else part.compacted())
        whole = ExampleGradients.concatenated(parts)
        return whole.total() if aggregate else whole

    def _sum_over_checkpoints(self, inputs: Any, show_progress: bool, aggregate: bool = False) -> Tensor:
        """The influence of each training example on each input, or on their sum: (B, N)."""
        inputs = loader_of(given(inputs))
        title = f"Using {self.get_name()} to compute influence for training batches"

        def scores(rate: float) -> Tensor:
            tests = self._gradients_of(inputs, self.test_loss, aggregate)
            batches = progress(loader_of(self.train_dataloader), show_progress, title)
            return torch.cat([tests.products(self.gradients(batch, self.loss)) for batch in batches], 1) * rate

        return torch.stack(self._at_checkpoints(scores)).sum(0)

    def _self_influence(self, inputs: Any, show_progress: bool) -> Tensor:
        """The influence of each example on itself: (N,)."""
        inputs = loader_of(self.train_dataloader if inputs is None else inputs)
        title = f"Using {self.get_name()} to compute self influence. Processing batch"

        def scores(rate: float) -> Tensor:
            batches = progress(inputs, show_progress, title)
            return torch.cat([self.gradients(batch, self.loss).squares() for batch in batches]) * rate

        return torch.stack(self._at_checkpoints(scores)).sum(0)


class TracInCP(TracInCPBase):
    """Influence through all parameters, or those of some layers, at checkpoints of the training.

    model: the model that was trained. Its weights, modes and flags are the same after each call.
    train_dataset: the training examples: a data set, or a loader of batches. A batch is a tuple of the model's
        arguments that ends with the labels, or a dict as HF collators make it.
    checkpoints: a folder, a Trainer's output folder, or a list of paths, state dicts or callables; see
        `xai_nlp.influence.checkpoints`.
    checkpoints_load_func: loads one into the model and returns its learning rate.
    layers: names of the layers whose parameters count; None for all that require gradients.
    loss_fn: function of the outputs (or their `logits`) and the labels. None: the loss that the model computes, for
        dicts with labels; else the output itself, summed.
    batch_size: examples of the data set in one pass.
    test_loss_fn: the loss of the inputs, if it is another one.
    sample_wise_grads_per_batch: does the loss function give one number for a batch? By default it gives one for each
        example (`reduction="none"`), or one for each token. Both are equally fast.

    Raises CaptumAssertion, UnknownName or InvalidInput for arguments that do not fit.
    Source: Pruthi et al. 2020, sec. 3.3 (arXiv:2002.08484).

    >>> net = nn.Linear(1, 1, bias=False)
    >>> loss = nn.MSELoss(reduction="none")
    >>> examples = torch.utils.data.TensorDataset(torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [0.0]]))
    >>> tracin = TracInCP(net, examples, [{"weight": torch.zeros(1, 1), "learning_rate": 0.5}], loss_fn=loss)
    >>> tracin.influence((torch.tensor([[1.0]]), torch.tensor([[2.0]]))) + 0  # gradients are -2, 0 and -4
    tensor([[4., 0.]])
    """

    def __init__(
        self,
        model: nn.Module,
        train_dataset: Dataset[Any] | DataLoader[Any],
        checkpoints: Checkpoints,
        checkpoints_load_func: LoadFunction = _load_flexible_state_dict,
        layers: list[str] | None = None,
        loss_fn: LossFunction | None = None,
        batch_size: int | None = 1,
        test_loss_fn: LossFunction | None = None,
        sample_wise_grads_per_batch: bool = False,
    ) -> None:
        super().__init__(model, train_dataset, checkpoints, checkpoints_load_func, loss_fn, batch_size, test_loss_fn)
        self.sample_wise_grads_per_batch = sample_wise_grads_per_batch
        self._check_losses(loss_fn, test_loss_fn, sample_wise_grads_per_batch)
        self.layer_modules = None if layers is None else modules_of(model, layers)
        self.gradients = GradientFunction(model, self.layer_modules)

    def influence(  # type: ignore[override]
        self,
        inputs: Any,
        k: int | None = None,
        proponents: bool = True,
        show_progress: bool = False,
        aggregate: bool = False,
    ) -> Tensor | KMostInfluentialResults:
        """The influence of each training example on each input: (B, N); with k the k highest, or lowest, of each.

        inputs: a batch, or a loader of batches. k: how many training examples. proponents: the highest; False for the
        lowest. aggregate: the influence on the sum of the inputs' losses: (1, N).
        Raises CaptumAssertion without inputs.
        """
        if k is None:
            return self._influence(inputs, show_progress, aggregate)
        return self._get_k_most_influential(inputs, k, proponents, show_progress, aggregate)

    def _influence(self, inputs: Any, show_progress: bool = False, aggregate: bool = False) -> Tensor:
        return self._sum_over_checkpoints(inputs, show_progress, aggregate)

    def _get_k_most_influential(
        self,
        inputs: Any,
        k: int = 5,
        proponents: bool = True,
        show_progress: bool = False,
        aggregate: bool = False,
    ) -> KMostInfluentialResults:
        return most_influential(self._sum_over_checkpoints(inputs, show_progress, aggregate), k, proponents)

    def self_influence(
        self, inputs: Any = None, show_progress: bool = False, outer_loop_by_checkpoints: bool = False
    ) -> Tensor:
        """The influence of each example on itself: (N,); high for wrong labels and odd examples.

        inputs: a batch or a loader; None for the training data. outer_loop_by_checkpoints: for Captum's sake; each
        checkpoint is loaded once in any case.
        """
        return self._self_influence(inputs, show_progress)

    def compute_intermediate_quantities(self, inputs: Any, aggregate: bool = False, *, test: bool = False) -> Tensor:
        """Vectors whose dot products are the influence: (B, parameters · checkpoints). Captum's give the rate twice.

        inputs: a batch or a loader. aggregate: their sum, (1, …). test: the vectors of inputs, by test_loss_fn.
        """
        loss = self.test_loss if test else self.loss
        inputs = given(inputs)

        def vectors(rate: float) -> Tensor:
            return self._gradients_of(inputs, loss, aggregate).matrix() * rate**0.5

        return torch.cat(self._at_checkpoints(vectors), 1)


def modules_of(model: nn.Module, layers: Sequence[str]) -> list[nn.Module]:
    """The modules of these names. Raises CaptumAssertion if it is no list of names, UnknownName for one unknown."""
    if not isinstance(layers, list) or not layers or not all(isinstance(layer, str) for layer in layers):
        raise CaptumAssertion(f"layers must be a list of names of layers, not empty; got {layers!r}.")
    return [module_of(model, layer) for layer in layers]


class UnknownLayer(UnknownName, AttributeError, ValueError):
    """A name that no module of the model has."""


def module_of(model: nn.Module, name: str) -> nn.Module:
    """The module of a name. Raises UnknownLayer."""
    known = dict(model.named_modules())
    if name not in known:
        raise UnknownLayer("layer", name, [one for one in known if one], "List them with model.named_modules().")
    return known[name]
