"""DeepLIFT: how the difference of each entry from the baseline contributes to the difference of the target.

Rows come in pairs: the first half of each tensor belongs to the inputs, the second half to their baselines. Gradients
are read at the first half only, so rules need to be right only there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import ClassVar, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from xai_nlp.core.problem import Problem, Slope, Tensors, row_entries
from xai_nlp.core.registry import Method, Scores, method
from xai_nlp.hooks.gradient_rules import Call, Rule, Rules, slope_rule, with_gradient_of
from xai_nlp.hooks.model_rules import Memory, ModelRules, Pass
from xai_nlp.methods.propagation import operations
from xai_nlp.methods.propagation.paired_activations import ActivationRule, Activations
from xai_nlp.methods.propagation.paired_nodes import FUSED_ATTENTION, node_rules
from xai_nlp.methods.propagation.paired_rows import for_both, is_change, is_paired, log_mean


def _difference(tensor: Tensor) -> Tensor:
    """Input minus baseline: (R/2, …)."""
    x, x0 = tensor.detach().chunk(2)
    return x - x0


def rescale_rule(call: Call, *, epsilon: float) -> Tensor:
    """Δout / Δin of each entry in place of the slope. Where Δin is zero or no number, the slope itself."""
    x = call.x
    if not is_paired(x):
        return call.run()
    with torch.no_grad():
        y = call.run()
    dx, dy = _difference(x), _difference(y)
    changes = is_change(dx, epsilon)
    ratio = dy / dx
    if not changes.all():
        (slope,) = torch.autograd.grad(call.run(x).sum(), x)
        ratio = torch.where(changes, ratio, slope.chunk(2)[0])
    return with_gradient_of(y, x, ratio)


def softmax_rule(call: Call) -> Tensor:
    """Softmax, or its logarithm, has its slope with the logarithmic means Λ of each pair of weights as weights.

    Δsᵢ = Λᵢ·Δ log sᵢ = Λᵢ·(Δxᵢ − ΔL), and ΔL = Σ ΛΔx / Σ Λ since Σ Δs = 0. This is exact, and a shift of all logits
    changes nothing. The rescale rule for exponentials and their sum would be exact too, but its large terms cancel.
    """
    x = call.x
    if not is_paired(x):
        return call.run()
    dim = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else -1)
    with torch.no_grad():
        y = call.run()
        logs = (y if call.name == "log_softmax" else x.log_softmax(dim)).double()
        mean = for_both(log_mean(logs.exp(), logs).to(x.dtype))
    centred = x - (x.masked_fill(mean == 0, 0) * mean).sum(dim, keepdim=True) / mean.sum(dim, keepdim=True)
    return with_gradient_of(y, centred) if call.name == "log_softmax" else with_gradient_of(y, centred, mean)


def captum_softmax_rule(call: Call, *, epsilon: float) -> Tensor:
    """Captum's rule for softmax: Δout / Δin, minus the mean over the layer and the batch."""
    x = call.x
    with torch.no_grad():
        y = call.run()
        changes = for_both(is_change(_difference(x), epsilon))
        ratio = for_both(_difference(y) / _difference(x))

    def share(gradient: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (by_slope,) = torch.autograd.grad(call.run(leaf), leaf, gradient)
        return torch.where(changes, gradient * ratio, by_slope)

    return with_gradient_of(y, x - x.mean(), share)


def max_pool_rule(call: Call, *, epsilon: float) -> Tensor:
    """The maximum of the input contributes where it lies, that of the baseline where that lies.

    Both contributions are measured from the larger of the two maxima, as in SHAP's and Captum's rule.
    """
    x = call.x
    y, places = call.run(return_indices=True)
    spatial = int(call.name[len("max_pool")])
    if not is_paired(x) or x.ndim != spatial + 2:
        return y
    inputs, (own, others) = x.chunk(2)[0], places.flatten(2).chunk(2)
    high, low = y.detach().chunk(2)
    top = torch.maximum(high, low)
    dx = _difference(x).flatten(2)
    changes = is_change(dx, epsilon)
    scaled = inputs.flatten(2) * torch.where(changes, 1 / dx, 0)
    shares = scaled.gather(2, own) * (top - low).flatten(2) + scaled.gather(2, others) * (high - top).flatten(2)
    slope = torch.where(changes, inputs.flatten(2).detach(), inputs.flatten(2)).gather(2, own)
    return with_gradient_of(y, torch.cat([(shares + slope).view_as(high), low]))


def attention_rule(call: Call) -> Tensor:
    """Attention that is one node of the graph has a rule there; elsewhere it runs as its formula."""
    y = call.run()
    call.unchanged = type(y.grad_fn).__name__ in FUSED_ATTENTION and not getattr(y.grad_fn, "_saved_dropout_p", 0)
    return y if call.unchanged else call.run_as(operations.attention)


def rms_norm_rule(call: Call) -> Tensor:
    """A norm of several nodes in the graph has rules there; one that is a single node runs as its formula."""
    y = call.run()
    call.unchanged = type(y.grad_fn).__name__ in ("MulBackward0", "ToCopyBackward0")
    return y if call.unchanged else call.run_as(operations.rms_norm)


@cache
def operation_rules(epsilon: float, *, as_captum: bool) -> Rules:
    """The rules of operations that have to run otherwise; `as_captum` takes Captum's rule for softmax layers."""
    rescale = partial(rescale_rule, epsilon=epsilon)

    def softmax(call: Call) -> Tensor:
        if as_captum and type(call.module) is nn.Softmax and is_paired(call.x):
            return captum_softmax_rule(call, epsilon=epsilon)
        return softmax_rule(call)

    by_entries = (operations.ACTIVATIONS | operations.FUNCTIONS) - {"gelu", "silu", "pow", "square"} - operations.SCALES
    return {
        **dict.fromkeys(by_entries, rescale),
        **{f"max_pool{n}d": partial(max_pool_rule, epsilon=epsilon) for n in (1, 2, 3)},
        **dict.fromkeys(operations.COMPOSITES, slope_rule),
        "softmax": softmax,
        "log_softmax": softmax_rule,
        "scaled_dot_product_attention": attention_rule,
        "rms_norm": rms_norm_rule,
    }


def deeplift_rules(epsilon: float, *, as_captum: bool) -> ModelRules:
    """The rules of one pass: of operations, of modules that are activations, and of nodes."""
    activations = Activations(ActivationRule(epsilon))

    def activation(module: nn.Module, call: Call) -> Tensor:
        return activations.output(module, call) if is_paired(call.x) else call.run()

    def module_rule(module: nn.Module) -> Rule | None:
        return partial(activation, module) if operations.is_activation(module) else None

    return ModelRules(
        rules=operation_rules(epsilon, as_captum=as_captum),
        module_rule=module_rule,
        graph_rules=node_rules(epsilon),
        memory=_memory,
    )


_memory: Memory = WeakKeyDictionary()


class Multipliers(NamedTuple):
    """DeepLIFT's factors of the differences at each site, and the values on both sides of the differences."""

    tensors: Tensors  # (B, T, *S) each
    x: Tensors  # (B, *S) each: the tensors at the sites for the inputs
    baseline: Tensors  # (B, *S) each: and for the baselines
    values: Tensor  # (B, T)
    baseline_values: Tensor  # (B, T)


def with_values_by(by_rules: Callable[[Pass], Tensor], problem: Problem) -> Problem:
    """The same problem, whose passes go by rules."""
    return replace(problem, value=lambda z, owner: by_rules(lambda: problem.value(z, owner)))


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

        def work(part: slice) -> tuple[Slope, Slope]:
            z = tuple(torch.cat([x[part], x0[part]]) for x, x0 in zip(problem.x, problem.baseline, strict=True))
            owner, rows = problem.everyone[part].repeat(2), part.stop - part.start
            rules = deeplift_rules(self.epsilon, as_captum=self.as_captum)
            slope = rules.apply(lambda by_rules: with_values_by(by_rules, problem).slope(z, owner))
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
