"""Attention by way of its probabilities, which visitors may read and replace: what sdpa and eager functions give."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.errors import Unsupported

#: Arguments of an attention function that `by_probabilities` cannot honour: name -> what a message calls it.
REFUSED = {
    "block_indices": "block-sparse attention",
    "cache": "a paged cache",
    "cu_seq_lens_q": "packed sequences",
    "indices": "sparse attention",
    "sinks": "a kernel's own attention sinks",
}


def by_probabilities(
    visitors: Sequence[Callable[[nn.Module, Tensor], Tensor]],
    original: str | None,
    module: nn.Module,
    query: Tensor,  # (B, H, Q, D)
    key: Tensor,  # (B, H / groups, K, D)
    value: Tensor,  # (B, H / groups, K, E)
    attention_mask: Tensor | None,  # broadcasts to (B, H, Q, K): True or 0 where allowed
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    position_bias: Tensor | None = None,
    s_aux: Tensor | None = None,
    is_causal: bool | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """Attention by way of its probabilities: what sdpa and the families' eager functions compute."""
    for name, what in REFUSED.items():
        if kwargs.get(name) is not None:
            raise Unsupported(f"{type(module).__name__} asks for {what}, whose probabilities cannot be replaced.")
    groups = query.shape[1] // key.shape[1]
    key, value = (t.repeat_interleave(groups, dim=1) if groups > 1 else t for t in (key, value))
    scores = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if position_bias is not None:
        scores = scores + position_bias
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if attention_mask is None and original not in ("eager", None) and causal and query.shape[2] > 1:
        attention_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attention_mask is not None:
        allowed = attention_mask[..., : key.shape[-2]]
        low = torch.finfo(scores.dtype).min
        scores = scores.masked_fill(~allowed, low) if allowed.dtype == torch.bool else scores + allowed
    probabilities = _softmax(scores, s_aux).to(query.dtype)
    for visitor in visitors:
        probabilities = visitor(module, probabilities)
    dropped = nn.functional.dropout(probabilities, p=dropout, training=module.training)
    return (dropped @ value).transpose(1, 2).contiguous(), probabilities


def _softmax(scores: Tensor, sinks: Tensor | None) -> Tensor:
    """Over keys, in float32 or wider. Sinks (H,) are keys without a value: they take their share, and it is dropped."""
    dtype = torch.promote_types(scores.dtype, torch.float32)
    if sinks is None:
        return scores.softmax(-1, dtype=dtype)
    B, H, Q, _ = scores.shape
    with_sinks = torch.cat([scores, sinks.to(scores).view(1, H, 1, 1).expand(B, H, Q, 1)], dim=-1)
    return with_sinks.softmax(-1, dtype=dtype)[..., :-1]
