"""Shapley values: the difference that each feature makes when it joins, averaged over the orders of joining."""

from dataclasses import dataclass
from math import comb
from typing import ClassVar

import torch
from torch import Tensor

from xai_nlp.core.coalitions import from_coalitions
from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method, Scores, method
from xai_nlp.errors import InvalidInput

MAX_FEATURES = 20  # of which all subsets are evaluated


def all_subsets(m: int) -> Tensor:
    """Every subset of m features, the empty one first: (2^m, m) bool."""
    return (torch.arange(2**m)[:, None] >> torch.arange(m)) % 2 == 1


def shapley_from_subsets(coalitions: Tensor, values: Tensor) -> Tensor:
    """Shapley values (g, T, m) from all features, none, and every subset: (2 + 2^m, m) bool and (g, 2 + 2^m, T).

    A subset counts for each of its members by the chance that the other members came before it, and against each
    feature outside by the chance that this feature comes next.
    """
    coalitions, values = coalitions[2:], values[:, 2:].double()
    m = coalitions.shape[1]
    chance = torch.tensor([1 / (m * comb(m - 1, before)) for before in range(m)], dtype=torch.float64)
    before = coalitions.sum(1, keepdim=True) - coalitions.long()
    signed = chance.to(values.device)[before] * torch.where(coalitions, 1, -1)
    return torch.einsum("gnt,nm->gtm", values, signed)


def coalitions_of_orders(orders: Tensor) -> Tensor:
    """For each of the orders (n, m), the coalitions from none to all as features join: (n · (m + 1), m) bool."""
    turns = orders.argsort(1)
    return (turns[:, None] < torch.arange(orders.shape[1] + 1)[:, None]).flatten(0, 1)


def shapley_from_orders(coalitions: Tensor, values: Tensor) -> Tensor:
    """The mean over the orders of the difference that each feature makes when it joins: (g, T, m).

    coalitions: all features, none, and `coalitions_of_orders`; values: (g, N, T).
    """
    m = coalitions.shape[1]
    turns = (~coalitions[2:]).view(-1, m + 1, m).sum(1) - 1  # (n, m)
    differences = values[:, 2:].unflatten(1, (-1, m + 1)).diff(dim=2)  # (g, n, m, T), in the order of joining
    return differences.gather(2, turns[None, :, :, None].expand_as(differences)).mean(1).transpose(1, 2)


@dataclass(frozen=True, kw_only=True)
class CoalitionMethod(Method):
    """A method that draws coalitions of features, and computes scores from their values.

    samples: the number of coalitions or orders that are evaluated.
    seed: the same seed gives the same scores.
    """

    supports_layers: ClassVar[bool] = False
    needs_gradients: ClassVar[bool] = False

    samples: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise InvalidInput(f"samples must be at least 1; got {self.samples}.")

    def scores(self, problem: Problem) -> Scores:
        return from_coalitions(problem, self.draw, self.solve)

    def draw(self, m: int) -> Tensor:
        """Coalitions of m features, without those of all and of none: (n, m) bool."""
        raise NotImplementedError

    def solve(self, coalitions: Tensor, values: Tensor) -> Tensor:
        """Scores (g, T, m) from all features, none, and the coalitions drawn: (2 + n, m) bool and (g, 2 + n, T)."""
        raise NotImplementedError


@method("shapley")
@dataclass(frozen=True, kw_only=True)
class Shapley(CoalitionMethod):
    """The difference that a feature makes when it joins the others, averaged over the orders of joining.

    Scores add up to f(x) − f(x without any feature). They are the only ones that also treat like features alike, give
    zero to a feature that never changes anything, and add up over sums of models.

    samples: the number of orders. Where the 2^m subsets of m features take no more passes, they are all evaluated and
        scores are exact; else their standard error falls as 1/√samples. Every second order is the one before it
        backwards, which cancels the effects of pairs.

    Cost: 2^m forward passes for m features, or `samples` · m where that is less.
    Misleads: where subsets are like no input: the model's values there count as much as the rest.
    Source: Shapley 1953, the formula of its theorem (RAND P-295); orders, Castro, Gómez & Tejada 2009, ApproShapley
    (Computers & Operations Research 36); backwards, Mitchell et al. 2022, antithetic sampling (arXiv:2104.12199).
    """

    complete: ClassVar[bool] = True

    samples: int = 24

    def _exact(self, m: int) -> bool:
        return m <= MAX_FEATURES and 2**m <= self.samples * m

    def draw(self, m: int) -> Tensor:
        if self._exact(m):
            return all_subsets(m)
        generator = torch.Generator().manual_seed(self.seed)
        orders = torch.stack([torch.randperm(m, generator=generator) for _ in range((self.samples + 1) // 2)])
        return coalitions_of_orders(torch.stack([orders, orders.flip(1)], 1).flatten(0, 1)[: self.samples])

    def solve(self, coalitions: Tensor, values: Tensor) -> Tensor:
        return (shapley_from_subsets if self._exact(coalitions.shape[1]) else shapley_from_orders)(coalitions, values)
