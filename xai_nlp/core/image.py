"""The image of an explanation: its bytes, its regions, and a score for each."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from xai_nlp.core.arrays import Array
from xai_nlp.errors import InvalidInput, UnreadableFile

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST_SIDE = 2**31  # pixels of an image, before it was scaled
MOST_PIXELS = 2**25  # of one that is shown
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, kw_only=True)
class ImageAttribution:
    """An image whose regions have one signed score each, in the unit of the explanation it belongs to.

    boxes: where each region is, in pixels of the image before it was scaled; regions may overlap.
    shapes: where regions are no boxes, the region of each cell of a raster over the image, −1 for none.
    """

    data: bytes  # PNG or JPEG, made small enough to show
    size: tuple[int, int]  # width and height before it was scaled, in pixels
    boxes: tuple[Box, ...]  # M of them
    scores: tuple[float, ...]  # M numbers, signed
    grid: tuple[int, int] | None = None  # rows and columns, where the regions are a grid in reading order
    shapes: Array | None = None  # (rows, columns)

    def __post_init__(self) -> None:
        rows, columns = self.grid or (1, len(self.boxes))
        if len(self.boxes) != len(self.scores) or rows * columns != len(self.boxes):
            raise InvalidInput(
                f"an image needs one score a region; got {len(self.boxes)} boxes, {len(self.scores)} scores, "
                f"and a grid of {self.grid}."
            )
        if not all(1 <= side <= LARGEST_SIDE for side in self.size) or rows < 0 or columns < 0:
            raise InvalidInput(f"an image has at least one pixel and one region; got {self.size} and {self.grid}.")
        if self.shapes is not None and len(self.shapes.shape) != 2:
            raise InvalidInput(f"the shapes of regions are a raster (rows, columns); got {self.shapes.shape}.")
        if not all(map(math.isfinite, chain(self.scores, *self.boxes))):
            raise InvalidInput("the scores and boxes of an image's regions must be finite; got NaN or infinity.")

    @property
    def names(self) -> tuple[str, ...]:
        """The regions' names: "row 2, column 3", or "region 4"; counted from 1."""
        return region_names(len(self.boxes), self.grid)

    def picture(self) -> Image:
        """The image in RGB. Raises UnreadableFile if `data` is no PNG or JPEG, or one of too many pixels."""
        from PIL import Image

        try:
            with Image.open(io.BytesIO(self.data), formats=("PNG", "JPEG")) as file:
                if math.prod(file.size) <= MOST_PIXELS:
                    return file.convert("RGB")
        except Exception:  # Pillow has many errors for bytes that are no image
            pass
        raise UnreadableFile(
            "the image of this explanation cannot be drawn: it is no whole PNG or JPEG of at most "
            f"{MOST_PIXELS:,} pixels."
        )

    def best(self) -> int:
        """The region that speaks most for the target."""
        return max(range(len(self.scores)), key=self.scores.__getitem__)


def region_names(count: int, grid: tuple[int, int] | None) -> tuple[str, ...]:
    """Names of so many regions, counted from 1.

    >>> region_names(2, None), region_names(2, (1, 2))
    (('region 1', 'region 2'), ('row 1, column 1', 'row 1, column 2'))
    """
    if grid is None:
        return tuple(f"region {r + 1}" for r in range(count))
    return tuple(f"row {r // grid[1] + 1}, column {r % grid[1] + 1}" for r in range(count))
