"""The images of a batch: their tensors, their baselines, and scores by region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from xai_nlp.core.features import NO_FEATURE
from xai_nlp.core.image import ImageAttribution
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.models.image_models import ImageModel
from xai_nlp.models.images import Regions, baseline_image, encode_thumbnail
from xai_nlp.models.vision_language import SequencePositions
from xai_nlp.tasks.options import Request


@dataclass(frozen=True, eq=False)
class ImageInput:
    """One image as a model takes it, beside its baseline."""

    image: Any  # a PIL image, upright and in RGB
    inputs: dict[str, Tensor]  # the processor's tensors: (1, *S) each
    argument: str  # the one that is explained
    baseline: Tensor  # (1, *S): the same tensor of the baseline image
    regions: Regions
    words_move: bool = True

    @classmethod
    def of(cls, family: ImageModel, image: Any, request: Request) -> ImageInput:
        """A PIL image as pixels, with the regions and the baseline that a request names.

        Raises InvalidInput for regions that cannot be made, UnknownName for a baseline that does not exist.
        """
        own, argument = request.own, family.image_argument
        seed = getattr(request.methods[0], "seed", 0) if len(request.methods) == 1 else 0
        start = baseline_image(image, own.get("image_baseline", "grey"), seed)
        return cls(
            image=image,
            inputs=family.image_inputs(image),
            argument=argument,
            baseline=family.image_inputs(start)[argument],
            regions=family.patches(image).regions(image, own.get("regions", "auto")),
        )

    @property
    def key(self) -> tuple[torch.Size, int]:
        """Images of one key fit into one batch: those of one shape and with as many regions."""
        return self.inputs[self.argument].shape, len(self.regions)

    def moving(self, moves: str) -> ImageInput:
        """With "both" moving, or "text" or "image" alone: the other is its own baseline, and has no features."""
        if moves == "text":
            still = replace(self.regions, ids=torch.full_like(self.regions.ids, NO_FEATURE))
            return replace(self, baseline=self.inputs[self.argument], regions=still)
        return replace(self, words_move=moves == "both")

    def with_baseline(self, family: ImageModel, name: str, seed: int = 0) -> ImageInput:
        """The same image beside another baseline image; `seed` draws the noise. Raises UnknownName."""
        return replace(self, baseline=family.image_inputs(baseline_image(self.image, name, seed))[self.argument])

    @cached_property
    def thumbnail(self) -> bytes:
        """The image as an explanation keeps it."""
        return encode_thumbnail(self.image)

    def attribution(self, scores: Sequence[float]) -> ImageAttribution:
        """The image with a score for each region."""
        regions = self.regions
        return ImageAttribution(
            data=self.thumbnail,
            size=self.image.size,
            boxes=regions.boxes,
            scores=tuple(scores),
            grid=regions.grid,
            shapes=regions.raster,
        )


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """The images of B examples, all of one shape and with as many regions."""

    argument: str  # the model's argument that is explained
    inputs: dict[str, Tensor]  # (B, *S) each
    baseline: Tensor  # (B, *S)
    ids: Tensor  # broadcastable to (B, *S): the region of each entry, or NO_FEATURE
    patch_regions: Tensor  # (B, patches): the region of each patch, or NO_FEATURE
    count: int  # M regions
    positions: SequencePositions | None = None  # None if words and patches share no sequence
    patches: int | None = None  # those of an image alone, where every layer holds them; None for maps of several sizes

    @classmethod
    def of(
        cls,
        images: Sequence[ImageInput],
        device: torch.device,
        positions: SequencePositions | None = None,
        *,
        patches: int | None = None,
    ) -> ImageBatch:
        names = images[0].inputs
        return cls(
            argument=images[0].argument,
            inputs={name: torch.cat([image.inputs[name] for image in images]).to(device) for name in names},
            baseline=torch.cat([image.baseline for image in images]).to(device),
            ids=torch.cat([image.regions.ids for image in images]).to(device),
            patch_regions=torch.stack([image.regions.patch_regions for image in images]).to(device),
            count=len(images[0].regions),
            positions=positions,
            patches=patches,
        )

    @property
    def pixels(self) -> Tensor:
        return self.inputs[self.argument]

    def arguments(self, moved: Mapping[str, Tensor], owner: Tensor) -> dict[str, Tensor]:
        """The model's arguments for rows that belong to `owner`, with the moved image if there is one."""
        rows = {name: tensor[owner] for name, tensor in self.inputs.items() if name != self.argument}
        rows[self.argument] = moved["image"] if "image" in moved else self.pixels[owner]
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
            return self._mean(flat, ids)
        if reduction in ("sum", "l1"):
            return self._summed(flat if reduction == "sum" else flat.abs(), ids)
        if reduction == "l2":
            return self._summed(flat.square(), ids).sqrt()
        raise InvalidInput(f"scores of an image cannot be reduced by {reduction!r}.")

    def _mean(self, scores: Tensor, ids: Tensor) -> Tensor:
        """The means of (B, T, n) where `ids` (B or 1, n) are equal: (B, T, M)."""
        return self._summed(scores, ids) / self._summed(torch.ones_like(scores), ids).clamp_min(1)

    def _summed(self, scores: Tensor, ids: Tensor) -> Tensor:
        """(B, T, n) added up where `ids` (B or 1, n) are equal: (B, T, M)."""
        B, T, n = scores.shape
        total = scores.new_zeros(B, T, self.count + 1)
        return total.scatter_add_(2, (ids + 1)[:, None].expand(B, T, n), scores)[:, :, 1:]

    def split(self, along: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of a joint sequence (B, T, S): those of the words (B, T, L), and of the regions (B, T, M).

        A position that stands for the whole image shares its score equally among all patches.
        """
        if self.positions is None:
            raise InvalidInput("words and image are in no one sequence of this model; choose another method or layer.")
        return along[:, :, self.positions.words], self.of_image(along, self.positions)

    def of_image(self, along: Tensor, positions: SequencePositions) -> Tensor:
        """The image's part of a sequence's scores (B, T, S), by region: (B, T, M)."""
        everywhere = along[:, :, list(positions.image_positions)].sum(-1, keepdim=True) / len(positions.patches)
        return self.by_patch(along[:, :, positions.patches] + everywhere, positions.patch_ids)

    def by_patch(self, scores: Tensor, patches: Tensor, example: int | None = None) -> Tensor:
        """Scores (B, T, P) of positions that hold patches `patches` (P, k), in equal shares, by region: (B, T, M).

        With `example` all B are of that one example.
        """
        k = patches.shape[1]
        of_patch = self.patch_regions if example is None else self.patch_regions[example : example + 1]
        ids = of_patch[:, patches].flatten(1).expand(len(scores), -1)
        return self._summed(scores.repeat_interleave(k, 2) / k, ids)

    def of_places(self, scores: Tensor, *, shared: bool) -> Tensor:
        """Scores of the places of a layer that reads an image alone (B, T, S), by region: (B, T, M).

        With `shared`, a place shares its score equally among its pixels, and positions that are no place share theirs
        among all pixels, so that sums are kept. Else the map is interpolated (bilinear), and a region has its mean.
        """
        high, wide = self.pixels.shape[-2:]
        count = scores.shape[2] if self.patches is None else self.patches
        rows = round((count * high / wide) ** 0.5)
        if not rows or count % rows or not 0 < count <= scores.shape[2]:
            raise Unsupported(f"{scores.shape[2]} positions of a layer are no map over {high} × {wide} pixels.")
        rest, places = scores.split([scores.shape[2] - count, count], 2)
        places = places.unflatten(2, (rows, count // rows))
        ids = self.ids.expand(-1, *self.pixels.shape[1:])[:, 0].flatten(1)
        if not shared:
            pixels = torch.nn.functional.interpolate(places, (high, wide), mode="bilinear", align_corners=False)
            return self._mean(pixels.flatten(2), ids)
        down, across = (
            torch.arange(n, device=scores.device) * k // n for n, k in ((high, rows), (wide, count // rows))
        )
        sizes = down.bincount(minlength=rows)[:, None] * across.bincount(minlength=count // rows)
        of_pixels = (places / sizes)[:, :, down][..., across] + rest.sum(2)[..., None, None] / (high * wide)
        return self._summed(of_pixels.flatten(2), ids)

    def alone(self, positions: int) -> SequencePositions:
        """Where patches stand in a sequence of the image's own; what comes before them stands for it as a whole."""
        count = self.patch_regions.shape[1]
        each, first = torch.arange(count), positions - count
        return SequencePositions(each[:0], first + each, each[:, None], tuple(range(first)))
