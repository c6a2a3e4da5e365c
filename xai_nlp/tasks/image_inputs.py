"""The images of a batch: where they enter the model, what they start from, and what is said of their regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from xai_nlp.core.features import NO_FEATURE
from xai_nlp.core.image import ImageAttribution
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.argument_point import ArgumentPoint
from xai_nlp.models.images import Regions, encode_thumbnail
from xai_nlp.models.vision_language import SequencePositions


@dataclass(frozen=True, eq=False)
class Sight:
    """One image as a model takes it, beside the one it is compared with."""

    image: Any  # as it was given, upright and in RGB
    inputs: dict[str, Tensor]  # what the processor made of it: (1, *S) each
    pixels: str  # which of them is explained
    start: Tensor  # (1, *S): the same of the baseline
    regions: Regions
    words_move: bool = True

    def moving(self, what: str) -> Sight:
        """With "both" moving, or "text" or "image" alone: what stays is its own baseline, and has no features."""
        if what == "text":
            still = replace(self.regions, ids=torch.full_like(self.regions.ids, NO_FEATURE))
            return replace(self, start=self.inputs[self.pixels], regions=still)
        return replace(self, words_move=what == "both")

    @cached_property
    def kept(self) -> bytes:
        """The image as an explanation keeps it."""
        return encode_thumbnail(self.image)

    def attribution(self, scores: Sequence[float]) -> ImageAttribution:
        regions = self.regions
        return ImageAttribution(
            data=self.kept,
            size=self.image.size,
            boxes=regions.boxes,
            scores=tuple(scores),
            grid=regions.grid,
            shapes=regions.raster,
        )


@dataclass(frozen=True, eq=False)
class Seen:
    """The images of B examples, all of one shape and with as many regions."""

    gate: ArgumentPoint
    inputs: dict[str, Tensor]  # (B, *S) each
    start: Tensor  # (B, *S)
    ids: Tensor  # broadcastable to (B, *S): the region of each entry, or NO_FEATURE
    of_patch: Tensor  # (B, patches): the region of each patch, or NO_FEATURE
    count: int  # M regions
    places: SequencePositions | None = None  # None where words and patches are in no one sequence

    @classmethod
    def of(cls, sights: Sequence[Sight], device: torch.device, places: SequencePositions | None = None) -> Seen:
        names = sights[0].inputs
        return cls(
            gate=ArgumentPoint(sights[0].pixels),
            inputs={name: torch.cat([s.inputs[name] for s in sights]).to(device) for name in names},
            start=torch.cat([s.start for s in sights]).to(device),
            ids=torch.cat([s.regions.ids for s in sights]).to(device),
            of_patch=torch.stack([s.regions.patch_regions for s in sights]).to(device),
            count=len(sights[0].regions),
            places=places,
        )

    @property
    def pixels(self) -> Tensor:
        return self.inputs[self.gate.name]

    def of_owners(self, owner: Tensor) -> dict[str, Tensor]:
        """The model's arguments for rows that belong to `owner`, the image as whoever looks in leaves it."""
        rows = {name: tensor[owner] for name, tensor in self.inputs.items()}
        rows[self.gate.name] = self.gate.passed(rows[self.gate.name])
        return rows

    def features(self, first: int) -> Tensor:
        """The regions as features, counted from `first`."""
        return torch.where(self.ids >= 0, self.ids + first, NO_FEATURE)

    def by_region(self, scores: Tensor, reduction: str) -> Tensor:
        """Scores of an image's entries (B, T, *S) as one number a region: (B, T, M)."""
        shape = self.pixels.shape[1:]
        shared = scores.shape[2:] != shape  # the entries of a region share one score
        ids = self.ids if shared else self.ids.expand(-1, *shape)
        ids, flat = ids.flatten(1), scores.flatten(2)
        if shared:
            return self._summed(flat, ids) / self._summed(torch.ones_like(flat), ids).clamp_min(1)
        if reduction in ("sum", "l1"):
            return self._summed(flat if reduction == "sum" else flat.abs(), ids)
        if reduction == "l2":
            return self._summed(flat.square(), ids).sqrt()
        raise InvalidInput(f"scores of an image cannot be reduced by {reduction!r}.")

    def _summed(self, scores: Tensor, ids: Tensor) -> Tensor:
        """(B, T, n) added up where `ids` (B or 1, n) are equal: (B, T, M)."""
        B, T, n = scores.shape
        total = scores.new_zeros(B, T, self.count + 1)
        return total.scatter_add_(2, (ids + 1)[:, None].expand(B, T, n), scores)[:, :, 1:]

    def split(self, along: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of a joint sequence (B, T, S): those of the words (B, T, L), and of the regions (B, T, M).

        What stands for the image as a whole belongs to all its patches in equal shares.
        """
        if self.places is None:
            raise InvalidInput("words and image are in no one sequence of this model; choose another method or layer.")
        return along[:, :, self.places.words], self.of_image(along, self.places)

    def of_image(self, along: Tensor, places: SequencePositions) -> Tensor:
        """What falls on the image of a sequence's scores (B, T, S), by region: (B, T, M)."""
        everywhere = along[:, :, list(places.image_positions)].sum(-1, keepdim=True) / len(places.patches)
        return self.drawn(along[:, :, places.patches] + everywhere, places.patch_ids)

    def drawn(self, scores: Tensor, patches: Tensor, example: int | None = None) -> Tensor:
        """Scores (B, T, P) of positions that hold patches `patches` (P, k), in equal shares, by region: (B, T, M).

        With `example` all B are of that one example.
        """
        k = patches.shape[1]
        of_patch = self.of_patch if example is None else self.of_patch[example : example + 1]
        ids = of_patch[:, patches].flatten(1).expand(len(scores), -1)
        return self._summed(scores.repeat_interleave(k, 2) / k, ids)

    def alone(self, positions: int) -> SequencePositions:
        """Where patches stand in a sequence of the image's own; what comes before them stands for it as a whole."""
        count = self.of_patch.shape[1]
        each, first = torch.arange(count), positions - count
        return SequencePositions(each[:0], first + each, each[:, None], tuple(range(first)))
