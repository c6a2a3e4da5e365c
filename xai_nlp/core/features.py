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

    def removed(self, owner: Tensor, gone: Tensor) -> Tensors:
        """The entries that fall away when features `gone` (R, M) do: bool, broadcastable to (R, *S) each."""

    def covers(self, owner: Tensor, entries: Tensors) -> Tensor:
        """Which features of the examples `owner` hold one of these entries (R, *S) bool each: (R, M)."""

    def spread(self, scores: Tensor) -> Tensors:
        """A score a feature (B, T, M) laid over the entries: broadcastable to (B, T, *S) each."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Each entry belongs to one feature, or to none: the feature's number stands where the entry does.

    `ids` are broadcastable to the inputs: (1 or B, *S). A number may occur in several tensors.
    """

    ids: Tensors
    count: int

    @classmethod
    def of(cls, masks: Sequence[Tensor]) -> Groups:
        """From masks with any numbers, as Captum's `feature_mask`; negative numbers are never removed."""
        numbers = torch.cat([mask.flatten() for mask in masks]).unique()
        numbers = numbers[numbers >= 0]
        ids = tuple(torch.where(mask >= 0, torch.searchsorted(numbers, mask), NO_FEATURE) for mask in masks)
        return cls(ids, len(numbers))

    @classmethod
    def entries(cls, x: Tensors) -> Groups:
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

    def removed(self, owner: Tensor, gone: Tensor) -> Tensors:
        padded = torch.cat([gone.new_zeros(len(gone), 1), gone], 1)  # column 0: no feature, never gone
        return tuple(
            padded.gather(1, self._rows(ids, owner).flatten(1) + 1).view(len(owner), *ids.shape[1:]) for ids in self.ids
        )

    def covers(self, owner: Tensor, entries: Tensors) -> Tensor:
        found = torch.zeros(len(owner), self.count + 1, dtype=torch.uint8, device=owner.device)
        for ids, here in zip(self.ids, entries, strict=True):
            number = self._rows(ids, owner).expand_as(here).flatten(1) + 1
            found.scatter_reduce_(1, number, here.flatten(1).to(torch.uint8), "amax")
        return found[:, 1:].bool()

    def spread(self, scores: Tensor) -> Tensors:
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
class Windows:
    """A window slid over each tensor, the last ones cut at the edge; an entry's score is the mean of its windows'."""

    shapes: tuple[tuple[int, ...], ...]  # S of each tensor
    boxes: tuple[tuple[int, tuple[slice, ...]], ...]  # (tensor, where) of each window
    device: torch.device

    @classmethod
    def slid(cls, x: Tensors, windows: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...] | int]) -> Windows:
        """Windows of shape `windows[i]` over tensor i, `strides[i]` apart.

        Raises InvalidInput for a window larger than its tensor, or a stride that would leave entries out.
        """
        boxes: list[tuple[int, tuple[slice, ...]]] = []
        for i, (tensor, window, stride) in enumerate(zip(x, windows, strides, strict=True)):
            shape = tuple(tensor.shape[1:])
            steps = (stride,) * len(shape) if isinstance(stride, int) else tuple(stride)
            if len(window) != len(shape) or len(steps) != len(shape) or any(map(int.__gt__, window, shape)):
                raise InvalidInput(f"a window {window} with strides {steps} does not fit input {i} of shape {shape}.")
            if any(s < 1 or (s > w and n > w) for s, w, n in zip(steps, window, shape, strict=True)):
                raise InvalidInput(
                    f"strides {steps} leave gaps between windows {window}; use at most the window's size."
                )
            counts = [math.ceil((n - w) / s) + 1 for n, w, s in zip(shape, window, steps, strict=True)]
            for at in itertools.product(*map(range, counts)):
                box = tuple(slice(k * s, k * s + w) for k, s, w in zip(at, steps, window, strict=True))
                boxes.append((i, box))
        return cls(tuple(tuple(t.shape[1:]) for t in x), tuple(boxes), x[0].device)

    @property
    def count(self) -> int:
        return len(self.boxes)

    def present(self, examples: int) -> Tensor:
        return torch.ones(examples, self.count, dtype=torch.bool, device=self.device)

    def removed(self, owner: Tensor, gone: Tensor) -> Tensors:
        masks = tuple(torch.zeros(len(owner), *shape, dtype=torch.bool, device=self.device) for shape in self.shapes)
        for row, feature in gone.nonzero().tolist():
            tensor, box = self.boxes[feature]
            masks[tensor][(row, *box)] = True
        return masks

    def covers(self, owner: Tensor, entries: Tensors) -> Tensor:
        return torch.stack([entries[i][(slice(None), *box)].flatten(1).any(1) for i, box in self.boxes], 1)

    def spread(self, scores: Tensor) -> Tensors:
        B, T, _ = scores.shape
        sums = tuple(scores.new_zeros(B, T, *shape) for shape in self.shapes)
        covers = tuple(scores.new_zeros(shape) for shape in self.shapes)
        for feature, (tensor, box) in enumerate(self.boxes):
            here = scores[:, :, feature]
            sums[tensor][(slice(None), slice(None), *box)] += here.view(B, T, *[1] * len(box))
            covers[tensor][box] += 1
        return tuple(total / cover for total, cover in zip(sums, covers, strict=True))
