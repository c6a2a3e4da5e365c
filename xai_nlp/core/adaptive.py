"""steps="auto": refine the path until Σ scores meets f(x) − f(x₀), and throw away nothing that was computed.

The nodes of the Clenshaw–Curtis rule with 2n − 1 steps hold those with n, both ends among them. So the ends' values
f(x) and f(x₀) come with the first sweep, each refinement evaluates only the new nodes, and examples that are good
enough leave. That Σ scores must equal f(x) − f(x₀) makes the error known, not estimated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

from xai_nlp.core.path import Stretch, add_rows, clenshaw_curtis, sweep, weighted
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.errors import InvalidInput

FIRST = 9  # steps of the coarsest rule
FLOOR = 0.05  # in units of f: below this, f(x) − f(x₀) counts as this much when a residual is judged


@dataclass(frozen=True, kw_only=True)
class Goal:
    """How exact is exact enough: |f(x) − f(x₀) − Σ| ≤ tolerance · max(|f(x) − f(x₀)|, FLOOR), or `max_steps`."""

    tolerance: float = 0.01
    max_steps: int = 129

    def __post_init__(self) -> None:
        if not self.tolerance > 0:
            raise InvalidInput(f"tolerance must be positive; got {self.tolerance}. 0.01 leaves 1 % unexplained.")
        if self.max_steps < FIRST:
            raise InvalidInput(f"max_steps must be at least {FIRST} for steps='auto'; got {self.max_steps}.")

    def met(self, explained: Tensor, total: Tensor) -> Tensor:
        """Which examples are done: (B, T) each -> (B,)."""
        return ((explained - total).abs() <= self.tolerance * explained.abs().clamp_min(FLOOR)).all(1)


@dataclass(frozen=True)
class Ladder:
    """The nested rules, all written on the node list of the finest."""

    nodes: Tensor  # (N,) of the finest rule
    weights: Tensor  # (levels, N); zero where a level has no node
    steps: tuple[int, ...]  # how many nodes each level has

    @classmethod
    @lru_cache(maxsize=8)
    def upto(cls, max_steps: int) -> Ladder:
        steps = [FIRST]
        while 2 * steps[-1] - 1 <= max_steps:
            steps.append(2 * steps[-1] - 1)
        weights = torch.zeros(len(steps), steps[-1], dtype=torch.float64)
        for level, n in enumerate(steps):
            weights[level, :: (steps[-1] - 1) // (n - 1)] = clenshaw_curtis(n).weights
        return cls(clenshaw_curtis(steps[-1]).nodes, weights, tuple(steps))

    def places(self, level: int) -> Tensor:
        """Where the nodes that this level adds to the one before stand in the list."""
        every = torch.arange(0, len(self.nodes), (len(self.nodes) - 1) // (self.steps[level] - 1))
        return every[1::2] if level else every


@dataclass
class Refined:
    """What a refinement ended with."""

    value: Tensor  # (B, T) f(x)
    baseline_value: Tensor  # (B, T) f(x₀)
    steps: Tensor  # (B,) points of the path that were evaluated
    means: Tensors = ()  # (B, T, *S) each: the gradients' mean over the path
    points: list[Stretch] = field(default_factory=list)  # every point, if they were to be kept


def _along(problem: Problem, owner: Tensor, gradients: Tensors) -> Tensor:
    """The slope along the path, ⟨∇f, x − x₀⟩, of rows that belong to `owner`: (R, T)."""
    parts = [
        ((x - x0)[owner, None] * gradient).flatten(2).sum(2, dtype=torch.float64)
        for x, x0, gradient in zip(problem.x, problem.baseline, gradients, strict=True)
    ]
    return torch.stack(parts).sum(0)


def refined(problem: Problem, goal: Goal, *, keep: bool = False) -> Refined:
    """The mean gradient at every site, to the goal; `keep` keeps every point of the path instead.

    The residual that is judged is that of the inputs' own path integral, along which the sites' gradients are taken.
    """
    ladder, B, device = Ladder.upto(goal.max_steps), problem.examples, problem.x[0].device
    weights, last = ladder.weights.to(device), len(ladder.nodes) - 1
    undone = problem.everyone
    ends: dict[int, Tensor] = {}  # place of an end -> (B, T)
    along: dict[int, Tensor] = {}  # level -> (B, T): the path integral of the slope by that rule
    sums: dict[tuple[int, int], Tensor] = {}  # (level, site) -> (B, T, *S): the same of the gradients
    means: dict[int, Tensor] = {}
    steps = torch.zeros(B, dtype=torch.long, device=device)
    points: list[Stretch] = []
    for level in range(len(ladder.steps)):
        fresh = ladder.places(level).to(device)
        for owner, index, slope in sweep(
            problem, undone, ladder.nodes.to(device)[fresh], inputs_too=bool(problem.sites)
        ):
            place = fresh[index]
            own, inputs = slope.gradients[: -len(problem.x)], slope.gradients[-len(problem.x) :]
            own = own or inputs
            if keep:
                points.append(Stretch(owner, place, slope._replace(sites=slope.sites[: len(own)], gradients=own)))
            for end in (0, last):
                here = place == end
                ends[end] = add_rows(ends.get(end), owner[here], slope.values[here].double(), B)
            slopes = _along(problem, owner, inputs)
            for finer in range(level, len(ladder.steps)):  # every rule that may yet be the last
                w = weights[finer, place]
                along[finer] = add_rows(along.get(finer), owner, weighted(slopes, w), B)
                for s, gradient in enumerate(() if keep else own):
                    sums[finer, s] = add_rows(sums.get((finer, s)), owner, weighted(gradient, w), B)
        steps[undone] = ladder.steps[level]
        done = goal.met((ends[last] - ends[0])[undone], along[level][undone])
        done |= level + 1 == len(ladder.steps)
        for s in [site for of, site in sums if of == level]:
            reached = sums.pop((level, s))
            means.setdefault(s, torch.zeros_like(reached))[undone[done]] = reached[undone[done]]
        undone = undone[~done]
        if not len(undone):
            break
    return Refined(ends[last], ends[0], steps, tuple(means[s] for s in sorted(means)), points)
