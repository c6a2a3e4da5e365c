"""steps="auto": refine the path until Σ scores meets f(x) − f(x₀).

Σ scores must equal f(x) − f(x₀), so the error of a path, and of any piece of it, is known and not estimated. First the
whole path goes through Clenshaw–Curtis rules of 9, 17 and 33 nodes. Each rule contains the nodes of the one before, so
no point is evaluated twice; both ends are nodes; and examples leave as soon as their residual is small enough. A path
whose residual is still too large has a kink (ReLU) or a steep place. Then the pieces with the largest errors are halved
repeatedly, so that points gather where they are needed, while their number stays within `max_steps`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from xai_nlp.core.conductance import conductance
from xai_nlp.core.path import PathPoints, add_rows, sweep, weighted
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.quadrature import clenshaw_curtis
from xai_nlp.errors import InvalidInput

PATH_LEVELS = (9, 17, 33)  # numbers of nodes of the rules for a whole path
PIECE_LEVELS = (9, 17)  # and for a piece of one
MIN_DIFFERENCE = 0.05  # in units of f: a smaller |f(x) − f(x₀)| counts as this much when a residual is judged


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """When to stop: |f(x) − f(x₀) − Σ scores| ≤ tolerance · max(|f(x) − f(x₀)|, MIN_DIFFERENCE), or at `max_steps`.

    max_steps: no example evaluates more points of its path.
    Raises InvalidInput if tolerance is not positive, or max_steps is smaller than the coarsest rule.
    """

    tolerance: float = 0.01
    max_steps: int = 513

    def __post_init__(self) -> None:
        if not self.tolerance > 0:
            raise InvalidInput(f"tolerance must be positive; got {self.tolerance}. 0.01 leaves 1 % unexplained.")
        if self.max_steps < PATH_LEVELS[0]:
            raise InvalidInput(f"max_steps must be at least {PATH_LEVELS[0]} for steps='auto'; got {self.max_steps}.")

    def allowed(self, difference: Tensor) -> Tensor:
        """The largest residual that is small enough, where f(x) − f(x₀) is `difference`; of its shape and unit."""
        return self.tolerance * difference.abs().clamp_min(MIN_DIFFERENCE)


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


@lru_cache(maxsize=8)
def nested_rules(levels: tuple[int, ...]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The finest rule's nodes (N,), the weights of all rules on them (levels, N), and the nodes that each rule adds."""
    finest = levels[-1]
    weights = torch.zeros(len(levels), finest, dtype=torch.float64)
    added = []
    for level, n in enumerate(levels):
        nodes = torch.arange(0, finest, (finest - 1) // (n - 1))
        weights[level, nodes] = clenshaw_curtis(n).weights
        added.append(nodes[1::2] if level else nodes)
    return clenshaw_curtis(finest).nodes, weights, added


def _path_slope(problem: Problem, owner: Tensor, gradients: Tensors) -> Tensor:
    """⟨∇f, x − x₀⟩ of rows that belong to the examples `owner`: (R, T)."""
    slopes = [
        ((x - x0)[owner.to(x.device), None] * gradient).flatten(2).sum(2, dtype=torch.float64)
        for x, x0, gradient in zip(problem.x, problem.baseline, gradients, strict=True)
    ]
    return torch.stack([slope.to(owner.device) for slope in slopes]).sum(0)


def nested_quadrature(
    problem: Problem,
    levels: tuple[int, ...],
    allowed: Tensor | Tolerance,
    *,
    through: bool,
) -> PathIntegral:
    """Integrates each path by the first rule whose residual is small enough, or by the last one.

    levels: the rules' numbers of nodes, each one less than twice the one before.
    allowed: the largest residual (B, T) that is small enough, or the tolerance that it follows from.
    through: integrate the conductance through each site, not its mean gradient; this keeps all points in memory.
    """
    device = problem.x[0].device
    nodes, weights, added = nested_rules(levels)
    nodes, weights = nodes.to(device), weights.to(device)
    B, remaining, last = problem.examples, problem.everyone, len(nodes) - 1
    ends: dict[int, Tensor] = {}  # node of an end -> f there (B, T)
    slopes: dict[int, Tensor] = {}  # level -> (B, T)
    sums: dict[tuple[int, int], Tensor] = {}  # (level, site) -> (B, T, *S)
    sites: dict[int, Tensor] = {}  # site -> (B, T, *S), filled as examples are done
    points: list[PathPoints] = []
    steps, slope_integral = torch.zeros_like(remaining), None
    for level, new_nodes in enumerate(added):
        new_nodes = new_nodes.to(device)
        for owner, index, slope in sweep(problem, remaining, nodes[new_nodes], with_inputs=bool(problem.sites)):
            node = new_nodes[index]
            of_inputs = slope.gradients[-len(problem.x) :]
            gradients = slope.gradients if problem.also_inputs else slope.gradients[: -len(problem.x)] or of_inputs
            for end in (0, last):
                here = node == end
                ends[end] = add_rows(ends.get(end), owner[here], slope.values[here].double(), B)
            path_slope = _path_slope(problem, owner, of_inputs)
            if through:
                scored = slope._replace(sites=slope.sites[: len(gradients)], gradients=gradients)
                points.append(PathPoints(owner, node, scored))
            for finer in range(level, len(levels)):  # each rule that an example may end with
                w = weights[finer, node]
                slopes[finer] = add_rows(slopes.get(finer), owner, weighted(path_slope, w), B)
                for s, gradient in enumerate(() if through else gradients):
                    sums[finer, s] = add_rows(sums.get((finer, s)), owner, weighted(gradient, w), B)
        difference = ends[last] - ends[0]
        limit = allowed.allowed(difference) if isinstance(allowed, Tolerance) else allowed
        done = ((difference - slopes[level]).abs() <= limit).all(1)
        done |= level + 1 == len(levels)
        finished, remaining = remaining[done[remaining]], remaining[~done[remaining]]
        steps[finished] = levels[level]
        slope_integral = torch.zeros_like(difference) if slope_integral is None else slope_integral
        slope_integral[finished] = slopes[level][finished]
        integrals = _conductances(points, finished, levels[level]) if through else _pop_sums(sums, level, finished)
        for s, integral in enumerate(integrals):
            site = sites.setdefault(s, integral.new_zeros(B, *integral.shape[1:]))
            site[finished.to(integral.device)] = integral
        if not len(remaining):
            break
    assert slope_integral is not None
    return PathIntegral(ends[last], ends[0], steps, tuple(sites[s] for s in sorted(sites)), slope_integral)


def _pop_sums(sums: dict[tuple[int, int], Tensor], level: int, examples: Tensor) -> list[Tensor]:
    """Takes a level's sums out of the dict, and returns those of some examples: (E, T, *S) of each site."""
    totals = (sums.pop((level, s)) for s in sorted(site for of, site in sums if of == level))
    return [total[examples.to(total.device)] for total in totals]


def _conductances(points: Sequence[PathPoints], examples: Tensor, n: int) -> list[Tensor]:
    """The conductance through each site on the paths of these examples, of n points each: (E, T, *S) of each site."""
    owner, node = (torch.cat([getattr(point, name) for point in points]) for name in ("owner", "node"))

    def ordered(chunks: Sequence[Tensor], order: Tensor) -> Tensor:
        return torch.cat(list(chunks))[order.to(chunks[0].device)]

    per_example: list[list[Tensor]] = []
    for example in examples:
        rows = (owner == example).nonzero()[:, 0]
        order = rows[node[rows].argsort()]
        y, gradients = (
            [ordered(chunks, order) for chunks in zip(*(getattr(p.slope, name) for p in points), strict=True)]
            for name in ("sites", "gradients")
        )
        per_example.append([conductance(*pair, n) for pair in zip(y, gradients, strict=True)])
    return [torch.stack(of_site) for of_site in zip(*per_example, strict=True)]


@dataclass(frozen=True, eq=False)
class _Piece:
    """A piece of one example's path from t = start to t = end, with its share of the integrals."""

    start: float
    end: float
    slope: Tensor  # (T,)
    residual: Tensor  # (T,)
    sites: Tensors  # (T, *S) each

    @cached_property
    def error(self) -> float:
        return float(self.residual.abs().max())

    @property
    def halves(self) -> list[tuple[float, float]]:
        middle = (self.start + self.end) / 2
        return [(self.start, middle), (middle, self.end)]


def adaptive_quadrature(problem: Problem, tolerance: Tolerance, *, through: bool = False) -> PathIntegral:
    """Integrates along the paths until each residual is within the tolerance, or `max_steps` leaves no further step.

    through: integrate the conductance through each site, not its mean gradient.

    >>> x = torch.tensor([[2.0]])
    >>> relu = Problem(value=lambda z, owner: torch.relu(z[0] - 0.6), x=(x,), baseline=(0 * x,))
    >>> integral = adaptive_quadrature(relu, Tolerance(tolerance=1e-4))
    >>> round((integral.sites[0] * x).item(), 3), integral.residual.abs().item() < 1e-3
    (1.4, True)
    """
    levels = tuple(n for n in PATH_LEVELS if n <= tolerance.max_steps)
    whole = nested_quadrature(problem, levels, tolerance, through=through)
    allowed = tolerance.allowed(whole.value - whole.baseline_value)
    steps = whole.steps.tolist()

    def piece_of(integral: PathIntegral, i: int, start: float, end: float) -> _Piece:
        share = 1.0 if through else end - start  # of a mean over the piece in the mean over the path
        return _Piece(start, end, integral.slope[i], integral.residual[i], tuple(s[i] * share for s in integral.sites))

    def affordable(example: int) -> int:
        """The number of pieces that can be halved within max_steps, whichever rule their halves need."""
        return (tolerance.max_steps - steps[example]) // (2 * PIECE_LEVELS[-1])

    exceeded = (whole.residual.abs() > allowed).any(1).nonzero()[:, 0].tolist()
    pieces = {e: [piece_of(whole, e, 0.0, 1.0)] for e in exceeded if affordable(e)}
    remaining = list(pieces)
    while remaining:
        halves = [  # of the example e, from t = start to t = end
            (e, start, end)
            for e in remaining
            for piece in _take_worst(pieces[e], affordable(e))
            for start, end in piece.halves
        ]
        owner = torch.tensor([e for e, _, _ in halves], device=allowed.device)
        ends = torch.tensor([half[1:] for half in halves], dtype=torch.float64, device=allowed.device)
        refined = nested_quadrature(
            problem.between(owner, *ends.unbind(1)), PIECE_LEVELS, allowed[owner] / 8, through=through
        )
        for i, ((e, start, end), points) in enumerate(zip(halves, refined.steps.tolist(), strict=True)):
            pieces[e].append(piece_of(refined, i, start, end))
            steps[e] += points
        remaining = [e for e in remaining if affordable(e) and not _within(pieces[e], allowed[e])]
    for e, of_example in pieces.items():
        whole.steps[e] = steps[e]
        whole.slope[e] = torch.stack([piece.slope for piece in of_example]).sum(0)
        for site, shares in zip(whole.sites, zip(*(piece.sites for piece in of_example), strict=True), strict=True):
            site[e] = torch.stack(shares).sum(0)
    return whole


def _take_worst(pieces: list[_Piece], count: int) -> list[_Piece]:
    """Takes out of the list at most `count` pieces, those whose error is at least half the largest."""
    pieces.sort(key=lambda piece: -piece.error)
    worst = [piece for piece in pieces[:count] if piece.error >= pieces[0].error / 2]
    del pieces[: len(worst)]
    return worst


def _within(pieces: Sequence[_Piece], allowed: Tensor) -> bool:
    """Is the residual of the whole path, the sum over its pieces, small enough?"""
    return bool((torch.stack([piece.residual for piece in pieces]).sum(0).abs() <= allowed).all())
