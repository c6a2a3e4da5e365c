"""DeepLIFT: how the difference of each entry from the baseline contributes to the difference of the target.

Rows come in pairs: the first half of each tensor belongs to the inputs, the second half to their baselines. Gradients
are read at the first half only, so rules need to be right only there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from xai_nlp.core.problem import Problem, Slope, Tensors, row_entries
from xai_nlp.core.registry import Method, Scores, method
from xai_nlp.hooks.gradient_rules import Call, Rules, depends_on_input, with_gradient_of
from xai_nlp.methods.propagation import operations


def _difference(tensor: Tensor) -> Tensor:
    """Input minus baseline: (R/2, …)."""
    x, x0 = tensor.detach().chunk(2)
    return x - x0


def _is_zero(difference: Tensor, epsilon: float) -> Tensor:
    """Where a difference is too small to divide by, or ∞ − ∞."""
    return ~(difference.abs() >= epsilon) | (difference == 0)


def _is_paired(tensor: Tensor) -> bool:
    return tensor.ndim > 0 and len(tensor) % 2 == 0


def _for_both(tensor: Tensor) -> Tensor:
    """The same values for inputs and baselines: (R, …)."""
    return tensor.repeat(2, *[1] * (tensor.ndim - 1))


def rescale_rule(call: Call, *, epsilon: float) -> Tensor:
    """Δout / Δin of each entry in place of the slope. Where Δin is zero or no number, the slope itself."""
    x = call.x
    if not isinstance(x, Tensor) or not _is_paired(x):
        return call.run()
    with torch.no_grad():
        y = call.run()
    dx, dy = _difference(x), _difference(y)
    is_zero = _is_zero(dx, epsilon)
    ratio = dy / dx
    if is_zero.any():
        (slope,) = torch.autograd.grad(call.run(x).sum(), x)
        ratio = torch.where(is_zero, slope.chunk(2)[0], ratio)
    return with_gradient_of(y, x, ratio)


def product_rule(call: Call) -> Tensor:
    """The slope of each of two factors is the mean of the other one at input and baseline.

    That is the Shapley value of two factors: Δ(ab) = Δa·(b + b₀)/2 + Δb·(a + a₀)/2.
    """
    start = 1 if call.name == "einsum" else 0
    factors = call.args[start] if start < len(call.args) and isinstance(call.args[start], tuple) else call.args[start:]
    if len(factors) != 2 or not all(isinstance(f, Tensor) and depends_on_input(f) and _is_paired(f) for f in factors):
        return call.run()

    def mean(factor: Tensor) -> Tensor:
        x, x0 = factor.detach().chunk(2)
        return _for_both((x + x0) / 2)

    a, b = factors
    with torch.no_grad():
        value = call.run()
    equation = call.args[:start]
    return with_gradient_of(value, call.run(*equation, a, mean(b)) + call.run(*equation, mean(a), b))


def _quotient(input: Tensor, other: Any, **kwargs: Any) -> Tensor:
    return input * other.reciprocal() if depends_on_input(other) else torch.div(input, other, **kwargs)


def softmax_rule(call: Call) -> Tensor:
    """Softmax, or its logarithm, has its slope with the logarithmic means Λ of each pair of weights as weights.

    Δsᵢ = Λᵢ·Δ log sᵢ = Λᵢ·(Δxᵢ − ΔL), and ΔL = Σ ΛΔx / Σ Λ since Σ Δs = 0. This is exact, and a shift of all logits
    changes nothing. The rescale rule for exponentials and their sum would be exact too, but its large terms cancel.
    """
    x = call.x
    if not _is_paired(x):
        return call.run()
    dim = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else -1)
    with torch.no_grad():
        y = call.run()
        logs = y if call.name == "log_softmax" else x.log_softmax(dim)
        high, low = logs.double().chunk(2)
        distance = (high - low).abs()
        mean = torch.maximum(high, low).exp() * torch.where(distance == 0, 1, -torch.expm1(-distance) / distance)
        mean = _for_both(mean.nan_to_num(0).to(x.dtype))  # no number where both are masked
    centred = x - (x.masked_fill(mean == 0, 0) * mean).sum(dim, keepdim=True) / mean.sum(dim, keepdim=True)
    return with_gradient_of(y, centred) if call.name == "log_softmax" else with_gradient_of(y, centred, mean)


def captum_softmax_rule(call: Call, *, epsilon: float) -> Tensor:
    """Captum's rule for softmax: Δout / Δin, minus the mean over the layer and the batch."""
    x, y = call.x, call.run()
    dx, dy = _for_both(_difference(x)), _for_both(_difference(y))
    is_zero = _is_zero(dx, epsilon)
    ratio = torch.where(is_zero, 0, dy / dx)
    x = x - x.mean()
    return with_gradient_of(y, call.run(torch.where(is_zero, x, x.detach())) + x * ratio)


def max_pool_rule(call: Call, *, epsilon: float) -> Tensor:
    """The maximum of the input contributes where it lies, that of the baseline where that lies.

    Both contributions are measured from the larger of the two maxima, as in SHAP's and Captum's rule.
    """
    x = call.x
    y, places = call.run(return_indices=True)
    spatial = int(call.name[len("max_pool")])
    if not _is_paired(x) or x.ndim != spatial + 2:
        return y
    inputs, (own, others) = x.chunk(2)[0], places.flatten(2).chunk(2)
    high, low = y.detach().chunk(2)
    top = torch.maximum(high, low)
    dx = _difference(x).flatten(2)
    is_zero = _is_zero(dx, epsilon)
    scaled = inputs.flatten(2) * torch.where(is_zero, 0, 1 / dx)
    shares = scaled.gather(2, own) * (top - low).flatten(2) + scaled.gather(2, others) * (high - top).flatten(2)
    slope = torch.where(is_zero, inputs.flatten(2), inputs.flatten(2).detach()).gather(2, own)
    return with_gradient_of(y, torch.cat([(shares + slope).view_as(high), low]))


def deeplift_rules(epsilon: float, *, as_captum: bool) -> Rules:
    """The table of rules; `as_captum` takes Captum's rule for softmax layers."""

    def softmax(call: Call) -> Tensor:
        if as_captum and type(call.module) is nn.Softmax and _is_paired(call.x):
            return captum_softmax_rule(call, epsilon=epsilon)
        return softmax_rule(call)

    return {
        **operations.formula_rules(Call.run),
        **dict.fromkeys(operations.ACTIVATIONS | operations.FUNCTIONS, partial(rescale_rule, epsilon=epsilon)),
        **dict.fromkeys(operations.PRODUCTS, product_rule),
        **{f"max_pool{n}d": partial(max_pool_rule, epsilon=epsilon) for n in (1, 2, 3)},
        "softmax": softmax,
        "log_softmax": softmax_rule,
        "div": lambda call: call.run_as(_quotient) if depends_on_input(call.args[1:]) else call.run(),
    }


class Multipliers(NamedTuple):
    """DeepLIFT's factors of the differences at each site, and the values on both sides of the differences."""

    tensors: Tensors  # (B, T, *S) each
    x: Tensors  # (B, *S) each: the tensors at the sites for the inputs
    baseline: Tensors  # (B, *S) each: and for the baselines
    values: Tensor  # (B, T)
    baseline_values: Tensor  # (B, T)


@method("deep_lift")
@dataclass(frozen=True, kw_only=True)
class DeepLiftMethod(Method):
    """Each difference from the baseline times its effect on the target, by Δout / Δin at each nonlinearity.

    One forward and one backward pass over inputs and baselines side by side. Σ scores = f(x) − f(x₀) where the model
    consists of linear operations, functions of single entries, products, max pooling, softmax and norms; any other
    operation goes by its slope, and the residual reports it. The batch must be the first dimension throughout.
    Cost: one forward and one backward pass over twice the rows.
    Misleads: where the same function can be written in two ways: scores depend on which; and where the baseline is
    not neutral.
    Source: Shrikumar, Greenside & Kundaje 2017, sec. 3.5.1, the rescale rule (arXiv:1704.02685); products by their
    Shapley value, as Lundberg & Lee 2017, sec. 4.2 compose it (arXiv:1705.07874).
    multiply: False leaves out the difference: the multipliers themselves.
    epsilon: a smaller difference counts as zero.
    as_captum: Captum's rule for softmax layers, which mixes the examples of a batch.
    """

    complete: ClassVar[bool] = True

    multiply: bool = True
    epsilon: float = 1e-10
    as_captum: bool = False

    def multipliers(self, problem: Problem) -> Multipliers:
        """The multipliers of the differences; an example and its baseline are two rows of one pass."""
        rescale = partial(rescale_rule, epsilon=self.epsilon)
        by_rules = operations.with_gradient_rules(
            problem,
            deeplift_rules(self.epsilon, as_captum=self.as_captum),
            module_rule=lambda module: rescale if operations.is_activation_formula(module) else None,
        )

        def work(part: slice) -> tuple[Slope, Slope]:
            z = tuple(torch.cat([x[part], x0[part]]) for x, x0 in zip(problem.x, problem.baseline, strict=True))
            slope, rows = by_rules.slope(z, problem.everyone[part].repeat(2)), part.stop - part.start
            return slope.rows(slice(rows)), slope.rows(slice(rows, None))

        limit = problem.rows.limit
        batching = replace(problem.rows, limit=limit and max(1, limit // 2))
        entries = row_entries(problem.x + problem.baseline)
        pairs = [pair for _, pair in batching.chunks(problem.examples, entries, problem.x[0].device, work)]
        inputs, baselines = map(Slope.joined, zip(*pairs, strict=True))
        return Multipliers(inputs.gradients, inputs.sites, baselines.sites, inputs.values, baselines.values)

    def scores(self, problem: Problem) -> Scores:
        multipliers = self.multipliers(problem)
        tensors = multipliers.tensors
        if self.multiply:
            triples = zip(multipliers.x, multipliers.baseline, tensors, strict=True)
            tensors = tuple((x - x0)[:, None] * m for x, x0, m in triples)
        return Scores(tensors, multipliers.values, multipliers.baseline_values)
