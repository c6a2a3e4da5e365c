"""Rules for operations whose rows come in pairs: inputs, then their baselines.

A rule reads the tensors that a node of the graph keeps, and replaces the gradients that the node hands on. Operations
of one kind and shape are prepared together where they are small: a hundred small steps take longer than a few large
ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import Node

from xai_nlp.core.problem import Tensors
from xai_nlp.hooks.graph_rules import Gradients, replace_saved

MOST_ENTRIES = 2**20  # of nodes that are prepared together
TINY = 1e-30


def is_paired(tensor: Any) -> bool:
    """Has this tensor a row for each input and each baseline?"""
    return isinstance(tensor, Tensor) and tensor.ndim > 0 and tensor.shape[0] % 2 == 0


def for_both(tensor: Tensor, dim: int = 0) -> Tensor:
    """The same values for inputs and baselines: (R/2, …) -> (R, …)."""
    return torch.cat((tensor, tensor), dim)


def is_change(difference: Tensor, epsilon: float) -> Tensor:
    """Where a difference is large enough to divide by, and not ∞ − ∞."""
    return difference.abs() >= _least_change(difference, epsilon)


def all_change(difference: Tensor, epsilon: float) -> bool:
    """Is every entry of a difference such a change?"""
    return not difference.numel() or bool(difference.abs().min() >= _least_change(difference, epsilon))


def _least_change(difference: Tensor, epsilon: float) -> float:
    return max(epsilon, torch.finfo(difference.dtype).tiny)


def log_mean(weights: Tensor, logs: Tensor, dim: int = 0) -> Tensor:
    """The logarithmic mean (a − b)/(ln a − ln b) of each pair of weights, given their logarithms too. 0 for two zeros.

    dim: the first half along it belongs to the inputs.
    """
    (a, b), (log_a, log_b) = weights.chunk(2, dim), logs.chunk(2, dim)
    distance = (log_a - log_b).abs().clamp_(min=TINY).neg_()
    return (torch.maximum(a, b) * (torch.expm1(distance) / distance)).nan_to_num_(0)  # no number where both are masked


def mean_of(pairs: Tensor) -> Tensor:
    """The mean of input and baseline: (N, R, …) -> (N, R/2, …)."""
    x, x0 = pairs.chunk(2, 1)
    return torch.lerp(x, x0, 0.5)


class Kept(NamedTuple):
    """What a rule needs of an operation."""

    tensors: Tensors  # (R, …) each
    key: tuple[Any, ...]  # operations with one key are prepared together: the shapes of their tensors, and options
    constants: tuple[Any, ...] = ()  # of this operation alone


class PairedRule(ABC):
    """A rule for operations of one kind. Tensors of N of them are (N, R, …): the rows of inputs, then of baselines."""

    @abstractmethod
    def prepare(self, first: Kept, *tensors: Tensor) -> Tensors:
        """Means and ratios of N operations from their tensors, (N, R, …) each; `first` is the first of them."""

    def entries(self, tensors: Tensors) -> int:
        """How many numbers are prepared for an operation."""
        return tensors[0].numel()

    def prepare_together(self, members: Sequence[Kept]) -> list[Tensors]:
        """What is prepared for each of several operations."""
        tensors = map(torch.stack, zip(*[kept.tensors for kept in members], strict=True))
        return list(zip(*[t.unbind() for t in self.prepare(members[0], *tensors)], strict=True))

    def prepare_alone(self, kept: Kept) -> Tensors:
        """What is prepared for one operation."""
        return tuple([t[0] for t in self.prepare(kept, *(t[None] for t in kept.tensors))])


class PairedNodeRule(PairedRule):
    """A rule for nodes of one kind."""

    @abstractmethod
    def read(self, node: Any) -> Kept | None:
        """What the rule needs of a node; None if the node goes by its slope."""

    @abstractmethod
    def attach(self, node: Any, kept: Kept, prepared: Callable[[], Tensors]) -> None:
        """Changes the gradients of a node. What is attached holds no graph: it belongs to its nodes, and would never
        go.
        """

    def __call__(self, nodes: Sequence[Node]) -> None:
        groups: dict[Any, list[tuple[Node, Kept]]] = defaultdict(list)
        for node in nodes:
            if (kept := self.read(node)) is not None:
                groups[kept.key].append((node, kept))
        for group in groups.values():
            size = MOST_ENTRIES // max(1, self.entries(group[0][1].tensors))
            if size < 2:
                self._attach_large(group)
                continue
            for start in range(0, len(group), size):
                self._attach_together(group[start : start + size])

    def _attach_together(self, nodes: list[tuple[Node, Kept]]) -> None:
        with torch.no_grad():
            prepared = self.prepare_together([kept for _, kept in nodes])
        for (node, kept), own in zip(nodes, prepared, strict=True):
            self.attach(node, kept, _giving(own))

    def _attach_large(self, nodes: list[tuple[Node, Kept]]) -> None:
        """Large nodes are prepared when the gradient comes to them, and nothing is kept."""
        for node, kept in nodes:
            kept = kept._replace(tensors=tuple(t.detach() for t in kept.tensors))
            self.attach(node, kept, partial(self.prepare_alone, kept))


def _giving(tensors: Tensors) -> Callable[[], Tensors]:
    return lambda: tensors


class MultiplierRule(PairedNodeRule):
    """A rule that computes a node's gradients itself."""

    @abstractmethod
    def multipliers(self, gradient: Tensor, to_inputs: Gradients, constants: tuple[Any, ...], *prepared: Any) -> Any:
        """The gradient of each input of an operation, (R, …).

        gradient: of its output, (R, …). to_inputs: gradients of its inputs by the slope.
        """

    def attach(self, node: Any, kept: Kept, prepared: Callable[[], Tensors]) -> None:
        node.register_hook(partial(self._hook, kept.constants, prepared))

    def _hook(
        self,
        constants: tuple[Any, ...],
        prepared: Callable[[], Tensors],
        to_inputs: Gradients,
        to_outputs: Gradients,
    ) -> Gradients | None:
        if to_outputs[0] is None:
            return None
        new = self.multipliers(to_outputs[0], to_inputs, constants, *prepared())
        return tuple([None if old is None else one for old, one in zip(to_inputs, new, strict=True)])


class MeansRule(PairedNodeRule):
    """A rule by which a node computes its own gradient, at other tensors than those of its pass: at their means.

    saved: the names of the tensors that the node saved. One tensor is prepared for each.
    """

    saved: tuple[str, ...]

    def attach(self, node: Any, kept: Kept, prepared: Callable[[], Tensors]) -> None:
        means = _Means(self.saved, prepared)
        for name in self.saved:
            replace_saved(node, name, partial(means.give, name))


class _Means(dict[str, Tensor]):
    """Tensors by the names of those they stand in for. They are made when the first is asked for, and given once."""

    def __init__(self, names: tuple[str, ...], make: Callable[[], Tensors]) -> None:
        super().__init__()
        self.names, self.make = names, make

    def give(self, name: str) -> Tensor:
        if name not in self:
            self.update(zip(self.names, self.make(), strict=True))
        return self.pop(name)
