"""How the entries of the inputs fall into features that are removed together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from xai_nlp.errors import InvalidInput

Tensors = tuple[Tensor, ...]
NO_FEATURE = -1


class Features(Protocol):
    """M features an example: which entries they cover, and how their scores lie over the entries."""

    @property
    def count(self) -> int:
        """M."""

    def present(self, examples: int) -> Tensor:
        """Which features each example has: (B, M) bool."""

    def ablation_mask(self, owner: Tensor, gone: Tensor) -> Tensors:
        """The entries that fall away when features `gone` (R, M) do: bool, broadcastable to (R, *S) each."""

    def touched(self, owner: Tensor, entries: Tensors) -> Tensor:
        """Which features of the examples `owner` hold one of these entries (R, *S) bool each: (R, M)."""

    def to_entries(self, scores: Tensor) -> Tensors:
        """A score a feature (B, T, M) laid over the entries: broadcastable to (B, T, *S) each."""


@dataclass(frozen=True, eq=False)
class FeatureMask:
    """Each entry belongs to one feature, or to none: the feature's number stands where the entry does.

    `ids` are broadcastable to the inputs: (1 or B, *S). A number may occur in several tensors.
    """

    ids: Tensors
    count: int

    @classmethod
    def of(cls, masks: Sequence[Tensor]) -> FeatureMask:
        """From masks with any numbers, as Captum's `feature_mask`; negative numbers are never removed."""
        numbers = torch.cat([mask.flatten() for mask in masks]).unique()
        numbers = numbers[numbers >= 0]
        ids = tuple(torch.where(mask >= 0, torch.searchsorted(numbers, mask), NO_FEATURE) for mask in masks)
        return cls(ids, len(numbers))

    @classmethod
    def entries(cls, x: Tensors) -> FeatureMask:
        """Every entry a feature of its own."""
        sizes = [t[0].numel() for t in x]
        starts = [0, *itertools.accumulate(sizes)]
        ids = tuple(
            torch.arange(start, start + size, device=t.device).view(1, *t.shape[1:])
            for t, start, size in zip(x, starts, sizes, strict=False)
        )
        return cls(ids, starts[-1])

    def _rows(self, ids: Tensor, owner: Tensor) -> Tensor:
        return ids[owner] if len(ids) > 1 else ids.expand(len(owner), *ids.shape[1:])

    def present(self, examples: int) -> Tensor:
        here = torch.zeros(examples, self.count + 1, dtype=torch.bool, device=self.ids[0].device)
        for ids in self.ids:
            here.scatter_(1, (ids.flatten(1) + 1).expand(examples, -1), True)
        return here[:, 1:]

    def ablation_mask(self, owner: Tensor, gone: Tensor) -> Tensors:
        padded = torch.cat([gone.new_zeros(len(gone), 1), gone], 1)  # column 0: no feature, never gone
        return tuple(
            padded.gather(1, self._rows(ids, owner).flatten(1) + 1).view(len(owner), *ids.shape[1:]) for ids in self.ids
        )

    def touched(self, owner: Tensor, entries: Tensors) -> Tensor:
        found = torch.zeros(len(owner), self.count + 1, dtype=torch.uint8, device=owner.device)
        for ids, here in zip(self.ids, entries, strict=True):
            number = self._rows(ids, owner).expand_as(here).flatten(1) + 1
            found.scatter_reduce_(1, number, here.flatten(1).to(torch.uint8), "amax")
        return found[:, 1:].bool()

    def to_entries(self, scores: Tensor) -> Tensors:
        B, T, _ = scores.shape
        padded = torch.cat([scores.new_zeros(B, T, 1), scores], 2)
        everyone = torch.arange(B, device=scores.device)
        return tuple(
            padded.gather(2, (self._rows(ids, everyone).flatten(1) + 1)[:, None].expand(B, T, -1)).view(
                B, T, *ids.shape[1:]
            )
            for ids in self.ids
        )


@dataclass(frozen=True, eq=False)
class SlidingWindows:
    """A window slid over each tensor, the last ones cut at the edge; an entry's score is the mean of its windows'.

    A window covers the product of what it covers of each axis, so a table of places for each axis says it all.
    """

    tables: tuple[Tensors, ...]  # of each tensor, for each axis: which of K positions cover which of n places, (K, n)

    @classmethod
    def slid(
        cls, x: Tensors, windows: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...] | int]
    ) -> SlidingWindows:
        """Windows of shape `windows[i]` over tensor i, `strides[i]` apart.

        Raises InvalidInput for a window larger than its tensor, or a stride that would leave entries out.
        """
        tables: list[Tensors] = []
        for i, (tensor, window, stride) in enumerate(zip(x, windows, strides, strict=True)):
            shape = tuple(tensor.shape[1:])
            steps = (stride,) * len(shape) if isinstance(stride, int) else tuple(stride)
            if len(window) != len(shape) or len(steps) != len(shape) or any(map(int.__gt__, window, shape)):
                raise InvalidInput(f"a window {window} with strides {steps} does not fit input {i} of shape {shape}.")
            if any(s < 1 or (s > w and n > w) for s, w, n in zip(steps, window, shape, strict=True)):
                raise InvalidInput(
                    f"strides {steps} leave gaps between windows {window}; use at most the window's size."
                )
            axes = zip(shape, window, steps, strict=True)
            tables.append(tuple(_slid(n, w, s, x[0].device) for n, w, s in axes))
        return cls(tuple(tables))

    @property
    def _counts(self) -> list[int]:
        return [math.prod(map(len, axes)) for axes in self.tables]

    @property
    def count(self) -> int:
        return sum(self._counts)

    def present(self, examples: int) -> Tensor:
        return torch.ones(examples, self.count, dtype=torch.bool, device=self.tables[0][0].device)

    def ablation_mask(self, owner: Tensor, gone: Tensor) -> Tensors:
        return tuple(over > 0 for over in self._laid(gone.float()))

    def touched(self, owner: Tensor, entries: Tensors) -> Tensor:
        found = [
            _along(here.float(), [table.T for table in axes]).reshape(len(here), -1)
            for here, axes in zip(entries, self.tables, strict=True)
        ]
        return torch.cat(found, 1) > 0

    def to_entries(self, scores: Tensor) -> Tensors:
        B, T, _ = scores.shape
        touched = self._laid(torch.ones_like(scores[:1, 0]))
        sums = self._laid(scores.flatten(0, 1))
        return tuple((total / cover).unflatten(0, (B, T)) for total, cover in zip(sums, touched, strict=True))

    def _laid(self, values: Tensor) -> list[Tensor]:
        """A value a window (R, M) added to all that it covers: (R, *S) each."""
        parts = zip(values.split(self._counts, 1), self.tables, strict=True)
        return [_along(part.reshape(len(part), *map(len, axes)), axes) for part, axes in parts]


def _slid(n: int, window: int, step: int, device: torch.device) -> Tensor:
    """Which positions (K) of a window cover which of n places: (K, n) of 0 and 1."""
    starts = torch.arange(math.ceil((n - window) / step) + 1, device=device)[:, None] * step
    places = torch.arange(n, device=device)
    return ((places >= starts) & (places < starts + window)).float()


def _along(values: Tensor, tables: Sequence[Tensor]) -> Tensor:
    """Values (R, *K) times a table (K, n) along each axis: (R, *N)."""
    for table in tables:
        values = torch.tensordot(values, table.to(values), ([1], [0]))  # the axis that is done goes to the end
    return values
