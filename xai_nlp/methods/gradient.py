"""Methods that look at the slope where the input is, and nowhere else: one forward and one backward pass."""

from dataclasses import dataclass

from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method, Scores, method


@method("saliency")
@dataclass(frozen=True, kw_only=True)
class SaliencyMethod(Method):
    """How steeply the target changes with each entry: the gradient, or its size.

    Says how sensitive the model is, not how much an entry contributed; scores do not add up to anything.
    Cost: one forward and one backward pass.
    Misleads: where the model is sure: a word that decides can have a flat slope there; and where it is read as a
    contribution.
    Source: Simonyan, Vedaldi & Zisserman 2013, sec. 3 (arXiv:1312.6034).
    """

    needs_baseline = False
    reduction = "l2"
    unit = ""

    absolute: bool = False

    def scores(self, problem: Problem) -> Scores:
        slope = problem.slope_at_x()
        return Scores(tuple(g.abs() if self.absolute else g for g in slope.gradients), slope.values)


@method("input_x_gradient")
@dataclass(frozen=True, kw_only=True)
class InputXGradientMethod(Method):
    """The gradient times the value it belongs to: what a first-order model of f at x gives to each entry.

    Adds up to f(x) − f(0) only where f is linear.
    Cost: one forward and one backward pass.
    Misleads: where the model is sure, as the slope is flat there; and where zero stands for nothing in particular,
    as in embeddings.
    Source: Shrikumar, Greenside & Kundaje 2016, sec. 1 (arXiv:1605.01713).
    """

    needs_baseline = False

    def scores(self, problem: Problem) -> Scores:
        slope = problem.slope_at_x()
        pairs = zip(slope.sites, slope.gradients, strict=True)
        return Scores(tuple(site[:, None] * gradient for site, gradient in pairs), slope.values)
