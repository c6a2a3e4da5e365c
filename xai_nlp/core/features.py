"""Features: groups of entries of the inputs that are removed together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from xai_nlp.errors import InvalidInput

Tensors = tuple[Tensor, ...]
NO_FEATURE = -1


def by_row(t: Tensor) -> Tensor:
    """The entries of each row, (R, *S) -> (R, entries); a row may be a single number, (R,) -> (R, 1)."""
    return t.unsqueeze(-1).flatten(1)


@dataclass(frozen=True, eq=False)
class FeatureMask:
    """M features of each example: each entry belongs to one, whose number stands in its place, or to none."""

    ids: Tensors  # (1 or B, *S) each, broadcastable to the inputs; a number may occur in several tensors
    count: int  # M

    @classmethod
    def of(cls, masks: Sequence[Tensor]) -> FeatureMask:
        """Features from masks with any numbers, as Captum's `feature_mask`; entries with a negative number stay.

        >>> FeatureMask.of([torch.tensor([[7, 7, 40, -1]])]).ids
        (tensor([[ 0,  0,  1, -1]]),)
        """
        numbers = torch.cat([mask.flatten() for mask in masks]).unique()
        numbers = numbers[numbers >= 0]
        ids = tuple(torch.where(mask >= 0, torch.searchsorted(numbers, mask), NO_FEATURE) for mask in masks)
        return cls(ids, len(numbers))

    @classmethod
    def entries(cls, x: Tensors) -> FeatureMask:
        """Every entry of the inputs (B, *S) is a feature."""
        starts = [0, *itertools.accumulate(t[0].numel() for t in x)]
        ids = tuple(
            torch.arange(start, end, device=t.device).view(1, *t.shape[1:])
            for t, (start, end) in zip(x, itertools.pairwise(starts), strict=True)
        )
        return cls(ids, starts[-1])

    def _columns(self, ids: Tensor, owner: Tensor) -> Tensor:
        """The number of each entry's feature plus one, 0 for none, of the examples `owner`: (R, entries)."""
        return by_row(ids[owner] if len(ids) > 1 else ids.expand(len(owner), *ids.shape[1:])) + 1

    def select(self, examples: Tensor) -> FeatureMask:
        """The features of these examples (E,), in this order."""
        return replace(self, ids=tuple(t if len(t) == 1 else t[examples.to(t.device)] for t in self.ids))

    def present(self, examples: int) -> Tensor:
        """Which features each example has: (B, M) bool."""
        present = torch.zeros(examples, self.count + 1, dtype=torch.bool, device=self.ids[0].device)
        for ids in self.ids:
            present.scatter_(1, (by_row(ids) + 1).expand(examples, -1), True)
        return present[:, 1:]

    def ablation_mask(self, owner: Tensor, removed: Tensor) -> Tensors:
        """The entries that go to the baseline with the features `removed` (R, M): bool, broadcastable to (R, *S)."""
        padded = torch.cat([removed.new_zeros(len(removed), 1), removed], 1)  # column 0: no feature, never removed
        return tuple(padded.gather(1, self._columns(ids, owner)).view(len(owner), *ids.shape[1:]) for ids in self.ids)

    def touched(self, owner: Tensor, entries: Tensors) -> Tensor:
        """Which features of the examples `owner` cover one of these entries (R, *S) bool: (R, M) bool."""
        touched = torch.zeros(len(owner), self.count + 1, dtype=torch.uint8, device=owner.device)
        for ids, chosen in zip(self.ids, entries, strict=True):
            columns = self._columns(ids.expand(len(ids), *chosen.shape[1:]), owner)
            touched.scatter_reduce_(1, columns, by_row(chosen).to(torch.uint8), "amax")
        return touched[:, 1:].bool()

    def to_entries(self, scores: Tensor) -> Tensors:
        """The scores of the features (B, T, M) laid over their entries: broadcastable to (B, T, *S) each."""
        B, T, _ = scores.shape
        padded = torch.cat([scores.new_zeros(B, T, 1), scores], 2)
        everyone = torch.arange(B, device=scores.device)
        return tuple(
            padded.gather(2, self._columns(ids, everyone)[:, None].expand(B, T, -1)).view(B, T, *ids.shape[1:])
            for ids in self.ids
        )


@dataclass(frozen=True, eq=False)
class SlidingWindows:
    """A window slides over each tensor, cut at the edge; the score of an entry is the mean of its windows' scores.

    A window covers the product of the places that it covers on each axis, so one table for each axis is enough. The
    methods are those of `FeatureMask`.
    """

    tables: tuple[Tensors, ...]  # of each tensor, for each axis: which of K windows cover which of n places, (K, n)

    @classmethod
    def over(
        cls, x: Tensors, windows: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...] | int]
    ) -> SlidingWindows:
        """Windows of shape `windows[i]` over the tensor x[i] (B, *S), `strides[i]` apart.

        Raises InvalidInput for a window larger than its tensor, or a stride that would leave entries out.

        >>> SlidingWindows.over((torch.zeros(1, 5),), [(3,)], [2]).count
        2
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
            tables.append(tuple(_coverage(n, w, s, x[0].device) for n, w, s in axes))
        return cls(tuple(tables))

    def select(self, examples: Tensor) -> SlidingWindows:
        return self

    @property
    def _counts(self) -> list[int]:
        return [math.prod(map(len, axes)) for axes in self.tables]

    @property
    def count(self) -> int:
        return sum(self._counts)

    def present(self, examples: int) -> Tensor:
        return torch.ones(examples, self.count, dtype=torch.bool, device=self.tables[0][0].device)

    def ablation_mask(self, owner: Tensor, removed: Tensor) -> Tensors:
        return tuple(covers > 0 for covers in self._summed(removed.float()))

    def touched(self, owner: Tensor, entries: Tensors) -> Tensor:
        counts = [
            _multiply(chosen.float(), [table.T for table in axes]).reshape(len(chosen), -1)
            for chosen, axes in zip(entries, self.tables, strict=True)
        ]
        return torch.cat(counts, 1) > 0

    def to_entries(self, scores: Tensor) -> Tensors:
        covers = self._summed(torch.ones_like(scores[:1, 0]))
        sums = self._summed(scores.flatten(0, 1))
        return tuple((sum / n).unflatten(0, scores.shape[:2]) for sum, n in zip(sums, covers, strict=True))

    def _summed(self, values: Tensor) -> list[Tensor]:
        """For each entry, the sum of the values (R, M) of the windows that cover it: (R, *S) each."""
        parts = zip(values.split(self._counts, 1), self.tables, strict=True)
        return [_multiply(part.reshape(len(part), *map(len, axes)), axes) for part, axes in parts]


#: What perturbation removes together, and how scores lie over the entries.
Features: TypeAlias = FeatureMask | SlidingWindows


def _coverage(n: int, window: int, step: int, device: torch.device) -> Tensor:
    """Which positions (K) of a window cover which of n places: (K, n) of 0 and 1."""
    starts = torch.arange(math.ceil((n - window) / step) + 1, device=device)[:, None] * step
    places = torch.arange(n, device=device)
    return ((places >= starts) & (places < starts + window)).float()


def _multiply(values: Tensor, tables: Sequence[Tensor]) -> Tensor:
    """Values (R, *K) times a table (K, n) along each axis: (R, *N)."""
    for table in tables:
        values = torch.tensordot(values, table.to(values), ([1], [0]))  # the axis that is done goes to the end
    return values
