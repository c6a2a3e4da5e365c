"""The path sweep: gradients along the straight line from the baseline, once for all sites and all targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.problem import Problem, Slope, Tensors
from xai_nlp.errors import InvalidInput, UnknownName

PART = 2**18  # entries of a site that are in float64 at once


class Quadrature(NamedTuple):
    """∫₀¹ g(t) dt ≈ Σ weights · g(nodes); both (N,) float64, nodes in ascending order."""

    nodes: Tensor
    weights: Tensor


def _rule(nodes: np.ndarray, weights: np.ndarray) -> Quadrature:
    return Quadrature(torch.from_numpy(nodes), torch.from_numpy(weights))


_leggauss = cache(np.polynomial.legendre.leggauss)


def gauss_legendre(steps: int) -> Quadrature:
    """Exact for polynomials of degree 2·steps − 1.

    >>> rule = gauss_legendre(3)
    >>> round(float((rule.weights * rule.nodes**5).sum()) * 6, 12)         # ∫ t⁵ = 1/6
    1.0
    """
    nodes, weights = _leggauss(steps)
    return _rule((nodes + 1) / 2, weights / 2)


def _riemann(offset: float) -> Callable[[int], Quadrature]:
    return lambda steps: _rule((np.arange(steps) + offset) / steps, np.full(steps, 1 / steps))


def trapezoid(steps: int) -> Quadrature:
    """`steps` nodes from 0 to 1, both ends among them."""
    if steps < 2:
        raise InvalidInput(f"the trapezoid rule needs at least 2 steps; got {steps}.")
    weights = np.full(steps, 1 / (steps - 1))
    weights[[0, -1]] /= 2
    return _rule(np.linspace(0, 1, steps), weights)


def captum_trapezoid(steps: int) -> Quadrature:
    """Captum's `riemann_trapezoid`, kept for its faces alone: weights that sum to (steps − 1)/steps instead of 1."""
    rule = trapezoid(steps)
    return rule._replace(weights=rule.weights * (steps - 1) / steps)


def clenshaw_curtis(steps: int) -> Quadrature:
    """The extrema of a Chebyshev polynomial, both ends among them: the nodes of `2n − 1` steps hold those of `n`.

    Source: Clenshaw & Curtis 1960; weights as the cosine transform of ∫ T₂ₖ = 2/(1 − 4k²): Waldvogel 2006, sec. 2.
    """
    if steps < 2:
        raise InvalidInput(f"the Clenshaw–Curtis rule needs at least 2 steps; got {steps}.")
    nodes = np.sin(np.pi / 2 * np.arange(steps) / (steps - 1)) ** 2  # (1 − cos θ)/2, exact at both ends
    moments = np.zeros(steps)
    moments[::2] = 2 / (1 - np.arange(0, steps, 2) ** 2.0)
    weights = np.fft.ifft(np.concatenate([moments, moments[-2:0:-1]])).real[:steps]
    weights[1:-1] *= 2
    return _rule(nodes, weights / 2)


RULES: dict[str, Callable[[int], Quadrature]] = {
    "gauss_legendre": gauss_legendre,
    "clenshaw_curtis": clenshaw_curtis,
    "trapezoid": trapezoid,
    "captum_trapezoid": captum_trapezoid,
    "left": _riemann(0),
    "middle": _riemann(0.5),
    "right": _riemann(1),
}


def quadrature(rule: str, steps: int) -> Quadrature:
    """The rule of that name. Raises UnknownName, or InvalidInput if `steps` is not a positive whole number."""
    if rule not in RULES:
        raise UnknownName("quadrature rule", rule, RULES)
    if not isinstance(steps, int) or steps < 1:
        raise InvalidInput(f"steps must be a whole number of at least 1, or 'auto'; got {steps!r}.")
    return RULES[rule](steps)


class Stretch(NamedTuple):
    """A part of the sweep: R points that belong to examples `owner`, at places `place` of the node list."""

    owner: Tensor  # (R,)
    place: Tensor  # (R,)
    slope: Slope


def sweep(problem: Problem, owner: Tensor, nodes: Tensor, *, inputs_too: bool = False) -> Iterator[Stretch]:
    """Values and gradients of the examples `owner` (E,) at all `nodes` (N,), example by example, in bounded memory."""
    who = owner.repeat_interleave(len(nodes))
    index = torch.arange(len(nodes), device=owner.device).repeat(len(owner))
    places = nodes.to(owner.device)

    def work(part: slice) -> Slope:
        return problem.slope(problem.at(who[part], places[index[part]]), who[part], inputs_too=inputs_too)

    for part, slope in problem.chunks(len(who), work):
        yield Stretch(who[part], index[part], slope)


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)


def add_rows(total: Tensor | None, owner: Tensor, rows: Tensor, examples: int) -> Tensor:
    """Add rows (R, …) to their owners' sums (B, …), made on first use, in float32 or wider."""
    if total is None:
        total = rows.new_zeros(examples, *rows.shape[1:], dtype=_wide(rows))
    return total.index_add_(0, owner.to(total.device), rows.to(total.dtype))


def weighted(rows: Tensor, weights: Tensor) -> Tensor:
    """Rows (R, …), each times its weight (R,)."""
    return rows * weights.to(rows.device, _wide(rows)).view(-1, *[1] * (rows.ndim - 1))


def mean_gradient(problem: Problem, rule: Quadrature) -> Tensors:
    """∫₀¹ ∇f(x₀ + t·(x − x₀)) dt at every site: (B, T, *S) each; units of f per unit of the site.

    The gradient is that of T numbers with respect to what passes at the site, when the inputs are at t.
    """
    totals: dict[int, Tensor] = {}
    for owner, index, slope in sweep(problem, problem.everyone, rule.nodes):
        weights = rule.weights.to(owner.device)[index]
        for s, gradient in enumerate(slope.gradients):
            totals[s] = add_rows(totals.get(s), owner, weighted(gradient, weights), problem.examples)
    return tuple(totals[s] for s in sorted(totals))


def left_conductance(problem: Problem, rule: Quadrature) -> Tensors:
    """Σᵢ ∇f(yᵢ) ⊙ (yᵢ₊₁ − yᵢ), y the site's value at node i: (B, T, *S) each, as Captum's LayerConductance sums it.

    First-order in the step: see `flow` for a rule that converges as fast as integrated gradients. Where the problem
    asks for its inputs too, theirs is integrated gradients by the rule itself.
    """
    totals: dict[int, Tensor] = {}
    before: Slope | None = None  # the last point of the part before, gradients and site values
    inside = None
    for owner, index, slope in sweep(problem, problem.everyone, rule.nodes, inputs_too=problem.also_inputs):
        kept = before
        before = Slope(slope.values[-1:], *(tuple(t[-1:] for t in group) for group in slope[1:]))
        inside = len(slope.sites) - len(problem.x) * problem.also_inputs
        for s, (y, gradient) in enumerate(zip(slope.sites, slope.gradients, strict=True)):
            if s >= inside:
                weights = rule.weights.to(owner.device)[index]
                totals[s] = add_rows(totals.get(s), owner, weighted(gradient, weights), problem.examples)
                continue
            if kept is not None:
                y, gradient = torch.cat([kept.sites[s], y]), torch.cat([kept.gradients[s], gradient])
            moved = (y[1:] - y[:-1])[:, None] * gradient[:-1]
            arrived = index[-len(moved) :] > 0 if len(moved) else index[:0].bool()  # not a step between two examples
            totals[s] = add_rows(
                totals.get(s),
                owner[-len(moved) :][arrived] if len(moved) else owner[:0],
                moved[arrived.to(moved.device)],
                problem.examples,
            )
    moves = [(x - x0)[:, None] for x, x0 in zip(problem.x, problem.baseline, strict=True)]
    return tuple(t if inside is None or s < inside else t * moves[s - inside] for s, t in sorted(totals.items()))


def flow(y: Tensor, gradient: Tensor, n: int) -> Tensor:
    """∫ ∂f/∂y · dy/dt dt from values y (n, *S) and gradients (n, T, *S) at the Clenshaw–Curtis nodes: (T, *S).

    dy/dt is that of the polynomial through the values; source: Trefethen 2000, Spectral Methods in MATLAB, ch. 6.
    """
    rule = clenshaw_curtis(n)
    matrix = (rule.weights[:, None] * differentiation(rule.nodes)).to(y.device)  # (n, n)
    T, shape = gradient.shape[1], y.shape[1:]
    flat, slopes = y.reshape(n, -1), gradient.reshape(n, T, -1)
    total = torch.empty(T, flat.shape[1], dtype=_wide(y), device=y.device)
    for part in (slice(at, at + PART) for at in range(0, flat.shape[1], PART)):  # float64, a part at a time
        moved = matrix @ flat[:, part].double()
        total[:, part] = torch.einsum("is,its->ts", moved, slopes[:, :, part].double()).to(total.dtype)
    return total.view(T, *shape)


def differentiation(nodes: Tensor) -> Tensor:
    """D with (D y)ᵢ = p′(tᵢ), p the polynomial through y at the nodes: (N, N) float64.

    >>> t = clenshaw_curtis(5).nodes
    >>> bool(torch.allclose(differentiation(t) @ t**4, 4 * t**3))
    True
    """
    gaps = nodes[:, None] - nodes[None, :]
    gaps.fill_diagonal_(1)
    size = gaps.abs().log().sum(1)  # products of many small gaps would underflow
    sign = gaps.sign().prod(1)
    matrix = (size[:, None] - size[None, :]).exp() * sign[:, None] * sign[None, :] / gaps
    matrix.fill_diagonal_(0)
    return matrix - torch.diag(matrix.sum(1))
