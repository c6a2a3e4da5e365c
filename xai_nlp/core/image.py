"""The image of an explanation: what was looked at, its regions, and a score for each."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from xai_nlp.core.arrays import Array, plain, read_array
from xai_nlp.errors import InvalidInput, UnreadableFile

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, kw_only=True)
class ImageAttribution:
    """An image whose regions have one signed score each, in the unit of the explanation it belongs to.

    boxes: where each region is, in pixels of the image as it was given; regions may overlap.
    shapes: where regions are no boxes, which of them each cell of a raster over the image belongs to, −1 for none.
    """

    image: bytes  # PNG or JPEG, made small enough to show
    size: tuple[int, int]  # width and height as it was given, in pixels
    boxes: tuple[Box, ...]  # M of them
    scores: tuple[float, ...]  # M numbers, signed
    grid: tuple[int, int] | None = None  # rows and columns, where the regions are a grid in reading order
    shapes: Array | None = None  # (rows, columns)

    def __post_init__(self) -> None:
        rows, columns = self.grid or (1, len(self.boxes))
        if len(self.boxes) != len(self.scores) or rows * columns != len(self.boxes):
            raise InvalidInput(
                f"a picture needs one score a region; got {len(self.boxes)} boxes, {len(self.scores)} scores, "
                f"and a grid of {self.grid}."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """What regions are called: "row 2, column 3", or "region 4"; counted from 1."""
        return region_names(len(self.boxes), self.grid)

    def best(self) -> int:
        """Which region speaks most for the target."""
        return max(range(len(self.scores)), key=self.scores.__getitem__)

    def plain(self, beside: dict[str, Any] | None = None, file: str = "") -> dict[str, Any]:
        """As JSON can hold it."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        data["image"] = base64.b64encode(self.image).decode("ascii")
        data["shapes"] = None if self.shapes is None else plain(self.shapes, beside, file, "picture.shapes")
        return data

    @classmethod
    def read(cls, data: Mapping[str, Any], folder: Path | None) -> ImageAttribution:
        """What `plain` made of it. Raises UnreadableFile."""
        try:
            shapes = data["shapes"]
            return cls(
                image=base64.b64decode(data["image"], validate=True),
                size=_whole(data["size"]),
                boxes=tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in data["boxes"]),
                scores=tuple(float(s) for s in data["scores"]),
                grid=None if data["grid"] is None else _whole(data["grid"]),
                shapes=None if shapes is None else read_array(shapes, folder),
            )
        except (KeyError, TypeError, ValueError, binascii.Error, InvalidInput) as error:
            raise UnreadableFile(f"the picture of this explanation cannot be read: {error}.") from None


def region_names(count: int, grid: tuple[int, int] | None) -> tuple[str, ...]:
    """What so many regions are called, counted from 1.

    >>> region_names(2, None), region_names(2, (1, 2))
    (('region 1', 'region 2'), ('row 1, column 1', 'row 1, column 2'))
    """
    if grid is None:
        return tuple(f"region {r + 1}" for r in range(count))
    return tuple(f"row {r // grid[1] + 1}, column {r % grid[1] + 1}" for r in range(count))


def _whole(pair: Any) -> tuple[int, int]:
    first, second = pair
    return int(first), int(second)
