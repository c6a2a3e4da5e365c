"""How much of f(x) − f(x₀) flows through a site: ∫ ∂f/∂y · dy/dt dt, y the tensor at the site."""

from __future__ import annotations

import torch
from torch import Tensor

from xai_nlp.core.path import PathPoints, accumulation_dtype, add_rows, sweep, weighted
from xai_nlp.core.problem import Problem, Slope, Tensors
from xai_nlp.core.quadrature import PathRule, Quadrature

BLOCK = 2**18  # entries of a site that are in float64 at once


def left_conductance(problem: Problem, rule: Quadrature) -> Tensors:
    """Σᵢ ∇f(yᵢ) ⊙ (yᵢ₊₁ − yᵢ), yᵢ the tensor at the site at node i: (B, T, *S) each, as Captum's LayerConductance.

    The sum is first-order in the step; `conductance` converges as fast as integrated gradients. If the problem also
    scores its inputs, their scores are integrated gradients by the rule itself.
    """
    flows: dict[int, Tensor] = {}  # site -> (B, T, *S)
    slopes: dict[int, Tensor] = {}  # input -> (B, T, *S)
    last: PathPoints | None = None  # the last point of the chunk before
    for points in sweep(problem, problem.everyone, rule.nodes, with_inputs=problem.also_inputs):
        owner, node, slope = points
        sites = len(slope.sites) - len(problem.x) * problem.also_inputs  # the inputs follow the sites
        for i, gradient in enumerate(slope.gradients[sites:]):
            rows = weighted(gradient, rule.weights.to(owner.device)[node])
            slopes[i] = add_rows(slopes.get(i), owner, rows, problem.examples)
        if last is not None:
            owner, slope = torch.cat([last.owner, owner]), Slope.joined([last.slope, slope])
        same_path = owner[1:] == owner[:-1]  # else the step leads from one example to the next
        for s, (y, gradient) in enumerate(zip(slope.sites[:sites], slope.gradients[:sites], strict=True)):
            rows = ((y[1:] - y[:-1])[:, None] * gradient[:-1])[same_path.to(y.device)]
            flows[s] = add_rows(flows.get(s), owner[1:][same_path], rows, problem.examples)
        last = PathPoints(owner[-1:], node[-1:], slope.rows(slice(-1, None)))
    displacements = [(x - x0)[:, None] for x, x0 in zip(problem.x, problem.baseline, strict=True)]
    return (*flows.values(), *(slope * displacements[i] for i, slope in slopes.items()))


def conductance(y: Tensor, gradient: Tensor, rule: PathRule) -> Tensor:
    """∫ ∂f/∂y · dy/dt dt from tensors y (n, *S) and gradients (n, T, *S) at the n nodes of a rule: (T, *S).

    y is a line in t from its first value to its last, and a remainder. The slope of the line is known; the remainder
    has the derivative of the polynomial in s through it. So what moves along a line gets its integrated gradients.
    Source: Trefethen 2000, Spectral Methods in MATLAB, ch. 6.
    """
    n = len(y)
    in_s, in_t = rule.in_s(n), rule(n)
    matrix = in_s.weights[:, None] * differentiation_matrix(in_s.nodes)  # (n, n): what follows from y at each node
    of_line = in_t.weights - matrix @ in_t.nodes
    matrix[:, -1] += of_line
    matrix[:, 0] -= of_line
    matrix = matrix.to(y.device)
    T, shape = gradient.shape[1], y.shape[1:]
    flat, slopes = y.reshape(n, -1), gradient.reshape(n, T, -1)
    total = torch.empty(T, flat.shape[1], dtype=accumulation_dtype(y), device=y.device)
    for block in (slice(start, start + BLOCK) for start in range(0, flat.shape[1], BLOCK)):
        steps = matrix @ flat[:, block].double()
        total[:, block] = torch.einsum("is,its->ts", steps, slopes[:, :, block].double()).to(total.dtype)
    return total.view(T, *shape)


def differentiation_matrix(nodes: Tensor) -> Tensor:
    """D with (D y)ᵢ = p′(tᵢ), where p is the polynomial through y at the nodes: (N, N) float64.

    >>> t = torch.linspace(0, 1, 5, dtype=torch.float64)
    >>> bool(torch.allclose(differentiation_matrix(t) @ t**4, 4 * t**3))
    True
    """
    gaps = nodes[:, None] - nodes[None, :]
    gaps.fill_diagonal_(1)
    size = gaps.abs().log().sum(1)  # products of many small gaps would underflow
    sign = gaps.sign().prod(1)
    matrix = (size[:, None] - size[None, :]).exp() * sign[:, None] * sign[None, :] / gaps
    matrix.fill_diagonal_(0)
    return matrix - torch.diag(matrix.sum(1))
