"""Methods that follow the straight line from the baseline to the input."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from xai_nlp.core.adaptive import Goal, Refined, refined
from xai_nlp.core.path import clenshaw_curtis, mean_gradient, quadrature, sweep
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.registry import Method, Scores, method


@dataclass(frozen=True, kw_only=True)
class PathMethod(Method):
    """What the methods of this family share: how finely the path is walked.

    steps: points on the path, or "auto" to refine until the residual is within `tolerance` (at most `max_steps`).
    rule: a key of `core.path.RULES`, for a fixed number of steps; "auto" has its own nested rule.
    """

    steps: int | Literal["auto"] = "auto"
    rule: str = "gauss_legendre"
    tolerance: float = 0.01
    max_steps: int = 129

    @property
    def goal(self) -> Goal:
        return Goal(tolerance=self.tolerance, max_steps=self.max_steps)

    def mean_gradient(self, problem: Problem) -> Refined:
        """The mean gradient over the path, with f at its ends where they were evaluated."""
        if self.steps == "auto":
            return refined(problem, self.goal)
        means = mean_gradient(problem, quadrature(self.rule, self.steps))
        steps = torch.full((problem.examples,), self.steps)
        return Refined(None, None, steps, means)


@method("integrated_gradients")
@dataclass(frozen=True, kw_only=True)
class IntegratedGradients(PathMethod):
    """Shares f(x) − f(x₀) out: the gradient averaged along the line from the baseline, times the displacement.

    Units: those of f; Σ scores = f(x) − f(x₀) up to the residual, which is reported.
    Source: Sundararajan, Taly & Yan 2017, eq. 1 (arXiv:1703.01365), with Gauss–Legendre or Clenshaw–Curtis nodes in
    place of the Riemann sum of eq. 3. At a layer it is Captum's LayerIntegratedGradients.
    """

    complete: ClassVar[bool] = True
    inner: ClassVar[bool] = False

    multiply: bool = True  # False leaves out the displacement: the mean gradient itself

    def scores(self, problem: Problem) -> Scores:
        found = self.mean_gradient(problem)
        means = found.means
        if self.multiply:
            pairs = zip(problem.x, problem.baseline, means, strict=True)
            means = tuple((x - x0)[:, None] * mean for x, x0, mean in pairs)
        return Scores(means, found.value, found.baseline_value, found.steps)


@method("internal_influence")
@dataclass(frozen=True, kw_only=True)
class InternalInfluence(PathMethod):
    """How steeply the target changes with each entry of a site, averaged while the inputs go from baseline to input.

    Scores are gradients: they do not add up to f(x) − f(x₀).
    Source: Leino et al. 2018, def. 2 with the line as distribution of interest (arXiv:1802.03788).
    """

    reduction: ClassVar[str] = "l2"
    unit: ClassVar[str] = ""

    def scores(self, problem: Problem) -> Scores:
        found = self.mean_gradient(problem)
        return Scores(found.means, found.value, found.baseline_value, found.steps)


@method("conductance")
@dataclass(frozen=True, kw_only=True)
class Conductance(PathMethod):
    """How much of f(x) − f(x₀) flows through each entry of a site: ∫ ∂f/∂y · dy/dt dt while the inputs move.

    Σ scores over a layer that everything passes through = f(x) − f(x₀); over a part of it, what that part carries.
    At the inputs it is integrated gradients. Kept in memory: gradient and value of the sites at every step, for one
    example at a time; dy/dt comes from differentiating the interpolant through those values.
    Source: Dhamdhere, Sundararajan & Yan 2018, eq. 2 (arXiv:1805.12233); differentiation matrix: Trefethen 2000, ch. 6.
    """

    complete: ClassVar[bool] = True

    def scores(self, problem: Problem) -> Scores:
        if self.steps != "auto":
            quadrature(self.rule, self.steps)
        each = [self._of_one(problem.part(example)) for example in problem.everyone.split(1)]
        return Scores(
            tuple(map(torch.cat, zip(*(s.tensors for s in each), strict=True))),
            *(
                None if getattr(each[0], name) is None else torch.cat([getattr(s, name) for s in each])
                for name in ("value", "baseline_value", "steps")
            ),
        )

    def _of_one(self, problem: Problem) -> Scores:
        if self.steps == "auto":
            found = refined(problem, self.goal, keep=True)
            points, n = found.points, int(found.steps)
        else:
            n = max(self.steps, 2)
            points = list(sweep(problem, problem.everyone, clenshaw_curtis(n).nodes))
            found = Refined(None, None, torch.tensor([n]))
        order = torch.cat([point.index for point in points]).argsort()
        sites = _joined([point.slope.sites for point in points], order)
        gradients = _joined([point.slope.gradients for point in points], order)
        tensors = tuple(_flow(y, g, n) for y, g in zip(sites, gradients, strict=True))
        return Scores(tensors, found.value, found.baseline_value, found.steps)


def _joined(parts: list[Tensors], order: Tensor) -> Tensors:
    return tuple(torch.cat(of_site)[order] for of_site in zip(*parts, strict=True))


def _flow(y: Tensor, gradient: Tensor, n: int) -> Tensor:
    """∫ g · dy/dt dt from values y (n, *S) and gradients g (n, T, *S) at the Clenshaw–Curtis nodes: (1, T, *S)."""
    rule = clenshaw_curtis(n)
    speed = torch.einsum("ij,j...->i...", differentiation(rule.nodes).to(y.device), y.double())
    return torch.einsum("i,i...,it...->t...", rule.weights.to(y.device), speed, gradient.double()).to(y.dtype)[None]


def differentiation(nodes: Tensor) -> Tensor:
    """D with (D y)ᵢ = p′(tᵢ), p the polynomial through y at the nodes: (N, N) float64.

    >>> t = clenshaw_curtis(5).nodes
    >>> bool(torch.allclose(differentiation(t) @ t**4, 4 * t**3))
    True
    """
    gaps = nodes[:, None] - nodes[None, :]
    gaps.fill_diagonal_(1)
    scale = gaps.prod(1)
    matrix = scale[:, None] / scale[None, :] / gaps
    matrix.fill_diagonal_(0)
    return matrix - torch.diag(matrix.sum(1))
