"""Shapley values: what each feature adds, averaged over the orders in which features can come."""

from dataclasses import dataclass
from math import comb
from typing import ClassVar

import torch
from torch import Tensor

from xai_nlp.core.coalitions import from_coalitions
from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method, Scores, method
from xai_nlp.errors import InvalidInput

MOST = 20  # features whose every subset can be looked at


def subsets(m: int) -> Tensor:
    """Every subset of m features: (2^m, m) bool."""
    return (torch.arange(2**m)[:, None] >> torch.arange(m)) % 2 == 1


def of_subsets(kept: Tensor, values: Tensor) -> Tensor:
    """Shapley values (g, T, m) from what every subset is worth (g, N, T).

    A subset counts for each member, with the chance that the others came just before it, and against all outside.
    """
    kept, values = kept[2:], values[:, 2:].double()
    m = kept.shape[1]
    chance = torch.tensor([1 / (m * comb(m - 1, before)) for before in range(m)], dtype=torch.float64)
    before = kept.sum(1, keepdim=True) - kept.long()
    return torch.einsum("gnt,nm->gtm", values, chance.to(values.device)[before] * torch.where(kept, 1, -1))


def in_turn(orders: Tensor) -> Tensor:
    """From no one to everyone in each of the orders (n, m), one by one: (n · (m + 1), m) bool."""
    turns = orders.argsort(1)
    return (turns[:, None] < torch.arange(orders.shape[1] + 1)[:, None]).flatten(0, 1)


def of_turns(kept: Tensor, values: Tensor) -> Tensor:
    """What each feature adds in its turn, averaged over the orders: (g, T, m)."""
    m = kept.shape[1]
    turns = (~kept[2:]).view(-1, m + 1, m).sum(1) - 1  # (n, m)
    added = values[:, 2:].unflatten(1, (-1, m + 1)).diff(dim=2)  # (g, n, m, T), as the turns come
    return added.gather(2, turns[None, :, :, None].expand_as(added)).mean(1).transpose(1, 2)


@dataclass(frozen=True, kw_only=True)
class CoalitionMethod(Method):
    """What the methods that ask about coalitions share: how many of them, and which."""

    supports_layers: ClassVar[bool] = False

    samples: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise InvalidInput(f"samples must be at least 1; got {self.samples}.")

    def scores(self, problem: Problem) -> Scores:
        return from_coalitions(problem, self._coalitions, self._shared)

    def _coalitions(self, m: int) -> Tensor:
        """Those of m features: (n, m) bool."""
        raise NotImplementedError

    def _shared(self, kept: Tensor, values: Tensor) -> Tensor:
        """Scores (g, T, m) from coalitions (N, m) and what they are worth (g, N, T)."""
        raise NotImplementedError


@method("shapley")
@dataclass(frozen=True, kw_only=True)
class Shapley(CoalitionMethod):
    """What a feature adds to the target, averaged over the orders in which the features can be put in.

    Scores add up to f(x) − f(x without any feature). They are the only ones that also treat like features alike, give
    none to a feature that never changes anything, and add up over sums of models.

    samples: how many orders are tried, with as many passes for each feature. Where the 2^m subsets of m features are no
        more than that, they are looked at instead and scores are exact; else their standard error falls as 1/√samples.
        Every second order is the one before it backwards, which cancels what features do in pairs.

    Cost: 2^m forward passes for m features, or `samples` · m where that is less.
    Misleads: where the model is asked about subsets that no input is like: what it says there counts as much as the
    rest.
    Source: Shapley 1953, the formula of its theorem (RAND P-295); orders, Castro, Gómez & Tejada 2009, ApproShapley
    (Computers & Operations Research 36); backwards, Mitchell et al. 2022, antithetic sampling (arXiv:2104.12199).
    """

    complete: ClassVar[bool] = True

    samples: int = 24

    def _exact(self, m: int) -> bool:
        return m <= MOST and 2**m <= self.samples * m

    def _coalitions(self, m: int) -> Tensor:
        if self._exact(m):
            return subsets(m)
        generator = torch.Generator().manual_seed(self.seed)
        drawn = torch.stack([torch.randperm(m, generator=generator) for _ in range((self.samples + 1) // 2)])
        return in_turn(torch.stack([drawn, drawn.flip(1)], 1).flatten(0, 1)[: self.samples])

    def _shared(self, kept: Tensor, values: Tensor) -> Tensor:
        return (of_subsets if self._exact(kept.shape[1]) else of_turns)(kept, values)
