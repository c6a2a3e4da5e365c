"""Methods that take the gradient at the input only: one forward and one backward pass."""

from collections import deque
from dataclasses import dataclass

from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method, Scores, method


@method("saliency")
@dataclass(frozen=True, kw_only=True)
class SaliencyMethod(Method):
    """The gradient of the target with respect to each entry, or its size.

    It shows how sensitive the model is, not how much an entry contributes; scores do not add up to anything.
    Cost: one forward and one backward pass.
    Misleads: where the model is sure: a word that decides can have a flat slope there; and where it is read as a
    contribution.
    Source: Simonyan, Vedaldi & Zisserman 2013, sec. 3 (arXiv:1312.6034).
    absolute: the size of each entry's gradient, without its sign.
    """

    needs_baseline = False
    looks_at_x_first = True
    reduction = "l2"
    unit = ""

    absolute: bool = False

    def scores(self, problem: Problem) -> Scores:
        slope = problem.slope_at_x()
        return Scores(tuple(g.abs() if self.absolute else g for g in slope.gradients), slope.values)


@method("input_x_gradient")
@dataclass(frozen=True, kw_only=True)
class InputXGradientMethod(Method):
    """The gradient times the entry: the share of each entry in a first-order model of f at x.

    Scores add up to f(x) − f(0) only where f is linear.
    Cost: one forward and one backward pass.
    Misleads: where the model is sure, as the slope is flat there; and where zero stands for nothing in particular,
    as in embeddings.
    Source: Shrikumar, Greenside & Kundaje 2016, sec. 1 (arXiv:1605.01713).
    """

    needs_baseline = False
    looks_at_x_first = True

    def scores(self, problem: Problem) -> Scores:
        values, sites, gradients = problem.slope_at_x()
        pairs = deque(zip(sites, gradients, strict=True))
        del sites, gradients  # attention matrices are large: a pair is free when it has its product
        products = []
        while pairs:
            site, gradient = pairs.popleft()
            products.append(site[:, None] * gradient)
        return Scores(tuple(products), values)
