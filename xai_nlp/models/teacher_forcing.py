"""Answers that a language model is made to read: what it would have given to each of their tokens."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from torch import Tensor

#: What an answer's tokens have where the prompt's have something, as `generate` goes on; 0 in anything else.
CONTINUATION_VALUES = {"attention_mask": 1, "token_type_ids": 1}


def append_answer(inputs: Mapping[str, Any], tokens: Tensor) -> dict[str, Any]:
    """Prompts of one length (R, L) with the same tokens (n,) after each: (R, L + n). All that goes by token grows."""
    ids = inputs["input_ids"]
    whole = {"attention_mask": torch.ones_like(ids), **inputs}
    for name, value in whole.items():
        if isinstance(value, Tensor) and value.shape == ids.shape:
            more = (
                tokens.to(value)
                if name == "input_ids"
                else value.new_full(tokens.shape, CONTINUATION_VALUES.get(name, 0))
            )
            whole[name] = torch.cat([value, more.expand(len(ids), -1)], 1)
    return whole


def last_logits(model: Any, inputs: Mapping[str, Any], count: int, *, cached: bool = False) -> tuple[Tensor, Any]:
    """The last `count` logits (R, count, V), in float32 or wider, and what the model keeps of what it read, if asked.

    No others are computed, where the model lets itself be told.
    """
    taken = signature(model.forward).parameters
    options = {"use_cache": cached, "logits_to_keep": count}
    output = model(**inputs, **{name: value for name, value in options.items() if name in taken})
    logits = output.logits[:, 0] if output.logits.ndim == 4 else output.logits  # Llama 4 has an axis for drafts
    kept = getattr(output, "past_key_values", None) if cached else None
    return logits[:, -count:].to(torch.promote_types(logits.dtype, torch.float32)), kept


def token_log_probs(logits: Tensor, tokens: Tensor) -> Tensor:
    """Of each token (n,), by the logits before it (R, n, V): (R, n)."""
    return logits.log_softmax(-1).gather(2, tokens.expand(len(logits), -1)[:, :, None].to(logits.device))[:, :, 0]


def answer_log_probs(model: Any, inputs: Mapping[str, Any], tokens: Tensor) -> Tensor:
    """The log-probability of each token of an answer, read in one pass: (R, n)."""
    logits, _ = last_logits(model, append_answer(inputs, tokens), len(tokens) + 1)
    return token_log_probs(logits[:, :-1], tokens)


def answer_log_probs_stepwise(model: Any, inputs: Mapping[str, Any], tokens: Tensor, *, cached: bool) -> Tensor:
    """The same, read token by token: what was read before is read again, unless `cached` and the model keeps it."""
    whole = given = append_answer(inputs, tokens[:0])
    found = []
    for token in tokens.split(1):
        logits, kept = last_logits(model, given, 1, cached=cached)
        found.append(token_log_probs(logits, token))
        whole = given = append_answer(whole, token)
        if kept is not None:
            given = {"attention_mask": whole["attention_mask"], "past_key_values": kept}
            given["input_ids"] = whole["input_ids"][:, -1:]
    return torch.cat(found, 1)
