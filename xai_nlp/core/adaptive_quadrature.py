"""steps="auto": refine the path until Σ scores meets f(x) − f(x₀).

That Σ scores must equal f(x) − f(x₀) makes the error known, not estimated, for the whole path and for any piece of it.
First the whole path climbs a ladder of Clenshaw–Curtis rules, 9, 17 and 33 nodes, each of which holds the nodes of the
one before: nothing is computed twice, both ends are among the nodes, and examples that are good enough leave. A path
that is still not good enough has a kink (ReLU) or a steep place somewhere: then the pieces with the largest error are
halved, again and again, so that points gather where they are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from xai_nlp.core.path import Stretch, add_rows, clenshaw_curtis, flow, sweep, weighted
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.errors import InvalidInput

LADDER = (9, 17, 33)  # nodes of the rules for the whole path
SHORT = (9, 17)  # and for a piece of it
FLOOR = 0.05  # in units of f: below this, f(x) − f(x₀) counts as this much when a residual is judged


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How exact is exact enough: |f(x) − f(x₀) − Σ| ≤ tolerance · max(|f(x) − f(x₀)|, FLOOR), or `max_steps` points."""

    tolerance: float = 0.01
    max_steps: int = 513

    def __post_init__(self) -> None:
        if not self.tolerance > 0:
            raise InvalidInput(f"tolerance must be positive; got {self.tolerance}. 0.01 leaves 1 % unexplained.")
        if self.max_steps < LADDER[0]:
            raise InvalidInput(f"max_steps must be at least {LADDER[0]} for steps='auto'; got {self.max_steps}.")

    def allowed(self, explained: Tensor) -> Tensor:
        """The residual that may be left where f(x) − f(x₀) is `explained`."""
        return self.tolerance * explained.abs().clamp_min(FLOOR)


@dataclass(frozen=True)
class PathIntegral:
    """What is known of the paths of B examples once they were walked."""

    value: Tensor  # (B, T) f at the end
    baseline_value: Tensor  # (B, T) f at the start
    steps: Tensor  # (B,) points that were evaluated
    parts: Tensors  # (B, T, *S) a site: the gradients' mean, or what flowed through the site
    along: Tensor  # (B, T): the integral of the slope along the path

    @property
    def residual(self) -> Tensor:
        """What the integral along the path misses: (B, T)."""
        return self.value - self.baseline_value - self.along


@lru_cache(maxsize=8)
def nested(steps: tuple[int, ...]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The finest rule's nodes (N,), every rule's weights on them (levels, N), and the places that each rule adds."""
    finest = steps[-1]
    weights = torch.zeros(len(steps), finest, dtype=torch.float64)
    places = []
    for level, n in enumerate(steps):
        every = torch.arange(0, finest, (finest - 1) // (n - 1))
        weights[level, every] = clenshaw_curtis(n).weights
        places.append(every[1::2] if level else every)
    return clenshaw_curtis(finest).nodes, weights, places


def _along(problem: Problem, owner: Tensor, gradients: Tensors) -> Tensor:
    """The slope along the path, ⟨∇f, x − x₀⟩, of rows that belong to `owner`: (R, T)."""
    parts = [
        ((x - x0)[owner.to(x.device), None] * gradient).flatten(2).sum(2, dtype=torch.float64)
        for x, x0, gradient in zip(problem.x, problem.baseline, gradients, strict=True)
    ]
    return torch.stack([part.to(owner.device) for part in parts]).sum(0)


def nested_quadrature(
    problem: Problem, ladder: tuple[int, ...], goal: Tolerance, allowed: Tensor | None, *, through: bool
) -> PathIntegral:
    """The paths by the first rule of the ladder that leaves no more than `allowed` (B, T), or by the last.

    through: what flows through each site (conductance) instead of its mean gradient; keeps the points until the end.
    """
    device = problem.x[0].device
    nodes, weights, places = nested(ladder)
    nodes, weights = nodes.to(device), weights.to(device)
    B, undone, last = problem.examples, problem.everyone, len(nodes) - 1
    ends: dict[int, Tensor] = {}  # place of an end -> (B, T)
    along: dict[int, Tensor] = {}  # level -> (B, T)
    sums: dict[tuple[int, int], Tensor] = {}  # (level, site) -> (B, T, *S)
    parts: dict[int, Tensor] = {}  # site -> (B, T, *S), filled as examples are done
    points: list[Stretch] = []
    steps, total = torch.zeros_like(undone), None
    for level, fresh in enumerate(places):
        for owner, index, slope in sweep(problem, undone, nodes[fresh.to(device)], inputs_too=bool(problem.sites)):
            place = fresh.to(device)[index]
            inputs = slope.gradients[-len(problem.x) :]
            own = slope.gradients if problem.also_inputs else slope.gradients[: -len(problem.x)] or inputs
            for end in (0, last):
                here = place == end
                ends[end] = add_rows(ends.get(end), owner[here], slope.values[here].double(), B)
            slopes = _along(problem, owner, inputs)
            if through:
                points.append(Stretch(owner, place, slope._replace(sites=slope.sites[: len(own)], gradients=own)))
            for finer in range(level, len(ladder)):  # every rule that may yet be the last
                w = weights[finer, place]
                along[finer] = add_rows(along.get(finer), owner, weighted(slopes, w), B)
                for s, gradient in enumerate(() if through else own):
                    sums[finer, s] = add_rows(sums.get((finer, s)), owner, weighted(gradient, w), B)
        explained = ends[last] - ends[0]
        limit = goal.allowed(explained) if allowed is None else allowed
        done = ((explained - along[level]).abs() <= limit).all(1)[undone] | (level + 1 == len(ladder))
        finished = undone[done]
        steps[finished] = ladder[level]
        total = torch.zeros_like(explained) if total is None else total
        total[finished] = along[level][finished]
        found = _flows(points, finished, ladder[level]) if through else _taken(sums, level, finished)
        for s, part in enumerate(found):
            parts.setdefault(s, part.new_zeros(B, *part.shape[1:]))[finished.to(part.device)] = part
        undone = undone[~done]
        if not len(undone):
            break
    assert total is not None
    return PathIntegral(ends[last], ends[0], steps, tuple(parts[s] for s in sorted(parts)), total)


def _taken(sums: dict[tuple[int, int], Tensor], level: int, examples: Tensor) -> list[Tensor]:
    """A level's sums of some examples; the level is not needed again."""
    taken = (sums.pop((level, s)) for s in sorted(site for of, site in sums if of == level))
    return [total[examples.to(total.device)] for total in taken]


def _flows(points: Sequence[Stretch], examples: Tensor, n: int) -> list[Tensor]:
    """What flowed through each site on the paths of these examples, known at n nodes: (E, T, *S) each."""
    owner, place = (torch.cat([getattr(point, name) for point in points]) for name in ("owner", "place"))
    found: list[list[Tensor]] = []
    for example in examples:
        mine = (owner == example).nonzero()[:, 0]
        order = mine[place[mine].argsort()]
        groups = [[p.slope.sites for p in points], [p.slope.gradients for p in points]]
        sites, slopes = ([_ordered(of_site, order) for of_site in zip(*group, strict=True)] for group in groups)
        found.append([flow(y, gradient, n) for y, gradient in zip(sites, slopes, strict=True)])
    return [torch.stack(of_site) for of_site in zip(*found, strict=True)]


def _ordered(parts: Sequence[Tensor], order: Tensor) -> Tensor:
    return torch.cat(list(parts))[order.to(parts[0].device)]


@dataclass(frozen=True, eq=False)
class _Piece:
    """A piece of one example's path: from where to where, and what it contributes."""

    start: float
    end: float
    along: Tensor  # (T,)
    residual: Tensor  # (T,)
    parts: Tensors  # (T, *S) each

    @property
    def error(self) -> float:
        return float(self.residual.abs().max())


def adaptive_quadrature(problem: Problem, goal: Tolerance, *, through: bool = False) -> PathIntegral:
    """The paths to the goal: `parts` are mean gradients over the path, or `through` what flowed through each site."""
    ladder = tuple(n for n in LADDER if n <= goal.max_steps)
    walk = nested_quadrature(problem, ladder, goal, None, through=through)
    allowed = goal.allowed(walk.value - walk.baseline_value)
    undone = ((walk.residual.abs() > allowed).any(1) & (walk.steps < goal.max_steps)).nonzero()[:, 0].tolist()
    pieces = {
        e: [_Piece(0.0, 1.0, walk.along[e], walk.residual[e], tuple(part[e] for part in walk.parts))] for e in undone
    }
    while undone:
        halves = [(e, *half) for e in undone for half in _halved(pieces[e])]
        owner = torch.tensor([e for e, _, _ in halves], device=allowed.device)
        ends = [
            torch.tensor(t, dtype=torch.float64, device=allowed.device)
            for t in zip(*(h[1:] for h in halves), strict=True)
        ]
        short = nested_quadrature(problem.between(owner, *ends), SHORT, goal, allowed[owner] / 8, through=through)
        for i, (e, start, end) in enumerate(halves):
            scale = 1.0 if through else end - start
            parts = tuple(part[i] * scale for part in short.parts)
            pieces[e].append(_Piece(start, end, short.along[i], short.residual[i], parts))
            walk.steps[e] += short.steps[i]
        undone = [e for e in undone if not _good(pieces[e], allowed[e]) and walk.steps[e] < goal.max_steps]
    for e, of_example in pieces.items():
        walk.along[e] = torch.stack([piece.along for piece in of_example]).sum(0)
        for part, found in zip(walk.parts, zip(*(piece.parts for piece in of_example), strict=True), strict=True):
            part[e] = torch.stack(found).sum(0)
    return walk


def _halved(pieces: list[_Piece]) -> list[tuple[float, float]]:
    """Takes the pieces with the largest errors out of the list; their halves are to come back measured."""
    worst = max(piece.error for piece in pieces)
    halves = []
    for piece in [p for p in pieces if p.error >= worst / 2]:
        pieces.remove(piece)
        middle = (piece.start + piece.end) / 2
        halves += [(piece.start, middle), (middle, piece.end)]
    return halves


def _good(pieces: Sequence[_Piece], allowed: Tensor) -> bool:
    return bool((torch.stack([piece.residual for piece in pieces]).sum(0).abs() <= allowed).all())
