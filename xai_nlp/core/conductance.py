"""How much of f(x) − f(x₀) flows through a site: ∫ ∂f/∂y · dy/dt dt, y the tensor at the site."""

from __future__ import annotations

import torch
from torch import Tensor

from xai_nlp.core.path import accumulation_dtype, add_rows, sweep, weighted
from xai_nlp.core.problem import Problem, Slope, Tensors
from xai_nlp.core.quadrature import Quadrature, clenshaw_curtis

BLOCK = 2**18  # entries of a site that are in float64 at once


def left_conductance(problem: Problem, rule: Quadrature) -> Tensors:
    """Σᵢ ∇f(yᵢ) ⊙ (yᵢ₊₁ − yᵢ), yᵢ the tensor at the site at node i: (B, T, *S) each, as Captum's LayerConductance.

    The sum is first-order in the step; `conductance` converges as fast as integrated gradients. If the problem also
    scores its inputs, their scores are integrated gradients by the rule itself.
    """
    totals: dict[int, Tensor] = {}
    previous: Slope | None = None  # the last point of the chunk before
    displacements = [(x - x0)[:, None] for x, x0 in zip(problem.x, problem.baseline, strict=True)]
    for owner, node, slope in sweep(problem, problem.everyone, rule.nodes, with_inputs=problem.also_inputs):
        inner = len(slope.sites) - len(problem.x) * problem.also_inputs  # the inputs follow the sites
        for s, (y, gradient) in enumerate(zip(slope.sites, slope.gradients, strict=True)):
            if s >= inner:
                rows, owners = weighted(gradient, rule.weights.to(owner.device)[node]), owner
            else:
                if previous is not None:
                    y = torch.cat([previous.sites[s], y])
                    gradient = torch.cat([previous.gradients[s], gradient])
                first = len(owner) - len(y) + 1  # 1 in the first chunk, whose first point ends no step
                same_path = node[first:] > 0  # else the step leads from one example to the next
                rows = ((y[1:] - y[:-1])[:, None] * gradient[:-1])[same_path.to(y.device)]
                owners = owner[first:][same_path]
            totals[s] = add_rows(totals.get(s), owners, rows, problem.examples)
        previous = Slope(slope.values[-1:], *(tuple(t[-1:] for t in group) for group in slope[1:]))
    inner = len(totals) - len(displacements) * problem.also_inputs
    return tuple(t if s < inner else t * displacements[s - inner] for s, t in sorted(totals.items()))


def conductance(y: Tensor, gradient: Tensor, n: int) -> Tensor:
    """∫ ∂f/∂y · dy/dt dt from tensors y (n, *S) and gradients (n, T, *S) at n Clenshaw–Curtis nodes: (T, *S).

    dy/dt is the derivative of the polynomial through y. Source: Trefethen 2000, Spectral Methods in MATLAB, ch. 6.
    """
    rule = clenshaw_curtis(n)
    matrix = (rule.weights[:, None] * differentiation_matrix(rule.nodes)).to(y.device)  # (n, n)
    T, shape = gradient.shape[1], y.shape[1:]
    flat, slopes = y.reshape(n, -1), gradient.reshape(n, T, -1)
    total = torch.empty(T, flat.shape[1], dtype=accumulation_dtype(y), device=y.device)
    for block in (slice(start, start + BLOCK) for start in range(0, flat.shape[1], BLOCK)):
        steps = matrix @ flat[:, block].double()
        total[:, block] = torch.einsum("is,its->ts", steps, slopes[:, :, block].double()).to(total.dtype)
    return total.view(T, *shape)


def differentiation_matrix(nodes: Tensor) -> Tensor:
    """D with (D y)ᵢ = p′(tᵢ), where p is the polynomial through y at the nodes: (N, N) float64.

    >>> t = clenshaw_curtis(5).nodes
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
