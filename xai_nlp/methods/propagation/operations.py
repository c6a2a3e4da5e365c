"""What torch's operations are, for methods that change how gradients flow through them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.hooks.gradient_rules import Call, Rule, gradient_rules, moves


def _named(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Of one tensor, entry by entry, and zero or nearly so at zero: activations.
ACTIVATIONS = _named(
    """relu relu6 leaky_relu elu selu celu gelu silu mish softplus tanh tanhshrink softsign softshrink hardshrink
    threshold prelu rrelu hardtanh hardswish hardsigmoid sigmoid expit logsigmoid clamp clamp_min clamp_max clip"""
)
#: Entry by entry too, but part of some formula rather than a layer of their own.
FUNCTIONS = _named("exp expm1 log log1p log2 log10 sqrt rsqrt reciprocal pow square erf sin cos atan abs")
#: What a signal is divided by, to bring it to scale.
SCALES = _named("sqrt rsqrt reciprocal var std norm vector_norm linalg_vector_norm")
#: Products: linear in each of two tensors.
PRODUCTS = _named("mul matmul mm bmm mv dot einsum")
#: Linear in all they take together: an ordinary gradient shares what comes back by contribution.
SUMS = _named(
    """add sub rsub sum mean nansum cumsum lerp max min amax amin maximum minimum
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"""
)
#: Which pick, place or keep what they take.
PLACINGS = _named(
    """view reshape view_as reshape_as flatten unflatten permute transpose t swapaxes movedim squeeze unsqueeze
    expand expand_as broadcast_to repeat repeat_interleave tile contiguous clone to type type_as float double half
    bfloat16 cpu cuda requires_grad detach getitem setitem get select narrow split split_with_sizes
    chunk tensor_split unbind index_select gather take take_along_dim masked_select cat stack hstack
    vstack dstack roll flip pad constant_pad_nd unfold fold im2col col2im pixel_shuffle pixel_unshuffle interpolate
    upsample tril triu diagonal diag where masked_fill scatter scatter_add index_add index_copy index_fill as_strided
    masked_scatter index_put slice_scatter select_scatter
    real nan_to_num alias copy rot90 channel_shuffle neg abs sort topk median max_unpool1d max_unpool2d max_unpool3d
    dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout"""
)


def written_out(module: nn.Module) -> bool:
    """Is this an activation that transformers writes as a formula?"""
    return type(module).__module__.endswith(".activations") and next(module.parameters(), None) is None


def flowing(problem: Problem, *args: object, **kwargs: object) -> Problem:
    """The same problem with gradients that flow by other rules: the arguments are those of `rewired`."""

    def value(z: Tensors, owner: Tensor) -> Tensor:
        with gradient_rules(*args, **kwargs):  # type: ignore[arg-type]
            return problem.value(z, owner)

    return replace(problem, value=value)


# Operations as others: what `Call.made_of` runs. ----------------------------------------------------------------------


def normalised(x: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    """x less its mean, over its standard deviation."""
    moved = x - x.mean(dims, keepdim=True)
    return moved * ((moved * moved).mean(dims, keepdim=True) + eps).rsqrt()


def weighed(y: Tensor, weight: Tensor | None, bias: Tensor | None = None) -> Tensor:
    """Weights and a bias after a norm, which gives out what lies in order."""
    y = y if weight is None else y * weight
    return (y if bias is None else y + bias).contiguous()


def layer_norm(
    input: Tensor,
    normalized_shape: list[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    return weighed(normalised(input, tuple(range(-len(normalized_shape), 0)), eps), weight, bias)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    groups = input.unflatten(1, (num_groups, -1))
    y = normalised(groups, tuple(range(2, groups.ndim)), eps).flatten(1, 2)
    of_channels = (None if t is None else t.view(-1, *[1] * (input.ndim - 2)) for t in (weight, bias))
    return weighed(y, *of_channels)


def rms_norm(
    input: Tensor, normalized_shape: list[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    dims = tuple(range(-len(normalized_shape), 0))
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    return weighed(input * ((input * input).mean(dims, keepdim=True) + eps).rsqrt(), weight)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
    still: bool = False,
) -> Tensor:
    """`scaled_dot_product_attention`, by the formula in its documentation; still, its weights are constants."""
    if enable_gqa:
        key, value = (t.repeat_interleave(query.shape[-3] // t.shape[-3], -3) for t in (key, value))
    logits = (query * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)) @ key.transpose(-2, -1)
    if is_causal:
        attn_mask = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
    dead = ~attn_mask if attn_mask is not None and attn_mask.dtype is torch.bool else None
    if dead is not None:
        logits = logits.masked_fill(dead, torch.finfo(logits.dtype).min)
    elif attn_mask is not None:
        logits = logits + attn_mask
    weights = torch.softmax(logits.detach() if still else logits, -1)
    weights = weights if dead is None else weights.masked_fill(dead, 0)  # a query that may look nowhere sees nothing
    return torch.dropout(weights, dropout_p, dropout_p > 0) @ value


def shifted_product(input: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """`addmm` and `baddbmm`."""
    return input * beta + a @ b * alpha


def mapped(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`linear`."""
    y = input @ weight.transpose(-1, -2)
    return y if bias is None else y + bias


def as_product(usual: Rule, call: Call) -> Any:
    """An affine operation whose weights depend on the input too is a product, and a sum."""
    parts = mapped if call.name == "linear" else shifted_product
    a, b = call.args[:2] if call.name == "linear" else call.args[1:3]
    return call.made_of(parts) if moves(a) and moves(b) else usual(call)
