"""Images into models: reading, baseline images, and the region of the image that each entry of a tensor belongs to.

A processor may resize, crop, tile or pack an image. The place of each patch is measured: the processor is given an
image whose colours encode the position of every pixel, and the positions are read from its output.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.arrays import Array
from xai_nlp.core.features import NO_FEATURE
from xai_nlp.core.image import Box, region_names
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported

if TYPE_CHECKING:
    from PIL.Image import Image

ImageSource = Any  # a path, bytes, a PIL image, or an array (H, W), (H, W, 3) or (H, W, 4)

MAX_PIXELS = 100_000_000
THUMBNAIL_SIDE = 768  # pixels of the longer side of the image in an explanation
MAX_PATCH_REGIONS = 1024  # an image with more patches is divided into a grid
GRID_CELLS = 24  # cells of that grid along the longer side


def read_image(source: ImageSource) -> Image:
    """The image, upright and in RGB, with white behind transparent parts; more than 8 bits are scaled to 8.

    Raises InvalidInput, with the file's name, if it is no image, is cut off, or has more than MAX_PIXELS.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else "the image"
    try:
        image = _open(source, str(name))
        if not image.width * image.height:
            raise InvalidInput(f"{name} has {image.width} × {image.height} pixels: there is nothing to see.")
        if image.width * image.height > MAX_PIXELS:
            raise InvalidInput(f"{name} has {image.width} × {image.height} pixels; at most {MAX_PIXELS:,} are read.")
        image = ImageOps.exif_transpose(image)
        if image.mode in ("RGBA", "LA", "PA", "P") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        elif image.mode.startswith(("I", "F")):
            values = np.asarray(image, dtype=np.float64)  # 0 becomes its darkest value, 255 its lightest
            if not np.isfinite(values).all():
                raise InvalidInput(f"{name} has pixels that are NaN or infinite.")
            image = Image.fromarray(np.uint8(255 * (values - values.min()) / (np.ptp(values) or 1)))
        return image.convert("RGB")
    except InvalidInput:
        raise
    except UnidentifiedImageError:
        raise InvalidInput(f"{name} is not an image of a known format (PNG, JPEG, WebP, GIF, …).") from None
    except (OSError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise InvalidInput(f"{name} cannot be read as an image: {error}. Is the file cut off?") from None


def _open(source: ImageSource, name: str) -> Image:
    """The image of a file, of bytes or of an array, not decoded yet."""
    import warnings

    from PIL import Image

    if isinstance(source, Image.Image):
        return source
    if isinstance(source, (str, os.PathLike)):
        if not Path(source).is_file():
            raise InvalidInput(f"{name!r} is no file. An image is a path, bytes, a PIL image or an array; no address.")
        source = Path(source).read_bytes()
    if not isinstance(source, (bytes, bytearray, memoryview)):
        return Image.fromarray(_bytes_of(source))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is checked by the caller
        return Image.open(io.BytesIO(source))


def _bytes_of(source: Any) -> np.ndarray:
    """The pixels in bytes, from an array of bytes, of whole numbers to 255, or of numbers from 0 to 1."""
    array = np.asarray(source)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or not array.size:
        raise InvalidInput(
            "an image is a path, bytes, a PIL image or an array (height, width), with 3 or 4 colours last; got "
            f"{type(source).__name__}{f' of shape {array.shape}' if array.ndim else ''}."
        )
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.number) or not (
        array.min() >= 0 and array.max() <= (1, 255)[array.dtype.kind in "iu"]
    ):
        raise InvalidInput("an array of an image holds whole numbers from 0 to 255, or others from 0 to 1.")
    return np.rint(array * (255 if array.dtype.kind == "f" else 1)).astype(np.uint8)


def encode_thumbnail(image: Image) -> bytes:
    """The image with at most THUMBNAIL_SIDE pixels a side: PNG, or JPEG if that takes less than a third."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    files = {}
    for kind, options in (("PNG", {"optimize": True}), ("JPEG", {"quality": 88})):
        small.save(buffer := io.BytesIO(), kind, **options)
        files[kind] = buffer.getvalue()
    return files["JPEG"] if 3 * len(files["JPEG"]) < len(files["PNG"]) else files["PNG"]


#: Images of the same size with little or no information.
IMAGE_BASELINES = ("grey", "black", "white", "mean", "blur", "noise")


def baseline_image(image: Image, name: str, seed: int = 0) -> Image:
    """The image to compare with, by its name in IMAGE_BASELINES; `seed` draws the noise. Raises UnknownName."""
    from PIL import Image, ImageFilter, ImageStat

    if name not in IMAGE_BASELINES:
        raise UnknownName("image baseline", name, IMAGE_BASELINES)
    if name == "blur":
        return image.filter(ImageFilter.GaussianBlur(max(image.size) / 8))
    if name == "noise":
        draws = np.random.default_rng(seed)
        return Image.fromarray(draws.integers(0, 256, (image.height, image.width, 3), dtype=np.uint8))
    colour = tuple(map(round, ImageStat.Stat(image).mean)) if name == "mean" else name
    return Image.new("RGB", image.size, colour)


ImageProcess = Callable[["Image"], Tensor]  # an image -> the model's tensor (1, *S)


@dataclass(frozen=True, eq=False)
class Regions:
    """M regions of an image, and the entries of the image tensor in each."""

    ids: Tensor  # broadcastable to the tensor (1, *S): the region of each entry, or NO_FEATURE
    boxes: tuple[Box, ...]  # M, in pixels of the image
    patch_regions: Tensor  # (P,) the region of each patch of the model, or NO_FEATURE
    grid: tuple[int, int] | None = None  # rows and columns, if the regions are a grid
    raster: Array | None = None  # (rows, columns) the region of each cell, if the regions are no boxes

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the regions: "row 1, column 2" in a grid, else "region 2"."""
        return region_names(len(self.boxes), self.grid)


@dataclass(frozen=True, eq=False)
class Patches:
    """The P patches of a model's image tensor, and the place of each in the image."""

    ids: Tensor  # broadcastable to (1, *S): the patch of each entry
    x: Tensor  # broadcastable to (*S): the entry's place in the image, in shares of its width; NaN for padding
    y: Tensor  # the same in shares of its height
    boxes: np.ndarray  # (P, 4) in shares of width and height; NaN for padding
    grid: tuple[int, int] | None  # rows and columns, if the patches are a grid

    def regions(self, image: Image, division: Any) -> Regions:
        """The regions of an image.

        division: "auto" (patches, or a grid if there are too many), "patches", "grid:N" or N cells along the longer
            side, "slic" (superpixels), or an array (H, W) of whole numbers, one for each region, negative for none.
        Raises InvalidInput for anything else, Unsupported for "slic" without scikit-image.
        """
        if isinstance(division, str):
            if division == "auto":
                division = "patches" if len(self.boxes) <= MAX_PATCH_REGIONS and self.grid else f"grid:{GRID_CELLS}"
            if division == "patches":
                return self._patches(image)
            if division == "slic":
                division = _superpixels(image)
            elif division.startswith("grid:") and division[5:].isdigit():
                division = int(division[5:])
        if isinstance(division, int) and not isinstance(division, bool) and 0 < division <= max(image.size):
            return self._grid(image, division)
        if not isinstance(division, str) and getattr(np.asarray(division), "ndim", 0) == 2:
            return self._segments(image, np.asarray(division))
        raise InvalidInput(
            f"regions are 'auto', 'patches', 'grid:N' or N cells along the longer side (at most {max(image.size)}), "
            f"'slic', or an array (height, width) of whole numbers; got {division!r}."
        )

    def _patches(self, image: Image) -> Regions:
        """One region for each patch that is not padding."""
        inside = ~np.isnan(self.boxes).any(1)
        number = torch.from_numpy(np.where(inside, np.cumsum(inside) - 1, NO_FEATURE))
        boxes = self.boxes[inside] * np.array([*image.size, *image.size])
        grid = self.grid if inside.all() else None
        ids = torch.where(self.ids >= 0, number[self.ids], NO_FEATURE)
        return Regions(ids, tuple(tuple(map(float, box)) for box in boxes), number, grid)  # type: ignore[misc]

    def _grid(self, image: Image, cells: int) -> Regions:
        """Cells of equal size, `cells` of them along the longer side."""
        columns, rows = (max(1, round(cells * side / max(image.size))) for side in image.size)
        wide, high = image.width / columns, image.height / rows
        boxes = [(c * wide, r * high, (c + 1) * wide, (r + 1) * high) for r in range(rows) for c in range(columns)]
        return self._of_raster(torch.arange(rows * columns).view(rows, columns), boxes, grid=(rows, columns))

    def _segments(self, image: Image, labels: np.ndarray) -> Regions:
        """One region for each number of a segmentation; none for negative ones."""
        if labels.dtype.kind not in "iub" or labels.shape != (image.height, image.width):
            raise InvalidInput(
                f"a segmentation has a whole number for each pixel, {image.height} × {image.width} of them; got "
                f"{labels.dtype} of shape {labels.shape}."
            )
        values, numbers = np.unique(labels, return_inverse=True)
        negative = int((values < 0).sum())
        numbers = np.where(labels < 0, NO_FEATURE, numbers.reshape(labels.shape) - negative)
        boxes = []
        for number in range(len(values) - negative):
            down, across = (np.flatnonzero((numbers == number).any(axis)) for axis in (1, 0))
            boxes.append((float(across[0]), float(down[0]), float(across[-1] + 1), float(down[-1] + 1)))
        step = max(1, -(-max(labels.shape) // 256))
        raster = Array(numbers[step // 2 :: step, step // 2 :: step])
        return self._of_raster(torch.from_numpy(numbers), boxes, raster=raster)

    def _of_raster(self, cells: Tensor, boxes: Sequence[Box], **fields: Any) -> Regions:
        """The regions of cells (rows, columns) over the image: an entry belongs to the region of its cell."""

        def region(x: Tensor, y: Tensor) -> Tensor:
            down, across = (
                (at.nan_to_num() * n).long().clamp(0, n - 1) for at, n in zip((y, x), cells.shape, strict=True)
            )
            return torch.where(x.isnan(), NO_FEATURE, cells[down, across])

        left, top, right, bottom = torch.from_numpy(self.boxes).T
        of_patches = region((left + right) / 2, (top + bottom) / 2)
        return Regions(region(self.x, self.y)[None], tuple(boxes), of_patches, **fields)


def _superpixels(image: Image) -> np.ndarray:
    """About 100 segments of similar colour (H, W), by SLIC."""
    try:
        from skimage.segmentation import slic
    except ImportError:
        raise Unsupported("regions='slic' needs scikit-image: pip install scikit-image.") from None
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    labels = slic(np.asarray(small), n_segments=100, compactness=10, start_label=0)
    rows, columns = (np.arange(n) * m // n for n, m in zip(image.size[::-1], labels.shape, strict=True))
    return labels[rows][:, columns]


def patches(process: ImageProcess, image: Image, patch: int) -> Patches:
    """The patches of the processor's tensor, and their places in the image.

    The processor is shown places instead of colours: x in red, y in green, from 0 to 1. It is linear in each colour, so
    the place is (ramp − black) / (white − black); padding has none.

    patch: side of a patch, in pixels of a tensor (…, C, H, W); a tensor (patches, entries) is divided already.
    """
    from PIL import Image

    width, height = image.size
    ramp = np.zeros((height, width, 3), dtype=np.uint8)
    ramp[:, :, 0] = np.rint(255 * (np.arange(width) + 0.5) / width)
    ramp[:, :, 1] = np.rint(255 * (np.arange(height) + 0.5) / height)[:, None]
    place, black, white = (
        process(Image.fromarray(pixels))[0].double() for pixels in (ramp, np.zeros_like(ramp), np.full_like(ramp, 255))
    )
    places = torch.where((white - black).abs() > 1e-6, (place - black) / (white - black), torch.nan)
    return _packed_patches(places) if places.ndim == 2 else _grid_patches(places, patch)


def _packed_patches(places: Tensor) -> Patches:
    """The patches of a tensor (patches, entries): each row is a patch, its colours one after the other."""
    count, entries = places.shape
    x, y = (places.view(count, 3, entries // 3)[:, c].nanmean(1, keepdim=True) for c in (0, 1))
    columns, rows = (len(torch.unique((at * 4096).round())) for at in (x, y))
    sides = np.array([1 / columns, 1 / rows])
    corners = np.floor((torch.cat([x, y], 1).numpy() / sides).round(1)) * sides
    boxes = np.concatenate([corners, corners + sides], 1)
    return Patches(torch.arange(count).view(1, count, 1), x, y, boxes, None)


def _grid_patches(places: Tensor, patch: int) -> Patches:
    """The patches of a tensor (…, C, H, W): squares in reading order, in each image of the leading axes."""
    *lead, _, high, wide = places.shape
    rows, columns = high // patch, wide // patch
    each = rows * columns
    down, across = torch.arange(high)[:, None] // patch, torch.arange(wide)[None] // patch
    number = torch.where((down < rows) & (across < columns), down * columns + across, NO_FEATURE)
    tiles = int(np.prod(lead))
    starts = (torch.arange(tiles) * each).view(*lead, 1, 1, 1)
    ids = torch.where(number >= 0, number + starts, NO_FEATURE)
    x, y = (places[..., c : c + 1, :, :] for c in (0, 1))
    r, c = np.divmod(np.arange(each), columns)
    boxes = []
    for tile_x, tile_y in zip(x.reshape(tiles, high, wide), y.reshape(tiles, high, wide), strict=True):
        left, right = _edges(tile_x.nanmean(0), patch, columns)
        top, bottom = _edges(tile_y.nanmean(1), patch, rows)
        boxes.append(np.stack([left[c], top[r], right[c], bottom[r]], 1))
    return Patches(ids[None], x, y, np.concatenate(boxes), (rows, columns) if tiles == 1 else None)


def _edges(places: Tensor, patch: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Begin and end of each of `count` patches, from the places of the pixels along one axis; NaN for padding."""
    inside = ~places.isnan().numpy()
    pixels = np.flatnonzero(inside)
    if not len(pixels):
        return np.full(count, np.nan), np.full(count, np.nan)
    slope, start = np.polyfit(pixels + 0.5, places.numpy()[inside], 1) if len(pixels) > 1 else (1.0, 0.0)
    ends = start + slope * patch * np.arange(count + 1)
    if abs(ends[0]) < 0.004 and abs(ends[-1] - 1) < 0.004:  # exact for a whole side: a colour has 256 steps only
        ends = np.linspace(0, 1, count + 1)
    ends = ends.clip(0, 1)
    covered = np.array([inside[k * patch : (k + 1) * patch].any() for k in range(count)])
    return np.where(covered, ends[:-1], np.nan), np.where(covered, ends[1:], np.nan)
