"""Classifiers that tell the examples of concepts apart; their weights are the concept activation vectors."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from xai_nlp.attr.linear_model import SkLearnSGDClassifier
from xai_nlp.core.captum_types import CaptumAssertion, UnknownChoice


class Classifier(ABC):
    """What `TCAV` trains on activations: a subclass says how, and gives out its weights."""

    @abstractmethod
    def __init__(self) -> None:
        """Make a classifier that is not trained."""

    @abstractmethod
    def train_and_eval(self, dataloader: DataLoader[Any], **kwargs: Any) -> dict[str, Any] | None:
        """Train on batches (vectors (N, F), concept ids (N,)); returns statistics, such as accuracies, or None."""

    @abstractmethod
    def weights(self) -> Tensor:
        """The direction of each class: (C, F)."""

    @abstractmethod
    def classes(self) -> list[int]:
        """The concept ids, in the order of the weights."""


class DefaultClassifier(Classifier):
    """scikit-learn's linear classifier with a hinge loss, trained by stochastic gradient descent.

    It keeps all examples in memory. Without a seed, it draws from the global generators of `random` and numpy, as
    Captum's does; after the same seeding both give the same weights.

    seed: makes results repeat.
    """

    def __init__(self, *, seed: int | None = None) -> None:
        self.seed = seed
        self.lm = SkLearnSGDClassifier(alpha=0.01, max_iter=1000, tol=1e-3, random_state=seed)

    def train_and_eval(
        self, dataloader: DataLoader[Any], test_split_ratio: float = 0.33, **kwargs: Any
    ) -> dict[str, Any] | None:
        """Train on a random part of the examples; returns accs, the share of the others that is classified rightly.

        dataloader: batches (vectors (N, F), concept ids (N,)).
        test_split_ratio: the share of the examples to test on, in [0, 1). accs is NaN if that is none.
        Raises CaptumAssertion for examples of fewer than two concepts, and for another ratio.
        """
        if not 0 <= test_split_ratio < 1:
            raise CaptumAssertion(f"test_split_ratio lies in [0, 1); got {test_split_ratio}.")
        x, labels = examples_of(dataloader)
        order = list(range(len(x)))
        (random if self.seed is None else random.Random(self.seed)).shuffle(order)
        held_out = int(test_split_ratio * len(order))
        train, test = order[held_out:], order[:held_out]
        left = labels[train].unique()
        if len(left) < max(2, len(labels.unique())):
            raise CaptumAssertion(
                f"{len(train)} of {len(x)} examples are left to train on, of the concepts {left.tolist()} alone; give "
                "more examples of each, or a smaller test_split_ratio."
            )
        self.lm.device = x.device  # type: ignore[assignment]
        self.lm.fit([(x[train], labels[train])])  # type: ignore[arg-type]
        with torch.no_grad():
            margins = x[test].to(self.weights()) @ self.weights().T + self._intercepts()
        return {"accs": (torch.as_tensor(self.classes()).to(labels)[margins.argmax(1)] == labels[test]).float().mean()}

    def weights(self) -> Tensor:
        """The direction of each class: (C, F). For two concepts, the first is the negative of the second.

        Raises CaptumAssertion before training.
        """
        return _both_sides(self.lm.representation())

    def classes(self) -> list[int]:
        """The concept ids, in the order of the weights. Raises CaptumAssertion before training."""
        known = self.lm.classes()
        if known is None:
            raise CaptumAssertion("the classifier has not been trained; call `train_and_eval` first.")
        return known.numpy()  # type: ignore[return-value]

    def _intercepts(self) -> Tensor:
        intercepts = self.lm.bias()
        assert intercepts is not None  # SGDClassifier fits one
        return _both_sides(intercepts)


class FastCAV(Classifier):
    """The mean of each concept's examples, less the mean of all: a direction without any search.

    Source: Schmalwasser et al. 2025, FastCAV (arXiv:2505.17883).

    >>> fast = FastCAV()
    >>> x = torch.tensor([[0.0, 1.0], [2.0, 1.0], [1.0, 5.0], [1.0, 5.0]])
    >>> fast.train_and_eval([(x, torch.tensor([3, 3, 8, 8]))])
    {'accs': tensor(1.)}
    >>> fast.weights(), fast.classes()
    (tensor([[ 0., -2.],
            [ 0.,  2.]]), [3, 8])
    """

    def __init__(self) -> None:
        self._weights: Tensor | None = None
        self._classes: list[int] = []

    def train_and_eval(self, dataloader: DataLoader[Any], **kwargs: Any) -> dict[str, Any] | None:
        """Take the means; returns accs, the share of examples that lie nearest to the mean of their own concept.

        An example is left out of the mean that it is compared with, so accs is that of unseen examples.
        Raises CaptumAssertion for examples of fewer than two concepts.
        """
        x, labels = examples_of(dataloader)
        classes, owner, counts = labels.unique(return_inverse=True, return_counts=True)
        if len(classes) < 2:
            raise CaptumAssertion("all examples are of one concept; two or more are told apart.")
        sums = torch.zeros(len(classes), x.shape[1], dtype=x.dtype, device=x.device).index_add_(0, owner, x)
        means = sums / counts[:, None]
        self._weights, self._classes = means - x.mean(0), classes.tolist()
        others = (counts[owner] - 1)[:, None]
        distances = torch.cdist(x, means)
        own_mean = (sums[owner] - x) / others.clamp(min=1)
        own = torch.where(others[:, 0] > 0, (x - own_mean).norm(dim=1), torch.inf)
        nearest_other = distances.scatter(1, owner[:, None], torch.inf).amin(1)
        return {"accs": (own < nearest_other).float().mean()}

    def weights(self) -> Tensor:
        """The direction of each class: (C, F). Raises CaptumAssertion before training."""
        if self._weights is None:
            raise CaptumAssertion("the classifier has not been trained; call `train_and_eval` first.")
        return self._weights

    def classes(self) -> list[int]:
        """The concept ids, in the order of the weights. Raises CaptumAssertion before training."""
        self.weights()
        return self._classes


CLASSIFIERS: dict[str, type[DefaultClassifier] | type[FastCAV]] = {"sgd": DefaultClassifier, "fastcav": FastCAV}


def classifier_of(choice: Classifier | str | None) -> Classifier:
    """A classifier, by name ("sgd", "fastcav") or as it is; None is the default one.

    Raises UnknownChoice for another name, CaptumAssertion for what has no `train_and_eval`, `weights` and `classes`.
    """
    if isinstance(choice, str):
        if choice not in CLASSIFIERS:
            raise UnknownChoice("classifier", choice, CLASSIFIERS)
        return CLASSIFIERS[choice]()
    if choice is None:
        return DefaultClassifier()
    if not all(callable(getattr(choice, name, None)) for name in ("train_and_eval", "weights", "classes")):
        raise CaptumAssertion(
            f"a classifier has train_and_eval, weights and classes (xai_nlp.concept.Classifier), or is one of "
            f"{', '.join(CLASSIFIERS)}; got {type(choice).__name__}."
        )
    return choice


def examples_of(dataloader: Iterable[Any]) -> tuple[Tensor, Tensor]:
    """All vectors (N, F) and concept ids (N,) of some batches. Raises CaptumAssertion if there are none."""
    batches = list(dataloader)
    if not batches:
        raise CaptumAssertion("there are no examples to train on.")
    x, labels = (torch.cat(column) for column in zip(*batches, strict=True))
    return x, labels


def _both_sides(rows: Tensor) -> Tensor:
    """Rows of each class, where a classifier of two classes has one row for both."""
    return torch.cat([-rows, rows]) if len(rows) == 1 else rows


def trained(classifier: Classifier, x: Tensor, labels: Tensor, **kwargs: Any) -> dict[str, Any]:
    """Train a classifier on vectors (N, F) and their labels (N,): its "weights", "classes" and what it reports.

    Raises CaptumAssertion if its weights or classes do not fit the examples.
    """
    loader: DataLoader[Any] = DataLoader([(x, labels)], batch_size=None, generator=torch.Generator())  # type: ignore[arg-type]
    reported = classifier.train_and_eval(loader, **kwargs) or {}
    weights, named = classifier.weights(), classifier.classes()
    if weights is None or len(weights) == 0 or named is None or len(named) == 0:
        raise CaptumAssertion(f"{type(classifier).__name__} gives no weights or no classes after training.")
    weights = torch.as_tensor(weights).detach().clone()
    classes = np.array(named.cpu() if isinstance(named, Tensor) else named)
    if set(classes.tolist()) != set(labels.tolist()) or weights.shape != (len(classes), x.shape[1]):
        raise CaptumAssertion(
            f"the classes must be the concept ids {sorted(set(labels.tolist()))}, and the weights one row of "
            f"{x.shape[1]} numbers for each; {type(classifier).__name__} gives {classes.tolist()} and weights of shape "
            f"{tuple(weights.shape)}."
        )
    return {"weights": weights, "classes": classes, **reported}
