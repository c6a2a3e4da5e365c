"""steps="auto": refine the path until Σ scores meets f(x) − f(x₀).

Σ scores must equal f(x) − f(x₀), so the error of a path, and of any piece of it, is known and not estimated. First the
whole path goes through Patterson's rules of 9, 17, 33 and 65 nodes, under the tangent map. Each rule contains the nodes
of the one before, so no point is evaluated twice; both ends are nodes; and examples leave as soon as their residual is
small enough. A path whose residual is still too large has a kink (ReLU) or a steep place. Then the pieces with the
largest errors are halved repeatedly, so that points gather where they are needed, while their number stays within
`max_steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from xai_nlp.core.conductance import conductance
from xai_nlp.core.path import PathPoints, add_rows, sweep, weighted
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.quadrature import PathRule, clenshaw_curtis, closed_patterson
from xai_nlp.errors import InvalidInput

PATH_LEVELS = (9, 17, 33, 65)  # numbers of nodes of the rules for a whole path
PATH_RULE = PathRule(closed_patterson, under_tangent=True)
PIECE_LEVELS = (9, 17)  # and for a piece of one
PIECE_RULE = PathRule(clenshaw_curtis, under_tangent=False)
MIN_DIFFERENCE = 0.05  # in units of f: a smaller |f(x) − f(x₀)| counts as this much when a residual is judged


@dataclass(frozen=True)
class PathIntegral:
    """Integrals along the paths of B examples."""

    value: Tensor  # (B, T) f at the end
    baseline_value: Tensor  # (B, T) f at the start
    steps: Tensor  # (B,) points that were evaluated
    sites: Tensors  # (B, T, *S) each: the mean gradient at a site, or the conductance through it
    slope: Tensor  # (B, T) ∫ ⟨∇f, x − x₀⟩ dt

    @property
    def residual(self) -> Tensor:
        """f(x) − f(x₀) minus its integral along the path: (B, T)."""
        return self.value - self.baseline_value - self.slope


class NestedRules(NamedTuple):
    """Rules of L numbers of nodes; each has the nodes of those before it."""

    nodes: Tensor  # (N,) of the finest
    weights: Tensor  # (L, N)
    added: list[Tensor]  # of each rule: the indices of its nodes that none before it has


@lru_cache(maxsize=8)
def nested_rules(levels: tuple[int, ...], rule: PathRule) -> NestedRules:
    """The rules of these numbers of nodes."""
    finest = levels[-1]
    weights = torch.zeros(len(levels), finest, dtype=torch.float64)
    added = []
    for level, n in enumerate(levels):
        nodes = torch.arange(0, finest, (finest - 1) // (n - 1))
        weights[level, nodes] = rule(n).weights
        added.append(nodes[1::2] if level else nodes)
    return NestedRules(rule(finest).nodes, weights, added)


def _path_slope(problem: Problem, owner: Tensor, gradients: Tensors) -> Tensor:
    """⟨∇f, x − x₀⟩ of rows that belong to the examples `owner`: (R, T)."""
    slopes = [
        ((x - x0)[owner.to(x.device), None] * gradient).unsqueeze(-1).flatten(2).sum(2, dtype=torch.float64)
        for x, x0, gradient in zip(problem.x, problem.baseline, gradients, strict=True)
    ]
    return torch.stack([slope.to(owner.device) for slope in slopes]).sum(0)


def nested_quadrature(
    problem: Problem,
    levels: tuple[int, ...],
    allowed: Callable[[Tensor], Tensor] = torch.zeros_like,
    *,
    through: bool,
    rule: PathRule = PATH_RULE,
    ends: Tensors = (),
) -> PathIntegral:
    """Integrates each path by the first rule whose residual is small enough, or by the last one.

    levels: the rules' numbers of nodes, each one less than twice the one before.
    allowed: f(x) − f(x₀) -> the largest residual that is small enough, (B, T) both.
    through: integrate the conductance through each site, not its mean gradient; this keeps all points in memory.
    rule: of the nodes and weights; the rule of 2n − 1 nodes has those of n.
    ends: f(x) and f(x₀), if they are known; where an end has no weight, it is not passed again.
    """
    device = problem.x[0].device
    nodes, weights, added = nested_rules(levels, rule)
    nodes, weights = nodes.to(device), weights.to(device)
    B, remaining = problem.examples, problem.everyone
    steps = torch.zeros_like(remaining)
    curves: Tensor | None = None  # (2, B, N, T) f and ⟨∇f, x − x₀⟩ at the nodes
    if ends and not weights[:, 0].any():
        added = [added[0][1:-1], *added[1:]]
    sums: list[dict[int, Tensor]] = [{} for _ in levels]  # of each rule: site -> (B, T, *S)
    sites: dict[int, Tensor] = {}  # site -> (B, T, *S), filled as examples are done
    points: list[PathPoints] = []
    for level, new_nodes in enumerate(added):
        new_nodes = new_nodes.to(device)
        for owner, index, slope in sweep(problem, remaining, nodes[new_nodes], with_inputs=bool(problem.sites)):
            node = new_nodes[index]
            of_inputs = slope.gradients[-len(problem.x) :]
            gradients = slope.gradients if problem.also_inputs else slope.gradients[: -len(problem.x)] or of_inputs
            if curves is None:
                curves = slope.values.new_zeros(2, B, len(nodes), slope.values.shape[1], dtype=torch.float64)
                slope_integral = torch.zeros_like(curves[0, :, 0])
                if ends:
                    curves[0, :, -1], curves[0, :, 0] = ends
            curves[0, owner, node] = slope.values.double()
            curves[1, owner, node] = _path_slope(problem, owner, of_inputs)
            if through:
                scored = slope._replace(sites=slope.sites[: len(gradients)], gradients=gradients)
                points.append(PathPoints(owner, node, scored))
                continue
            for finer in range(level, len(levels)):  # each rule that an example may end with
                for s, gradient in enumerate(gradients):
                    rows = weighted(gradient, weights[finer, node])
                    sums[finer][s] = add_rows(sums[finer].get(s), owner, rows, B)
        assert curves is not None
        slope_integral[remaining] = weights[level] @ curves[1, remaining]
        baseline_value, value = curves[0, :, 0], curves[0, :, -1]
        difference = value - baseline_value
        within = ((difference - slope_integral).abs() <= allowed(difference)).all(1)
        done = within[remaining] | (level + 1 == len(levels))
        finished, remaining = remaining[done], remaining[~done]
        steps[finished] = levels[level]
        if through:
            integrals = _conductances(points, finished, levels[level], rule)
        else:
            integrals = [total[finished.to(total.device)] for total in sums[level].values()]
            sums[level].clear()
        for s, integral in enumerate(integrals):
            site = sites.setdefault(s, integral.new_zeros(B, *integral.shape[1:]))
            site[finished.to(integral.device)] = integral
        if not len(remaining):
            break
    return PathIntegral(value, baseline_value, steps, tuple(sites.values()), slope_integral)


def _conductances(points: Sequence[PathPoints], examples: Tensor, n: int, rule: PathRule) -> list[Tensor]:
    """The conductance through each site on the paths of these examples, of n points each: (E, T, *S) of each site."""
    if not len(examples):
        return []
    owner, node = (torch.cat([getattr(point, name) for point in points]) for name in ("owner", "node"))
    order = (owner * (int(node.max()) + 1) + node).argsort()
    order = order[torch.isin(owner[order], examples)]

    def of_sites(name: str) -> Iterator[Tensor]:
        for chunks in zip(*(getattr(point.slope, name) for point in points), strict=True):
            yield torch.cat(chunks)[order.to(chunks[0].device)].unflatten(0, (-1, n))  # (E, n, …)

    pairs = zip(of_sites("sites"), of_sites("gradients"), strict=True)
    return [torch.stack([conductance(*path, rule) for path in zip(*pair, strict=True)]) for pair in pairs]


def adaptive_quadrature(
    problem: Problem, *, tolerance: float = 0.01, max_steps: int = 513, through: bool = False
) -> PathIntegral:
    """Integrates along the paths until |f(x) − f(x₀) − Σ scores| ≤ tolerance · max(|f(x) − f(x₀)|, MIN_DIFFERENCE).

    max_steps: no example evaluates more points of its path.
    through: integrate the conductance through each site, not its mean gradient.
    Raises InvalidInput if tolerance is not positive, or max_steps is smaller than the coarsest rule.

    >>> x = torch.tensor([[2.0]])
    >>> relu = Problem(value=lambda z, owner: torch.relu(z[0] - 0.6), x=(x,), baseline=(0 * x,))
    >>> integral = adaptive_quadrature(relu, tolerance=1e-4)
    >>> round((integral.sites[0] * x).item(), 3), integral.residual.abs().item() < 1e-3
    (1.4, True)
    """
    if not tolerance > 0:
        raise InvalidInput(f"tolerance must be positive; got {tolerance}. 0.01 leaves 1 % unexplained.")
    if max_steps < PATH_LEVELS[0]:
        raise InvalidInput(f"max_steps must be at least {PATH_LEVELS[0]} for steps='auto'; got {max_steps}.")

    def allowed_for(difference: Tensor) -> Tensor:
        return tolerance * difference.abs().clamp_min(MIN_DIFFERENCE)

    levels = tuple(n for n in PATH_LEVELS if n <= max_steps)
    known = () if through else problem.ends()  # x is passed first
    integral = nested_quadrature(problem, levels, allowed_for, through=through, ends=known)
    allowed = allowed_for(integral.value - integral.baseline_value)
    exceeded = (integral.residual.abs() > allowed).any(1).nonzero()[:, 0]
    if not len(exceeded):
        return integral
    # P pieces of these paths, first each path as a whole: the example, (start, end), and the shares of the integrals
    totals = (integral.slope, *integral.sites)
    owner, ends = exceeded, allowed.new_tensor([[0.0, 1.0]]).expand(len(exceeded), 2)
    residual, shares = integral.residual[exceeded], [total[exceeded.to(total.device)] for total in totals]
    while True:
        affordable = (max_steps - integral.steps) // (2 * PIECE_LEVELS[-1])  # whichever rule a half needs
        halved = _worst_pieces(owner, residual, allowed, affordable)
        if not halved.any():
            break
        (start, end), halves = ends[halved].unbind(1), owner[halved].repeat(2)
        middle = (start + end) / 2
        starts, stops = torch.cat([start, middle]), torch.cat([middle, end])
        pieces = replace(problem.part(halves), x=problem.at(halves, stops), baseline=problem.at(halves, starts))

        def allowed_in_half(_: Tensor, limit: Tensor = allowed[halves] / 8) -> Tensor:
            return limit

        refined = nested_quadrature(pieces, PIECE_LEVELS, allowed_in_half, through=through, rule=PIECE_RULE)
        integral.steps.index_add_(0, halves, refined.steps)
        length = torch.ones_like(starts) if through else stops - starts  # the share of a piece's mean in the path's
        new_shares = refined.slope, *(weighted(site, length) for site in refined.sites)
        unchanged, new_ends = ~halved, torch.stack([starts, stops], 1)
        owner, ends = torch.cat([owner[unchanged], halves]), torch.cat([ends[unchanged], new_ends])
        residual = torch.cat([residual[unchanged], refined.residual])
        shares = [torch.cat([t[unchanged.to(t.device)], new]) for t, new in zip(shares, new_shares, strict=True)]
    for total, share in zip(totals, shares, strict=True):
        total[exceeded.to(total.device)] = 0
        total.index_add_(0, owner.to(total.device), share)
    return integral


def _worst_pieces(owner: Tensor, residual: Tensor, allowed: Tensor, count: Tensor) -> Tensor:
    """The pieces to halve: of examples over the limit, those with at least half the largest error: (P,) bool.

    owner: (P,) the example of each piece; residual: (P, T) of the pieces; allowed: (B, T) of the whole paths.
    count: (B,) no more pieces of an example, those with the largest errors.
    """
    error = residual.abs().amax(1)
    largest = error.new_zeros(len(allowed)).scatter_reduce_(0, owner, error, "amax")
    exceeded = (torch.zeros_like(allowed).index_add_(0, owner, residual).abs() > allowed).any(1)
    order = error.argsort(descending=True)
    order = order[owner[order].argsort(stable=True)]  # by example, the largest error first
    pieces = owner.bincount(minlength=len(allowed))
    rank = torch.empty_like(owner)
    rank[order] = torch.arange(len(owner), device=owner.device) - (pieces.cumsum(0) - pieces)[owner[order]]
    return exceeded[owner] & (error >= largest[owner] / 2) & (rank < count[owner])
