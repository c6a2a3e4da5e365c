"""Problems whose Shapley values are known, by hand or by brute force."""

import itertools
from collections.abc import Callable
from math import factorial

import torch
from torch import Tensor

from xai_nlp.core.batching import Batching
from xai_nlp.core.features import FeatureMask, Features
from xai_nlp.core.problem import Problem


def game(
    value: Callable[[Tensor], Tensor],
    m: int,
    *,
    examples: int = 2,
    features: Features | None = None,
    rows: int | None = None,
) -> Problem:
    """`value` of points (R, m) between x and a baseline that is not zero; (R,) or (R, T) out."""
    generator = torch.Generator().manual_seed(m)
    x, x0 = torch.randn(2, examples, m, generator=generator, dtype=torch.float64)

    def valued(z: tuple[Tensor, ...], owner: Tensor) -> Tensor:
        result = value(z[0])
        return result if result.ndim == 2 else result[:, None]

    return Problem(value=valued, x=(x,), baseline=(x0,), features=features, rows=Batching(limit=rows))


def worth(problem: Problem, kept: set[int]) -> Tensor:
    """What a coalition of features is worth, entry by entry: (B, T)."""
    ids = (problem.features or FeatureMask.entries(problem.x)).ids[0].expand_as(problem.x[0])  # type: ignore[attr-defined]
    stays = torch.tensor([[int(i) in kept or int(i) < 0 for i in row] for row in ids])
    return problem.value((torch.where(stays, problem.x[0], problem.baseline[0]),), problem.everyone)


def by_orders(problem: Problem, m: int) -> Tensor:
    """The definition: the mean, over all orders, of what each feature adds in its turn. (B, T, m)."""
    total = torch.zeros(*worth(problem, set()).shape, m, dtype=torch.float64)
    for order in itertools.permutations(range(m)):
        for k, feature in enumerate(order):
            total[:, :, feature] += worth(problem, set(order[: k + 1])) - worth(problem, set(order[:k]))
    return total / factorial(m)


def by_subsets(problem: Problem, m: int) -> Tensor:
    """The same in fewer steps: each subset without a feature, weighed by the orders that pass through it."""
    values = {
        subset: worth(problem, set(subset))
        for size in range(m + 1)
        for subset in itertools.combinations(range(m), size)
    }
    total = torch.zeros(*values[()].shape, m, dtype=torch.float64)
    for subset, value in values.items():
        for feature in set(range(m)) - set(subset):
            share = factorial(len(subset)) * factorial(m - len(subset) - 1) / factorial(m)
            total[:, :, feature] += share * (values[tuple(sorted({*subset, feature}))] - value)
    return total
