"""DeepLIFT's rules for the nodes of a graph, by their kinds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from xai_nlp.core.problem import Tensors
from xai_nlp.hooks.graph_rules import Gradients, GraphRules
from xai_nlp.methods.propagation.paired_rows import (
    TINY,
    Kept,
    MeansRule,
    MultiplierRule,
    all_change,
    for_both,
    is_change,
    is_paired,
    log_mean,
    mean_of,
)


class LayerNormRule(MeansRule):
    """A product c·s of the centred input and its scale, by the Shapley value of both; s by Δs/Δv of the variance v.

    The multipliers are the gradient at means of input and baseline: with c̄·ss₀/s̄² and s̄ in place of c and s.
    """

    saved = ("input", "result2")  # the input is moved to the mean that the node keeps

    def read(self, node: Any) -> Kept | None:
        x = node._saved_input
        return Kept((x, node._saved_result1, node._saved_result2), (x.shape, x.dtype)) if is_paired(x) else None

    def prepare(self, first: Kept, *tensors: Tensor) -> Tensors:
        x, mean, scale = tensors
        (s, s0), mean_scale = scale.chunk(2, 1), mean_of(scale)
        centre = mean_of(x - mean) * (s * s0 / mean_scale.square())
        moved = for_both(centre, 1).add_(mean)
        return moved.to(x.dtype), for_both(mean_scale, 1)


class GroupNormRule(LayerNormRule):
    """`LayerNormRule` of each group of channels."""

    def read(self, node: Any) -> Kept | None:
        x, mean, scale = node._saved_input, node._saved_result1, node._saved_result2
        if not is_paired(x):
            return None
        groups = x.reshape(len(x), node._saved_group, -1)
        return Kept((groups, mean[:, :, None], scale[:, :, None]), (groups.shape, x.shape, x.dtype))

    def prepare(self, first: Kept, *tensors: Tensor) -> Tensors:
        x, scale = super().prepare(first, *tensors)
        return x.view(len(x), *first.key[1]), scale[..., 0]


@dataclass(frozen=True, eq=False)
class ProductRule(MeansRule):
    """The slope of each of two factors is the mean of the other one at input and baseline.

    That is the Shapley value of two factors: Δ(ab) = Δa·(b + b₀)/2 + Δb·(a + a₀)/2.
    saved: the names of the factors; before: how many inputs come before them.
    """

    saved: tuple[str, ...] = ("self", "other")
    before: int = 0

    def read(self, node: Any) -> Kept | None:
        if any(before is None for before, _ in node.next_functions[self.before :]):
            return None  # linear
        a, b = (getattr(node, f"_saved_{name}") for name in self.saved)
        fits = is_paired(a) and is_paired(b) and a.ndim == b.ndim and len(a) == len(b)
        return Kept((a, b), (a.shape, b.shape, a.dtype, b.dtype)) if fits else None

    def prepare(self, first: Kept, *tensors: Tensor) -> Tensors:
        return tuple([for_both(mean_of(t), 1) for t in tensors])


class QuotientRule(MultiplierRule):
    """A product with the reciprocal: Δ(1/b)/Δb = −1/(bb₀)."""

    def read(self, node: Any) -> Kept | None:
        a, b = node._saved_self, node._saved_other
        if node.next_functions[1][0] is None or not is_paired(b):
            return None
        if is_paired(a) and a.ndim == b.ndim and len(a) == len(b):
            return Kept((b, a), (a.shape, b.shape, a.dtype, b.dtype))
        return Kept((b,), (b.shape, b.dtype), (a.detach(),))

    def prepare(self, first: Kept, *tensors: Tensor) -> Tensors:
        b, b0 = tensors[0].chunk(2, 1)
        inverse, product = torch.lerp(1 / b, 1 / b0, 0.5), b * b0
        return for_both(inverse, 1), for_both(product, 1), *(for_both(mean_of(t), 1) for t in tensors[1:])

    def multipliers(self, gradient: Tensor, to_inputs: Gradients, constants: tuple[Any, ...], *prepared: Any) -> Any:
        inverse, product, *means = prepared
        (a,) = means or constants
        of_a = (gradient * inverse).sum_to_size(a.shape) if means else to_inputs[0]
        return of_a, (gradient * -a / product).sum_to_size(product.shape)


@dataclass(frozen=True, eq=False)
class RescaleRule(MultiplierRule):
    """Δout / Δin of each entry in place of the slope. Where Δin is zero or no number, the slope itself.

    function: the operation, of its input and its options; options: the names under which the node keeps those.
    """

    function: Callable[..., Tensor]
    options: tuple[str, ...] = ()
    epsilon: float = 0.0

    def read(self, node: Any) -> Kept | None:
        x = node._saved_self
        options = tuple([getattr(node, name) for name in self.options])
        depends = any(before is not None for before, _ in node.next_functions[1:])  # an exponent may
        return Kept((x,), (x.shape, x.dtype, options)) if is_paired(x) and not depends else None

    def prepare(self, first: Kept, *tensors: Tensor) -> Tensors:
        x, x0 = tensors[0].chunk(2, 1)
        y, y0 = self.function(tensors[0], *first.key[-1]).chunk(2, 1)
        dx = x - x0
        ratio = for_both((y - y0) / dx, 1)
        return (ratio,) if all_change(dx, self.epsilon) else (ratio, for_both(is_change(dx, self.epsilon), 1))

    def multipliers(self, gradient: Tensor, to_inputs: Gradients, constants: tuple[Any, ...], *prepared: Any) -> Any:
        ratio, *changes = prepared
        scaled = gradient * ratio
        return torch.where(changes[0], scaled, to_inputs[0]) if changes else scaled, *to_inputs[1:]


@dataclass(frozen=True, eq=False)
class RatioRule(MultiplierRule):
    """Δout / Δin by a formula of the two outputs, which holds where they are equal too."""

    ratio: Callable[[Tensor, Tensor], Tensor]

    def read(self, node: Any) -> Kept | None:
        y = node._saved_result
        return Kept((y,), (y.shape, y.dtype)) if is_paired(y) else None

    def prepare(self, first: Kept, *tensors: Tensor) -> Tensors:
        return (for_both(self.ratio(*tensors[0].chunk(2, 1)), 1),)

    def multipliers(self, gradient: Tensor, to_inputs: Gradients, constants: tuple[Any, ...], *prepared: Any) -> Any:
        return (gradient * prepared[0],)


class AttentionRule(MultiplierRule):
    """Attention as the operations that its documentation gives: two products, and softmax by logarithmic means.

    What is prepared, and the gradients, are the same for inputs and baselines, and are computed once for both.
    """

    def read(self, node: Any) -> Kept | None:
        q, k, v = node._saved_query, node._saved_key, node._saved_value
        if not is_paired(q):
            return None
        mask = node._saved_attn_bias if hasattr(node, "_saved_attn_bias") else getattr(node, "_saved_attn_mask", None)
        scale = node._saved_scale if node._saved_scale is not None else 1 / math.sqrt(q.shape[-1])
        of_mask = None if mask is None else (mask.data_ptr(), mask.shape)
        key = (q.shape, k.shape, v.shape, q.dtype, scale, node._saved_is_causal, of_mask)
        return Kept((q, k, v), key, (scale, node._saved_is_causal, mask))

    def entries(self, tensors: Tensors) -> int:
        q, k, _ = tensors
        return q[..., 0].numel() * max(k.shape[-2], q.shape[-1])

    def prepare(self, first: Kept, *tensors: Tensor) -> Tensors:
        scale, causal, mask = first.constants
        q, k, v = tensors[0], *(_for_each_head(t, tensors[0]) for t in tensors[1:])
        logits = (q @ k.mT).mul_(scale)
        if causal:
            mask = torch.ones(logits.shape[-2:], dtype=torch.bool, device=q.device).tril()
        if mask is not None and mask.dtype is torch.bool:
            mask = torch.zeros_like(mask, dtype=q.dtype).masked_fill_(~mask, -math.inf)
        if mask is not None:
            logits = logits + mask
        logs = logits.log_softmax(-1, torch.promote_types(logits.dtype, torch.float32))
        weights = logs.exp() if mask is None else logs.exp().nan_to_num_(0)  # a query may see no key at all
        means = log_mean(weights, logs, 1)
        total = means.sum(-1, keepdim=True)
        w, q, k, v = map(mean_of, (weights.to(q.dtype), q, k, v))
        of_half = (means / total.clamp(min=TINY), total * scale, w.mT, q, k, v.mT)
        return tuple([t.flatten(1, 2) for t in of_half])

    def multipliers(self, gradient: Tensor, to_inputs: Gradients, constants: tuple[Any, ...], *prepared: Any) -> Any:
        shares, total, weights, q, k, v = prepared
        rows, heads = gradient.shape[:2]
        gradient = gradient[: rows // 2].flatten(0, 1)
        of_weights = torch.bmm(gradient, v) * total
        of_logits = torch._softmax_backward_data(of_weights, shares, -1, shares.dtype).to(q.dtype)
        of_inputs = torch.bmm(of_logits, k), torch.bmm(of_logits.mT, q), torch.bmm(weights, gradient)
        of_q, *others = [for_both(t).view(rows, heads, *t.shape[1:]) for t in of_inputs]
        groups = heads // to_inputs[1].shape[1]
        return of_q, *(others if groups == 1 else (t.view(rows, -1, groups, *t.shape[2:]).sum(2) for t in others))


def _for_each_head(tensor: Tensor, q: Tensor) -> Tensor:
    """Keys or values for each head of the queries, (N, R, H, …), where several share them."""
    return tensor if tensor.shape[2] == q.shape[2] else tensor.repeat_interleave(q.shape[2] // tensor.shape[2], 2)


#: Attention as one node: on a CPU, and by the kernels of CUDA.
FUSED_ATTENTION = (
    "ScaledDotProductFlashAttentionForCpuBackward0",
    "ScaledDotProductFlashAttentionBackward0",
    "ScaledDotProductEfficientAttentionBackward0",
    "ScaledDotProductCudnnAttentionBackward0",
)


@cache
def node_rules(epsilon: float) -> GraphRules:
    """DeepLIFT's rules by the kinds of nodes."""
    return {
        "NativeLayerNormBackward0": LayerNormRule(),
        "NativeGroupNormBackward0": GroupNormRule(),
        "MulBackward0": ProductRule(),
        "BmmBackward0": ProductRule(("self", "mat2")),
        "BaddbmmBackward0": ProductRule(("batch1", "batch2"), before=1),
        "DivBackward0": QuotientRule(),
        "GeluBackward0": RescaleRule(_gelu, ("_saved_approximate",), epsilon),
        "SiluBackward0": RescaleRule(F.silu, epsilon=epsilon),
        "PowBackward0": RescaleRule(torch.pow, ("_saved_exponent",), epsilon),
        "PowBackward1": RescaleRule(torch.pow, ("_saved_exponent",), epsilon),
        "SqrtBackward0": RatioRule(lambda y, y0: 1 / (y + y0)),
        "RsqrtBackward0": RatioRule(lambda y, y0: -(y * y0).square() / (y + y0)),
        "ReciprocalBackward0": RatioRule(lambda y, y0: -y * y0),
        **dict.fromkeys(FUSED_ATTENTION, AttentionRule()),
    }


def _gelu(x: Tensor, approximate: str) -> Tensor:
    return F.gelu(x, approximate=approximate)
