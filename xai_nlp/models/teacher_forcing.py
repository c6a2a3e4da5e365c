"""Teacher forcing: log-probabilities that a language model assigns to a given answer."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from torch import Tensor

#: Values of the answer's tokens in inputs other than the ids, as `generate` continues them; 0 in all others.
CONTINUATION_VALUES = {"attention_mask": 1, "token_type_ids": 1}


def append_answer(inputs: Mapping[str, Any], answer: Tensor) -> dict[str, Any]:
    """The inputs of R prompts (R, L) with the same n tokens after each (R, L + n).

    Each tensor of the shape of `input_ids` grows, and an attention mask is added if there is none; other inputs stay.

    >>> append_answer({"input_ids": torch.tensor([[5, 6]])}, torch.tensor([7]))
    {'attention_mask': tensor([[1, 1, 1]]), 'input_ids': tensor([[5, 6, 7]])}
    """
    ids = inputs["input_ids"]
    extended = {"attention_mask": torch.ones_like(ids), **inputs}
    for name, value in extended.items():
        if isinstance(value, Tensor) and value.shape == ids.shape:
            fill = CONTINUATION_VALUES.get(name, 0)
            added = answer.to(value) if name == "input_ids" else value.new_full(answer.shape, fill)
            extended[name] = torch.cat([value, added.expand(len(ids), -1)], 1)
    return extended


def last_logits(model: Any, inputs: Mapping[str, Any], count: int, *, cached: bool = False) -> tuple[Tensor, Any]:
    """The last `count` logits (R, count, V), in float32 or wider, and the model's cache of keys and values.

    The cache is None unless `cached`. A model that takes `logits_to_keep` computes no other logits.
    """
    accepted = signature(model.forward).parameters
    options = {"use_cache": cached, "logits_to_keep": count}
    output = model(**inputs, **{name: value for name, value in options.items() if name in accepted})
    logits = output.logits[:, 0] if output.logits.ndim == 4 else output.logits  # Llama 4 has an axis for drafts
    cache = getattr(output, "past_key_values", None) if cached else None
    return logits[:, -count:].to(torch.promote_types(logits.dtype, torch.float32)), cache


def token_log_probs(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log-probability of each token (n,) under the logits before it (R, n, V): (R, n), in nats."""
    index = tokens.expand(len(logits), -1)[:, :, None].to(logits.device)
    return logits.log_softmax(-1).gather(2, index)[:, :, 0]


def answer_log_probs(model: Any, inputs: Mapping[str, Any], answer: Tensor) -> Tensor:
    """Log-probability of each token of an answer (n,) after the prompts, by one forward pass: (R, n), in nats."""
    logits, _ = last_logits(model, append_answer(inputs, answer), len(answer) + 1)
    return token_log_probs(logits[:, :-1], answer)


def answer_log_probs_stepwise(model: Any, inputs: Mapping[str, Any], answer: Tensor, *, cached: bool) -> Tensor:
    """The same as `answer_log_probs` by one forward pass a token.

    With `cached`, a pass reads the new token only, if the model has a cache.
    """
    text = arguments = append_answer(inputs, answer[:0])
    steps = []
    for token in answer.split(1):
        logits, cache = last_logits(model, arguments, 1, cached=cached)
        steps.append(token_log_probs(logits, token))
        text = arguments = append_answer(text, token)
        if cache is not None:
            arguments = {"attention_mask": text["attention_mask"], "past_key_values": cache}
            arguments["input_ids"] = text["input_ids"][:, -1:]
    return torch.cat(steps, 1)
