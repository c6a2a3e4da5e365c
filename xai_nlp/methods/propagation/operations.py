"""Tables and formulas of torch's operations, for methods that change how gradients flow through them."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from operator import methodcaller
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.hooks.gradient_rules import Call, Rule, Rules, depends_on_input, gradient_rules
from xai_nlp.hooks.graph_rules import GraphRules, graph_nodes, hook_nodes


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Functions of single entries that are 0, or nearly so, at 0: activations.
ACTIVATIONS = _names(
    """relu relu6 leaky_relu elu selu celu gelu silu mish softplus tanh tanhshrink softsign softshrink hardshrink
    threshold prelu rrelu hardtanh hardswish hardsigmoid sigmoid expit logsigmoid clamp clamp_min clamp_max clip"""
)
#: Other functions of single entries, which occur in formulas rather than as layers.
FUNCTIONS = _names("exp expm1 log log1p log2 log10 sqrt rsqrt reciprocal pow square erf sin cos atan abs")
#: Operations whose result scales a signal.
SCALES = _names("sqrt rsqrt reciprocal var std norm vector_norm linalg_vector_norm")
#: Products: linear in each of two tensors.
PRODUCTS = _names("mul matmul mm bmm mv dot einsum")
#: Operations that are linear in all their tensors together, where the gradient shares relevance by contribution.
SUMS = _names(
    """add sub rsub sum mean nansum cumsum lerp max min amax amin maximum minimum
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"""
)
#: Operations that select, move or keep entries.
REARRANGEMENTS = _names(
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
#: Operations that leave several nodes in the graph, some of which have rules of their own.
COMPOSITES = _names("lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell cosine_similarity")


def is_activation_formula(module: nn.Module) -> bool:
    """Is this an activation that transformers implements as a formula of several operations?"""
    return type(module).__module__.endswith(".activations") and next(module.parameters(), None) is None


def is_activation(module: nn.Module) -> bool:
    """Is this a module of one function of single entries, without parameters, that leaves its input as it is?"""
    own = type(module).__module__ == "torch.nn.modules.activation" and not isinstance(module, _OF_SEVERAL_ENTRIES)
    return (own and not getattr(module, "inplace", False)) or is_activation_formula(module)


_OF_SEVERAL_ENTRIES = (
    *(nn.Softmax, nn.Softmin, nn.Softmax2d, nn.LogSoftmax, nn.GLU),
    *(nn.MultiheadAttention, nn.PReLU, nn.RReLU),
)


def with_gradient_rules(problem: Problem, rules: Rules, **options: Any) -> Problem:
    """The same problem with gradients that flow by these rules; `options` are those of `gradient_rules`."""

    def value(z: Tensors, owner: Tensor) -> Tensor:
        with gradient_rules(rules, **options):
            return problem.value(z, owner)

    return replace(problem, value=value)


def with_graph_rules(problem: Problem, rules: GraphRules) -> Problem:
    """The same problem with gradients that flow by rules on the nodes of its graph."""

    def value(z: Tensors, owner: Tensor) -> Tensor:
        values = problem.value(z, owner)
        hook_nodes(graph_nodes(values), rules)
        return values

    return replace(problem, value=value)


# Formulas of operations, for `Call.run_as`. Each has the signature of its operation. ----------------------------------


def _standardized(x: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    centred = x - x.mean(dims, keepdim=True)
    return centred * ((centred * centred).mean(dims, keepdim=True) + eps).rsqrt()


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None = None) -> Tensor:
    """y times a weight plus a bias, contiguous as the output of torch's norms is."""
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
    return _affine(_standardized(input, tuple(range(-len(normalized_shape), 0)), eps), weight, bias)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    groups = input.unflatten(1, (num_groups, -1))
    y = _standardized(groups, tuple(range(2, groups.ndim)), eps).flatten(1, 2)
    per_channel = (None if t is None else t.view(-1, *[1] * (input.ndim - 2)) for t in (weight, bias))
    return _affine(y, *per_channel)


def rms_norm(
    input: Tensor, normalized_shape: list[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    dims = tuple(range(-len(normalized_shape), 0))
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    return _affine(input * ((input * input).mean(dims, keepdim=True) + eps).rsqrt(), weight)


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
    constant_weights: bool = False,
) -> Tensor:
    """`scaled_dot_product_attention` by the formula in its documentation; no gradient flows to constant weights."""
    if enable_gqa:
        key, value = (t.repeat_interleave(query.shape[-3] // t.shape[-3], -3) for t in (key, value))
    logits = (query * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)) @ key.transpose(-2, -1)
    if is_causal:
        attn_mask = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
    masked = ~attn_mask if attn_mask is not None and attn_mask.dtype is torch.bool else None
    if masked is not None:
        logits = logits.masked_fill(masked, torch.finfo(logits.dtype).min)
    elif attn_mask is not None:
        logits = logits + attn_mask
    weights = torch.softmax(logits.detach() if constant_weights else logits, -1)
    weights = weights if masked is None else weights.masked_fill(masked, 0)  # a query whose keys are all masked gets 0
    return torch.dropout(weights, dropout_p, dropout_p > 0) @ value


def _sum_and_product(input: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """`addmm` and `baddbmm`."""
    return input * beta + a @ b * alpha


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    y = input @ weight.transpose(-1, -2)
    return y if bias is None else y + bias


def _affine_or_product(affine: Rule, call: Call) -> Any:
    """The rule of an affine operation, or of a product and a sum if its weights depend on the input too."""
    formula, first = (_linear, 0) if call.name == "linear" else (_sum_and_product, 1)
    is_product = sum(map(depends_on_input, call.args[first : first + 2])) == 2
    return call.run_as(formula) if is_product else affine(call)


def formula_rules(affine: Rule, *, constant_weights: bool = False) -> Rules:
    """Rules of the operations that run as formulas: norms, attention, and products that torch calls affine.

    affine: the rule of an affine operation whose weights are constant.
    constant_weights: no gradient flows to attention weights.
    """
    attends = partial(attention, constant_weights=constant_weights)
    return {
        **{norm.__name__: methodcaller("run_as", norm) for norm in (layer_norm, group_norm, rms_norm)},
        "scaled_dot_product_attention": methodcaller("run_as", attends),
        **dict.fromkeys(("linear", "addmm", "baddbmm"), partial(_affine_or_product, affine)),
    }
