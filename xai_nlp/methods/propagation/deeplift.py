"""DeepLIFT: what each entry's difference from the baseline makes of the target's difference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from xai_nlp.core.problem import Problem, Slope, Tensors
from xai_nlp.core.registry import Method, Scores, method
from xai_nlp.hooks.gradient_rules import Call, Rules, moves, with_gradient_of
from xai_nlp.methods.propagation.operations import (
    ACTIVATIONS,
    FUNCTIONS,
    PRODUCTS,
    as_product,
    attention,
    flowing,
    group_norm,
    layer_norm,
    rms_norm,
    written_out,
)

# Rows come in pairs: the first half of each tensor belongs to the inputs, the second to their baselines. Gradients
# are read at the first half only, so rules need to be right there only.


def difference(tensor: Tensor) -> Tensor:
    """Input less baseline."""
    x, x0 = tensor.detach().chunk(2)
    return x - x0


def unchanged(difference: Tensor, epsilon: float) -> Tensor:
    """Where there is no difference to divide by; ∞ less ∞ is none."""
    return ~(difference.abs() >= epsilon) | (difference == 0)


def paired(tensor: Tensor) -> bool:
    return tensor.ndim > 0 and len(tensor) % 2 == 0


def rescaled(call: Call, *, epsilon: float) -> Tensor:
    """Entry by entry: Δout / Δin in place of the slope. Where nothing changes, or Δ is no number, the slope itself."""
    x = call.x
    if not isinstance(x, Tensor) or not paired(x):
        return call.run()
    with torch.no_grad():
        y = call.run()
    dx, dy = difference(x), difference(y)
    still = unchanged(dx, epsilon)
    ratio = dy / dx
    if still.any():
        (slope,) = torch.autograd.grad(call.run(x).sum(), x)
        ratio = torch.where(still, slope.chunk(2)[0], ratio)
    return with_gradient_of(y, x, ratio)


def averaged(call: Call) -> Tensor:
    """A product of two that both change: each one's slope is the mean of the other at input and baseline, which is
    the Shapley value of two factors. Δ(ab) = Δa·(b + b₀)/2 + Δb·(a + a₀)/2."""
    start = 1 if call.name == "einsum" else 0
    factors = call.args[start] if start < len(call.args) and isinstance(call.args[start], tuple) else call.args[start:]
    if len(factors) != 2 or not all(isinstance(f, Tensor) and moves(f) and paired(f) for f in factors):
        return call.run()

    def mean(factor: Tensor) -> Tensor:
        x, x0 = factor.detach().chunk(2)
        return ((x + x0) / 2).repeat(2, *[1] * (factor.ndim - 1))

    a, b = factors
    with torch.no_grad():
        value = call.run()
    head = call.args[:start]
    return with_gradient_of(value, call.run(*head, a, mean(b)) + call.run(*head, mean(a), b))


def quotient(input: Tensor, other: Any, **kwargs: Any) -> Tensor:
    return input * other.reciprocal() if moves(other) else torch.div(input, other, **kwargs)


def spread(call: Call) -> Tensor:
    """Softmax, or its logarithm, by its slope with Λ in place of the weights: their logarithmic means over each pair.

    Δsᵢ = Λᵢ·Δ log sᵢ = Λᵢ·(Δxᵢ − ΔL); since Σ Δs = 0, ΔL = Σ ΛΔx / Σ Λ. Exact, and blind to a shift of all logits;
    exponentials and their sum, each by the rescale rule, would be exact too, but large, and cancel.
    """
    x = call.x
    if not paired(x):
        return call.run()
    dim = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else -1)
    with torch.no_grad():
        y = call.run()
        logs = y if call.name == "log_softmax" else x.log_softmax(dim)
        high, low = logs.double().chunk(2)
        apart = (high - low).abs()
        mean = torch.maximum(high, low).exp() * torch.where(apart == 0, 1, -torch.expm1(-apart) / apart)
        mean = mean.nan_to_num(0).to(x.dtype).repeat(2, *[1] * (x.ndim - 1))  # of what is masked in both
    lowered = x - (x.masked_fill(mean == 0, 0) * mean).sum(dim, keepdim=True) / mean.sum(dim, keepdim=True)
    return with_gradient_of(y, lowered) if call.name == "log_softmax" else with_gradient_of(y, lowered, mean)


def centred(call: Call, *, epsilon: float) -> Tensor:
    """Captum's rule for softmax: Δout / Δin, less the mean over the layer and the batch."""
    x, y = call.x, call.run()
    dx, dy = difference(x).repeat(2, *[1] * (x.ndim - 1)), difference(y).repeat(2, *[1] * (x.ndim - 1))
    still = unchanged(dx, epsilon)
    ratio = torch.where(still, 0, dy / dx)
    x = x - x.mean()
    return with_gradient_of(y, call.run(torch.where(still, x, x.detach())) + x * ratio)


def pooled(call: Call, *, epsilon: float) -> Tensor:
    """Max pooling: what the input's maximum adds goes to where it is, what the baseline's loses to where that is.

    Both are measured from the larger of the two maxima, as in SHAP's and Captum's rule.
    """
    x = call.x
    y, places = call.run(return_indices=True)
    spatial = int(call.name[len("max_pool")])
    if not paired(x) or x.ndim != spatial + 2:
        return y
    ours, (own, others) = x.chunk(2)[0], places.flatten(2).chunk(2)
    high, low = y.detach().chunk(2)
    top = torch.maximum(high, low)
    dx = difference(x).flatten(2)
    still = unchanged(dx, epsilon)
    scaled = ours.flatten(2) * torch.where(still, 0, 1 / dx)
    shares = scaled.gather(2, own) * (top - low).flatten(2) + scaled.gather(2, others) * (high - top).flatten(2)
    plain = torch.where(still, ours.flatten(2), ours.flatten(2).detach()).gather(2, own)
    return with_gradient_of(y, torch.cat([(shares + plain).view_as(high), low]))


def rules(epsilon: float, *, as_captum: bool) -> Rules:
    """The table of rules. As Captum: its own for softmax layers."""

    def normalised(call: Call) -> Tensor:
        if as_captum and type(call.module) is nn.Softmax and paired(call.x):
            return centred(call, epsilon=epsilon)
        return spread(call)

    return {
        **dict.fromkeys(ACTIVATIONS | FUNCTIONS, partial(rescaled, epsilon=epsilon)),
        **dict.fromkeys(PRODUCTS, averaged),
        **{f"max_pool{n}d": partial(pooled, epsilon=epsilon) for n in (1, 2, 3)},
        **dict.fromkeys(("linear", "addmm", "baddbmm"), partial(as_product, Call.run)),
        "softmax": normalised,
        "log_softmax": spread,
        "div": lambda call: call.made_of(quotient) if moves(call.args[1:]) else call.run(),
        "layer_norm": lambda call: call.made_of(layer_norm),
        "group_norm": lambda call: call.made_of(group_norm),
        "rms_norm": lambda call: call.made_of(rms_norm),
        "scaled_dot_product_attention": lambda call: call.made_of(attention),
    }


class Multipliers(NamedTuple):
    """What DeepLIFT multiplies with the difference, at each site, and what is there for the inputs and baselines."""

    tensors: Tensors  # (B, T, *S) each
    x: Tensors  # (B, *S) each
    baseline: Tensors  # (B, *S) each
    values: Tensor  # (B, T)
    baseline_values: Tensor  # (B, T)


@method("deep_lift")
@dataclass(frozen=True, kw_only=True)
class DeepLiftMethod(Method):
    """Multiplies each difference from the baseline with how the difference spreads: Δout / Δin at each nonlinearity.

    One forward and one backward pass over inputs and baselines side by side. Σ scores = f(x) − f(x₀) where the model
    is made of linear operations, functions of single entries, products, max pooling, softmax and norms; what else
    there is goes by its slope, and the residual says so. Needs the batch in the first dimension throughout.
    Cost: one forward and one backward pass over twice the rows.
    Misleads: where the same function can be written in two ways: scores depend on which; and where the baseline is
    not neutral.
    Source: Shrikumar, Greenside & Kundaje 2017, sec. 3.5.1, the rescale rule (arXiv:1704.02685); products by their
    Shapley value, as Lundberg & Lee 2017, sec. 4.2 compose it (arXiv:1705.07874).
    """

    complete: ClassVar[bool] = True

    multiply: bool = True  # False leaves out the difference: the multipliers themselves
    epsilon: float = 1e-10  # a difference below it is none
    as_captum: bool = False  # its rule for softmax layers, which mixes the examples of a batch

    def multipliers(self, problem: Problem) -> Multipliers:
        one = partial(rescaled, epsilon=self.epsilon)
        rewired = flowing(
            problem,
            rules(self.epsilon, as_captum=self.as_captum),
            whole=lambda module: one if written_out(module) else None,
        )

        def work(part: slice) -> Slope:
            z = tuple(torch.cat([x[part], x0[part]]) for x, x0 in zip(problem.x, problem.baseline, strict=True))
            return rewired.slope(z, problem.everyone[part].repeat(2))

        slopes = [slope for _, slope in problem.chunks(problem.examples, work)]

        def joined(*chunks: Tensor, half: int) -> Tensor:
            return torch.cat([chunk.chunk(2)[half] for chunk in chunks])

        def of_sites(tensors: list[Tensors], half: int) -> Tensors:
            return tuple(joined(*chunks, half=half) for chunks in zip(*tensors, strict=True))

        return Multipliers(
            of_sites([slope.gradients for slope in slopes], 0),
            of_sites([slope.sites for slope in slopes], 0),
            of_sites([slope.sites for slope in slopes], 1),
            joined(*(slope.values for slope in slopes), half=0),
            joined(*(slope.values for slope in slopes), half=1),
        )

    def scores(self, problem: Problem) -> Scores:
        found = self.multipliers(problem)
        tensors = found.tensors
        if self.multiply:
            triples = zip(found.x, found.baseline, found.tensors, strict=True)
            tensors = tuple((x - x0)[:, None] * m for x, x0, m in triples)
        return Scores(tensors, found.values, found.baseline_values)
