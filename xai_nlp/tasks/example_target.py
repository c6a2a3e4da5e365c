"""What is explained of one example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from xai_nlp.core.result import TargetSpec
from xai_nlp.core.spans import Span


@dataclass(frozen=True, kw_only=True)
class ExampleTarget:
    """What is explained of one example: T numbers, each the mean over some of its windows."""

    segments: tuple[str, ...]  # the texts that its tokens are cut from
    windows: tuple[int, ...]  # indices of the windows
    specs: tuple[TargetSpec, ...]  # T
    weights: tuple[Tensor, ...]  # (T, *C) for each window
    link: str = "logit"  # a key of core.targets.UNITS
    outputs: Mapping[str, float]
    answer: tuple[int, Span] | None = None  # where the explained answer stands
    notes: Mapping[str, Any] = field(default_factory=dict)  # further entries of the explanation's `params`
    example: int | None = None  # whose it is, where several windows are made of one; None for that of its windows


def padded_weights(weights: Sequence[Tensor]) -> Tensor:
    """Weights (T, *C) of several windows, filled up with zeros where they are shorter: (B, T, *C)."""
    if len({w.shape for w in weights}) == 1:
        return torch.stack(list(weights))
    longest = [max(sizes) for sizes in zip(*(w.shape for w in weights), strict=True)]
    padded = weights[0].new_zeros(len(weights), *longest)
    for row, w in zip(padded, weights, strict=True):
        row[tuple(map(slice, w.shape))] = w
    return padded
