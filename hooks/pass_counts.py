"""Counts what goes forward through a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass
class PassCount:
    """How much went forward through a module."""

    passes: int = 0
    rows: int = 0


@contextmanager
def forward_passes(module: nn.Module, on_rows: Callable[[int], None] | None = None) -> Iterator[PassCount]:
    """Counts the forward passes of a module while open, and their rows.

    The rows of a pass are those of its first tensor argument with two axes or more. on_rows: called with them.

    >>> import torch
    >>> layer = nn.Linear(2, 1)
    >>> with forward_passes(layer) as count:
    ...     _ = layer(torch.zeros(5, 2)), layer(torch.zeros(3, 2))
    >>> count
    PassCount(passes=2, rows=8)
    """
    count = PassCount()

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tensors = (value for value in (*args, *kwargs.values()) if isinstance(value, Tensor) and value.ndim > 1)
        count.passes += 1
        rows = len(next(tensors, ()))
        count.rows += rows
        if on_rows is not None:
            on_rows(rows)

    handle = module.register_forward_pre_hook(before, with_kwargs=True)
    try:
        yield count
    finally:
        handle.remove()
