"""The path sweep: gradients along the straight line from the baseline, once for all sites and all targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from xai_nlp.core.problem import Problem, Slope, Tensors
from xai_nlp.core.quadrature import Quadrature


class PathPoints(NamedTuple):
    """R points of the paths of several examples: one chunk of a sweep."""

    owner: Tensor  # (R,) the example of each point
    node: Tensor  # (R,) the position of each point in the list of nodes
    slope: Slope


def sweep(problem: Problem, owner: Tensor, nodes: Tensor, *, with_inputs: bool = False) -> Iterator[PathPoints]:
    """Yields values and gradients of the examples `owner` (E,) at all `nodes` (N,), in chunks of bounded memory.

    Points come example by example, and for each example in the order of the nodes.
    with_inputs: gradients of the inputs follow those of the sites.
    """
    owners = owner.repeat_interleave(len(nodes))
    index = torch.arange(len(nodes), device=owner.device).repeat(len(owner))
    t = nodes.to(owner.device)

    def work(part: slice) -> Slope:
        return problem.slope(problem.at(owners[part], t[index[part]]), owners[part], inputs_too=with_inputs)

    for part, slope in problem.chunks(len(owners), work):
        yield PathPoints(owners[part], index[part], slope)


def accumulation_dtype(tensor: Tensor) -> torch.dtype:
    """Sums are kept in float32 or wider."""
    return torch.promote_types(tensor.dtype, torch.float32)


def add_rows(total: Tensor | None, owner: Tensor, rows: Tensor, examples: int) -> Tensor:
    """Adds each row (R, …) to the sum of its owner; the sums (B, …) are made on first use."""
    if total is None:
        total = rows.new_zeros(examples, *rows.shape[1:], dtype=accumulation_dtype(rows))
    return total.index_add_(0, owner.to(total.device), rows.to(total.dtype))


def weighted(rows: Tensor, weights: Tensor) -> Tensor:
    """Each of the rows (R, …) times its weight (R,)."""
    return rows * weights.to(rows.device, accumulation_dtype(rows)).view(-1, *[1] * (rows.ndim - 1))


def mean_gradient(problem: Problem, rule: Quadrature) -> Tensors:
    """∫₀¹ ∇f(x₀ + t·(x − x₀)) dt at every site: (B, T, *S) each, in units of f per unit of the site.

    The gradient is that of the T targets with respect to the tensor at the site, when the inputs are at t.

    >>> x = torch.tensor([[1.0, 2.0]])
    >>> squares = Problem(value=lambda z, owner: (z[0] ** 2).sum(1, keepdim=True), x=(x,), baseline=(0 * x,))
    >>> mean_gradient(squares, Quadrature(torch.tensor([0.5]), torch.tensor([1.0])))     # ∫ 2tx dt = x
    (tensor([[[1., 2.]]]),)
    """
    totals: dict[int, Tensor] = {}
    for owner, node, slope in sweep(problem, problem.everyone, rule.nodes):
        weights = rule.weights.to(owner.device)[node]
        for s, gradient in enumerate(slope.gradients):
            totals[s] = add_rows(totals.get(s), owner, weighted(gradient, weights), problem.examples)
    return tuple(totals[s] for s in sorted(totals))
