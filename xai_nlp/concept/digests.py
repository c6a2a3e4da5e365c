"""Digests: which model is this, and which examples? Files of activations are keyed by them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from xxhash import xxh3_128

from xai_nlp.core.captum_types import CaptumAssertion


def digest(*values: Any) -> str:
    """A digest of values: tensors, arrays, numbers, texts, and tuples, lists and dicts of them.

    Raises CaptumAssertion for anything else.

    >>> digest(torch.tensor([1, 2])) == digest(torch.tensor([1, 2])), digest(torch.tensor([1.0, 2.0])) == digest([1, 2])
    (True, False)
    """
    state = xxh3_128()
    _add(state, values)
    return state.hexdigest()


def model_digest(model: nn.Module) -> str:
    """A digest of a model: its modules as they print, their modes, and all of its weights and buffers.

    It does not see what a `forward` method does, nor hooks. Weights that are offloaded are not compared: the digest of
    such a model is a new one each time.

    >>> net = nn.Linear(2, 2)
    >>> before = model_digest(net)
    >>> net.weight.data[0, 0] += 1
    >>> model_digest(net) == before
    False
    """
    state = xxh3_128()
    _add(state, (repr(model), [module.training for module in model.modules()], repr(getattr(model, "config", None))))
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        _add(state, (name, secrets.token_hex() if tensor.is_meta else tensor))
    return state.hexdigest()


def _add(state: xxh3_128, value: Any) -> None:
    """Add a value to a digest, with its type and size, so that no two values read alike."""
    if isinstance(value, np.ndarray):
        value = torch.as_tensor(value)
    if isinstance(value, Tensor):
        state.update(f"tensor {value.dtype} {tuple(value.shape)}".encode())
        state.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, Mapping):
        state.update(f"mapping {len(value)}".encode())
        for name, one in value.items():
            _add(state, name)
            _add(state, one)
    elif isinstance(value, (tuple, list)):
        state.update(f"sequence {len(value)}".encode())
        for one in value:
            _add(state, one)
    elif value is None or isinstance(value, (bool, int, float, str)):
        text = repr(value)
        state.update(f"{type(value).__name__} {len(text)} {text}".encode())
    else:
        raise CaptumAssertion(
            f"examples are tensors, or tuples, lists and dicts of them; got {type(value).__name__} among them."
        )
