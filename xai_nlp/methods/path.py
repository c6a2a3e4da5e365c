"""Methods that follow the straight line from the baseline to the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from xai_nlp.core.adaptive_quadrature import PathIntegral, adaptive_quadrature, nested_quadrature
from xai_nlp.core.conductance import left_conductance
from xai_nlp.core.path import mean_gradient
from xai_nlp.core.problem import Problem, cat_each
from xai_nlp.core.quadrature import quadrature, tangent_clenshaw_curtis
from xai_nlp.core.registry import Method, Scores, Sweep, method
from xai_nlp.core.subject import Subject
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.scope import HookPoint


@dataclass(frozen=True, kw_only=True)
class PathMethod(Method):
    """Options of the methods that follow a path.

    steps: points on the path, or "auto" to refine until the residual is within `tolerance`, with at most `max_steps`.
    rule: the quadrature rule for a fixed number of steps: gauss_legendre, clenshaw_curtis, tangent_clenshaw_curtis,
        trapezoid, left, middle or right; "auto" has its own nested rules.
    tolerance: the residual that "auto" refines to, as a share of the change of the output.
    max_steps: the points of the path at which "auto" stops.
    """

    steps: int | Literal["auto"] = "auto"
    rule: str = "gauss_legendre"
    tolerance: float = 0.01
    max_steps: int = 513

    def sweep(self, subject: Subject, layers: Sequence[HookPoint], attention: Sequence[HookPoint]) -> Sweep:
        flow = self._flow()
        problem = subject.problem(observe=[*layers, *attention], also_inputs=True)
        scores = flow.scores(problem).with_ends(problem)
        inner = scores.tensors[: -len(problem.x)]
        counts = [1] * len(layers)  # a layer may give several tensors, of which its hidden states come first
        if len(inner) != len(layers) + len(attention):
            counts = [len(tensors) for tensors in subject.tensors(layers)]
        firsts = [sum(counts[:k]) for k in range(len(layers))]
        inputs = replace(scores, tensors=scores.tensors[-len(problem.x) :])
        return Sweep(inputs, tuple(inner[k] for k in firsts), inner[sum(counts) :], tuple(attention))

    def _flow(self) -> PathMethod:
        """The method that scores layers and matrices while the inputs move."""
        return self

    def scores(self, problem: Problem) -> Scores:
        """The mean gradient over the path at each site; with steps="auto" also f at the ends of the path."""
        if self.steps == "auto":
            integral = adaptive_quadrature(problem, tolerance=self.tolerance, max_steps=self.max_steps)
            return Scores(integral.sites, integral.value, integral.baseline_value, integral.steps)
        means = mean_gradient(problem, quadrature(self.rule, self.steps))
        return Scores(means, steps=torch.full((problem.examples,), self.steps))


@method("integrated_gradients")
@dataclass(frozen=True, kw_only=True)
class IntegratedGradientsMethod(PathMethod):
    """Shares of f(x) − f(x₀): the gradient averaged along the line from the baseline, times the displacement.

    multiply: times the displacement; without, the mean gradient itself.
    Units: those of f; Σ scores = f(x) − f(x₀) up to the residual, which is reported.
    Cost: a forward and a backward pass at each step: 9 to 513, by default as many as the tolerance asks for.
    Misleads: where the baseline is not neutral: scores explain the difference from it; and where the path leads
    through points that no input is like.
    Source: Sundararajan, Taly & Yan 2017, eq. 1 (arXiv:1703.01365), with Gauss–Legendre or Patterson nodes in
    place of the Riemann sum of eq. 3. At a layer it is Captum's LayerIntegratedGradients.
    """

    complete: ClassVar[bool] = True
    supports_layers: ClassVar[bool] = False

    multiply: bool = True  # False leaves out the displacement: the mean gradient itself

    @property
    def looks_at_x_first(self) -> bool:
        return self.steps == "auto"

    def _flow(self) -> PathMethod:
        if (self.rule, self.multiply) != (IntegratedGradientsMethod.rule, IntegratedGradientsMethod.multiply):
            raise InvalidInput(
                "layers=True and attention=True take all scores from one sweep by a rule of its own, times the "
                f"displacement; got rule={self.rule!r}, multiply={self.multiply}. Leave these options out, or ask for "
                "layers and attention in another call."
            )
        return Conductance(steps=self.steps, tolerance=self.tolerance, max_steps=self.max_steps)

    def scores(self, problem: Problem) -> Scores:
        means = super().scores(problem)
        if not self.multiply:
            return means
        triples = zip(problem.x, problem.baseline, means.tensors, strict=True)
        return replace(means, tensors=tuple((x - x0)[:, None] * mean for x, x0, mean in triples))


@method("internal_influence")
@dataclass(frozen=True, kw_only=True)
class InternalInfluenceMethod(PathMethod):
    """The gradient with respect to each entry of a site, averaged while the inputs go from the baseline to the input.

    Scores are gradients: they do not add up to f(x) − f(x₀).
    Cost: a forward and a backward pass at each step: 9 to 513, by default as many as the tolerance asks for.
    Misleads: where it is read as a contribution: entries that contribute nothing may have steep slopes.
    Source: Leino et al. 2018, def. 2 with the line as distribution of interest (arXiv:1802.03788).
    """

    reduction: ClassVar[str] = "l2"
    unit: ClassVar[str] = ""

    def _flow(self) -> PathMethod:
        raise InvalidInput(
            "layers=True and attention=True go with method='integrated_gradients' or 'conductance'; got "
            f"{self.name!r}, whose scores are gradients."
        )


@method("conductance")
@dataclass(frozen=True, kw_only=True)
class Conductance(PathMethod):
    """How much of f(x) − f(x₀) flows through each entry of a site: ∫ ∂f/∂y · dy/dt dt while the inputs move.

    Σ scores over a layer that everything passes through = f(x) − f(x₀); over a part of it, the share of that part.
    At the inputs it is integrated gradients. Gradients and values of the sites at every step stay in memory, for one
    example at a time; dy/dt is the derivative of the polynomial through those values. With a number of steps and a
    `rule` other than "tangent_clenshaw_curtis" it is Captum's first-order sum, which needs no such memory.
    Cost: a forward and a backward pass at each step: 9 to 513, by default as many as the tolerance asks for.
    Misleads: where two entries cancel each other: both score, and only their sum is real; and as integrated gradients
    do.
    Source: Dhamdhere, Sundararajan & Yan 2018, eq. 2 (arXiv:1805.12233); differentiation matrix: Trefethen 2000, ch. 6.
    """

    complete: ClassVar[bool] = True

    rule: str = "tangent_clenshaw_curtis"

    def scores(self, problem: Problem) -> Scores:
        if self.steps != "auto" and self.rule != Conductance.rule:
            tensors = left_conductance(problem, quadrature(self.rule, self.steps + 1))
            return Scores(tensors, steps=torch.full((problem.examples,), self.steps + 1))
        integrals = [self._integral(problem.part(example)) for example in problem.everyone.split(1)]
        value, baseline_value, steps = cat_each((one.value, one.baseline_value, one.steps) for one in integrals)
        return Scores(cat_each(one.sites for one in integrals), value, baseline_value, steps)

    def _integral(self, problem: Problem) -> PathIntegral:
        if self.steps == "auto":
            return adaptive_quadrature(problem, tolerance=self.tolerance, max_steps=self.max_steps, through=True)
        quadrature(self.rule, self.steps)  # raises where steps make no sense
        return nested_quadrature(problem, (max(self.steps, 2),), through=True, rule=tangent_clenshaw_curtis)
