"""Integrated Jacobians: how much of the change of a vector comes from each part of the input.

J is the Jacobian of a function f from a tensor to T numbers, averaged along the line from the baseline to the input.
J times the displacement of one part is a column of T numbers; the columns of all parts add up to f(x) − f(x₀). It is
integrated gradients of every number of f at once. The cost does not depend on T: a column is one Jacobian-vector
product at each node, in forward mode, and the Jacobian itself is never made.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import cache

import torch
from torch import Tensor
from torch.autograd.forward_ad import dual_level, make_dual
from torch.func import jvp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from xai_nlp.core.adaptive_quadrature import nested_rules
from xai_nlp.core.problem import Problem
from xai_nlp.core.quadrature import Quadrature, tangent_clenshaw_curtis


def integrated_jacobian(problem: Problem, parts: Tensor, rule: Quadrature) -> Tensor:
    """∫₀¹ J_f(x₀ + t·(x − x₀)) (x − x₀)ₖ dt for each part k of the input of one example: (K, T) in float64.

    problem: of one example, whose inputs move together. parts: (K, S) bool, the positions of the inputs (1, S, …) that
    make up each part.
    Source: Moeller, Nikolaev & Padó 2023, eq. 3 (arXiv:2310.05703).

    >>> x = torch.tensor([[1.0, 2.0]])
    >>> squares = Problem(value=lambda z, owner: z[0] ** 2, x=(x,), baseline=(0 * x,))
    >>> middle = Quadrature(torch.tensor([0.5]), torch.tensor([1.0]))
    >>> integrated_jacobian(squares, torch.eye(2, dtype=torch.bool), middle)
    tensor([[1., 0.],
            [0., 4.]], dtype=torch.float64)
    """
    pairs = zip(rule.nodes.tolist(), rule.weights.tolist(), strict=True)
    return torch.stack([weight * _products(problem, parts, node) for node, weight in pairs]).sum(0)


def nested_jacobians(problem: Problem, parts: Tensor, levels: Sequence[int]) -> Iterator[Tensor]:
    """The integrated Jacobian of one example by nested rules of so many nodes, the coarsest first: (K, T) each.

    levels: each has twice the nodes of the one before, less one. A node is evaluated once, and only when a rule that
    has it is asked for.
    """
    nodes, weights, added = nested_rules(tuple(levels), tangent_clenshaw_curtis)
    totals = [torch.zeros(1, dtype=torch.float64, device=parts.device)] * len(levels)
    for level, new in enumerate(added):
        for node in new.tolist():
            products = _products(problem, parts, float(nodes[node]))
            for finer in range(level, len(levels)):
                totals[finer] = totals[finer] + float(weights[finer, node]) * products
        yield totals[level]


@cache
def _load_forward_mode() -> None:
    """Load torch's rules for forward mode, which warns of what torch itself still uses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with dual_level():
            make_dual(torch.zeros(1), torch.zeros(1))


def _products(problem: Problem, parts: Tensor, t: float) -> Tensor:
    """J_f (x − x₀)ₖ at the point t of the path, for each part k: (K, T) in float64."""
    _load_forward_mode()
    first = problem.everyone
    z = problem.at(first, torch.tensor([t], dtype=torch.float64, device=first.device))
    displacements = tuple(x - x0 for x, x0 in zip(problem.x, problem.baseline, strict=True))

    def product(part: Tensor) -> Tensor:
        moved = tuple(d * part.view(1, -1, *[1] * (d.ndim - 2)).to(d) for d in displacements)
        return jvp(lambda *tensors: problem.value(tensors, first), z, moved)[1][0]

    def work(some: slice) -> Tensor:
        # Of the kinds of attention only the one in plain operations has a forward derivative.
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            return vmap(product)(parts[some]).double()

    return torch.cat([products for _, products in problem.chunks(len(parts), work)])
