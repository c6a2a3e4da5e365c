"""Images into models: read from anywhere, compared with an image of nothing, and cut into regions.

Where a model's processor put each part of an image (resized, cropped, tiled, packed into patches) is not written down
here for each family: the processor is shown an image whose colours tell where they are, and the answer is read off.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
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
THUMBNAIL_SIDE = 768  # pixels of the longer side of the image that an explanation keeps
MAX_PATCH_REGIONS = 1024  # regions; where patches are more, a grid
GRID_CELLS = 24  # cells along the longer side


# Reading --------------------------------------------------------------------------------------------------------------


def read_image(source: ImageSource) -> Image:
    """The image, upright and in RGB; transparency lies on white.

    Raises InvalidInput that names the file for one that is no image, is cut off, or has more than MAX_PIXELS.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if isinstance(source, Image.Image):
        opened, name = source, "the image"
    elif isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        if not Path(name).is_file():
            raise InvalidInput(f"{name!r} is no file. An image is a path, bytes, a PIL image or an array; no address.")
        opened = _opened(Path(name).read_bytes(), name)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        name = "the image"
        opened = _opened(bytes(source), name)
    else:
        opened, name = Image.fromarray(_bytes_of(source)), "the array"
    if opened.width * opened.height > MAX_PIXELS:
        raise InvalidInput(f"{name} has {opened.width} × {opened.height} pixels; at most {MAX_PIXELS:,} are read.")
    try:
        upright = ImageOps.exif_transpose(opened)
        if upright.mode in ("RGBA", "LA", "PA", "P") or "transparency" in upright.info:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        elif upright.mode.startswith(("I", "F")):
            upright = _stretched(upright)
        return upright.convert("RGB")
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise InvalidInput(f"{name} cannot be read as an image: {error}. Is the file cut off?") from None


def _opened(content: bytes, name: str) -> Image:
    import warnings

    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit follows
            return Image.open(io.BytesIO(content))
    except UnidentifiedImageError:
        raise InvalidInput(f"{name} is not an image of a kind that is known (PNG, JPEG, WebP, GIF, …).") from None
    except (OSError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise InvalidInput(f"{name} cannot be read as an image: {error}.") from None


def _bytes_of(source: Any) -> np.ndarray:
    """An array of bytes from one of bytes, or of numbers from 0 to 1."""
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


def _stretched(image: Image) -> Image:
    """More than 8 bits: from its darkest to its lightest."""
    from PIL import Image

    values = np.asarray(image, dtype=np.float64)
    low, high = values.min(), values.max()
    return Image.fromarray(np.uint8(255 * (values - low) / (high - low or 1)))


def encode_thumbnail(image: Image) -> bytes:
    """A PNG, or a JPEG where that is a third of it, small enough to keep."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    kept = {}
    for kind, options in (("PNG", {"optimize": True}), ("JPEG", {"quality": 88})):
        small.save(buffer := io.BytesIO(), kind, **options)
        kept[kind] = buffer.getvalue()
    return kept["JPEG"] if 3 * len(kept["JPEG"]) < len(kept["PNG"]) else kept["PNG"]


# What an image is compared with ---------------------------------------------------------------------------------------


def _plain(image: Image, colour: tuple[int, int, int]) -> Image:
    from PIL import Image

    return Image.new("RGB", image.size, colour)


def _blurred(image: Image, seed: int) -> Image:
    from PIL import ImageFilter

    return image.filter(ImageFilter.GaussianBlur(max(image.size) / 8))


def _noise(image: Image, seed: int) -> Image:
    from PIL import Image

    draws = np.random.default_rng(seed)
    return Image.fromarray(draws.integers(0, 256, (image.height, image.width, 3), dtype=np.uint8))


def _mean(image: Image, seed: int) -> Image:
    means = np.asarray(image).reshape(-1, 3).mean(0)
    return _plain(image, tuple(int(m) for m in np.rint(means)))  # type: ignore[arg-type]


#: name -> an image of the same size that says nothing, or little
IMAGE_BASELINES: dict[str, Callable[[Image, int], Image]] = {
    "grey": lambda image, seed: _plain(image, (128, 128, 128)),
    "black": lambda image, seed: _plain(image, (0, 0, 0)),
    "white": lambda image, seed: _plain(image, (255, 255, 255)),
    "mean": _mean,
    "blur": _blurred,
    "noise": _noise,
}


def baseline_image(image: Image, name: str, seed: int = 0) -> Image:
    """The image to compare with. Raises UnknownName."""
    if name not in IMAGE_BASELINES:
        raise UnknownName("image baseline", name, IMAGE_BASELINES)
    return IMAGE_BASELINES[name](image, seed)


# Where the processor put what -----------------------------------------------------------------------------------------

ImageProcess = Callable[["Image"], Mapping[str, Tensor]]  # what the model's processor makes of an image


@dataclass(frozen=True, eq=False)
class Regions:
    """How the entries of an image tensor fall into regions of the image."""

    ids: Tensor  # broadcastable to the tensor (1, *S): which region an entry belongs to, or NO_FEATURE
    boxes: tuple[Box, ...]  # in pixels of the image
    patch_regions: Tensor  # which region each patch of the model belongs to, or NO_FEATURE
    grid: tuple[int, int] | None = None
    shapes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def names(self) -> tuple[str, ...]:
        return region_names(len(self.boxes), self.grid)

    @property
    def raster(self) -> Array | None:
        return None if self.shapes is None else Array(self.shapes)


@dataclass(frozen=True, eq=False)
class Patches:
    """The patches that a model cuts its image tensor into, and where in the image each comes from."""

    ids: Tensor  # (1, *S) broadcastable: the patch of each entry
    x: Tensor  # (*S) broadcastable: where in the image an entry comes from, as a share of its width; NaN: nowhere
    y: Tensor
    boxes: np.ndarray  # (patches, 4) as shares of width and height; NaN for one that is padding
    grid: tuple[int, int] | None

    def regions(self, image: Image, wanted: Any) -> Regions:
        """Regions of the image: "auto", "patches", how many cells a grid has along the longer side, "slic", or an
        array (H, W) of whole numbers, one for each region.

        Raises InvalidInput for anything else.
        """
        if isinstance(wanted, str) and wanted.startswith("grid:"):
            wanted = int(wanted.removeprefix("grid:")) if wanted[5:].isdigit() else wanted
        if isinstance(wanted, str) and wanted == "auto":
            wanted = "patches" if len(self.boxes) <= MAX_PATCH_REGIONS and self.grid else GRID_CELLS
        if isinstance(wanted, str) and wanted == "patches":
            return self._patches(image)
        if isinstance(wanted, str) and wanted == "slic":
            wanted = _superpixels(image)
        if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted > 0:
            return self._grid(image, wanted)
        if not isinstance(wanted, str) and getattr(np.asarray(wanted), "ndim", 0) == 2:
            return self._segments(image, np.asarray(wanted))
        raise InvalidInput(
            f"regions are 'auto', 'patches', 'grid:N' or N cells along the longer side, 'slic', or an array (height, "
            f"width) of whole numbers; got {wanted!r}."
        )

    def _patches(self, image: Image) -> Regions:
        here = ~np.isnan(self.boxes).any(1)
        number = torch.from_numpy(np.where(here, np.cumsum(here) - 1, NO_FEATURE))
        boxes = self.boxes[here] * np.array([*image.size, *image.size])
        grid = self.grid if here.all() else None
        ids = torch.where(self.ids >= 0, number[self.ids], NO_FEATURE)
        return Regions(ids, tuple(tuple(map(float, box)) for box in boxes), number, grid)  # type: ignore[misc]

    def _grid(self, image: Image, cells: int) -> Regions:
        longer = max(image.size)
        columns, rows = (max(1, round(cells * side / longer)) for side in image.size)

        def cell(x: Tensor, y: Tensor) -> Tensor:
            column, row = ((at.nan_to_num() * n).long().clamp(0, n - 1) for at, n in ((x, columns), (y, rows)))
            return torch.where(x.isnan(), NO_FEATURE, row * columns + column)

        wide, high = image.width / columns, image.height / rows
        boxes = tuple((c * wide, r * high, (c + 1) * wide, (r + 1) * high) for r in range(rows) for c in range(columns))
        return Regions(cell(self.x, self.y)[None], boxes, cell(*self._centres), (rows, columns))

    def _segments(self, image: Image, labels: np.ndarray) -> Regions:
        if labels.dtype.kind not in "iub" or labels.shape != (image.height, image.width):
            raise InvalidInput(
                f"a segmentation has a whole number for each pixel, {image.height} × {image.width} of them; got "
                f"{labels.dtype} of shape {labels.shape}."
            )
        known, numbers = np.unique(labels, return_inverse=True)
        numbers = numbers.reshape(labels.shape)
        if known[0] < 0:  # negative: no region
            numbers, known = np.where(labels < 0, NO_FEATURE, numbers - (known < 0).sum()), known[known >= 0]

        def segment(x: Tensor, y: Tensor) -> Tensor:
            down, across = (
                (at.nan_to_num() * n).long().clamp(0, n - 1) for at, n in zip((y, x), labels.shape, strict=True)
            )
            return torch.where(x.isnan(), NO_FEATURE, torch.from_numpy(numbers)[down, across])

        boxes = []
        for number in range(len(known)):
            down, across = (np.flatnonzero((numbers == number).any(axis)) for axis in (1, 0))
            boxes.append((float(across[0]), float(down[0]), float(across[-1] + 1), float(down[-1] + 1)))
        step = max(1, -(-max(labels.shape) // 256))
        shapes = numbers[step // 2 :: step, step // 2 :: step]
        return Regions(segment(self.x, self.y)[None], tuple(boxes), segment(*self._centres), shapes=shapes)

    @property
    def _centres(self) -> tuple[Tensor, Tensor]:
        """Where the middle of each patch is, across and down."""
        left, top, right, bottom = torch.from_numpy(self.boxes).T
        return (left + right) / 2, (top + bottom) / 2


def _superpixels(image: Image) -> np.ndarray:
    try:
        from skimage.segmentation import slic
    except ImportError:
        raise Unsupported("regions='slic' needs scikit-image: pip install scikit-image.") from None
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    labels = slic(np.asarray(small), n_segments=100, compactness=10, start_label=0)
    rows, columns = (np.arange(n) * m // n for n, m in zip(image.size[::-1], labels.shape, strict=True))
    return labels[rows][:, columns]


def patches(process: ImageProcess, image: Image, name: str, patch: int) -> Patches:
    """Where each entry of the processor's tensor `name` comes from.

    patch: side of a patch, in pixels of a tensor (…, C, H, W); one packed as (patches, entries) has them as they are.
    """
    look = _CoordinateProbe(process, image, name)
    if look.packed:
        return look.packed_patches()
    return look.grid_patches(patch)


@dataclass(frozen=True, eq=False)
class _CoordinateProbe:
    """What the processor makes of an image whose red tells how far to the right, and whose green how far down."""

    process: ImageProcess
    image: Image
    name: str

    @cached_property
    def seen(self) -> Tensor:
        """(*S) with C colours at its axis −3: where each comes from; NaN where the image has no part."""
        from PIL import Image

        width, height = self.image.size
        ramp = np.zeros((height, width, 3), dtype=np.uint8)
        ramp[:, :, 0] = np.rint(255 * (np.arange(width) + 0.5) / width)
        ramp[:, :, 1] = np.rint(255 * (np.arange(height) + 0.5) / height)[:, None]
        told, dark, light = (
            self.process(Image.fromarray(pixels))[self.name].double()
            for pixels in (ramp, np.zeros_like(ramp), np.full_like(ramp, 255))
        )
        return torch.where((light - dark).abs() > 1e-6, (told - dark) / (light - dark), torch.nan)[0]

    @property
    def packed(self) -> bool:
        return self.seen.ndim == 2

    def packed_patches(self) -> Patches:
        """Each row is a patch, its colours one after the other."""
        count, entries = self.seen.shape
        red, green = (self.seen.view(count, 3, entries // 3)[:, c].nanmean(1, keepdim=True) for c in (0, 1))
        columns, rows = (len(torch.unique((at * 4096).round())) for at in (red, green))
        sides = np.array([1 / columns, 1 / rows])
        centres = (torch.cat([red, green], 1).numpy() / sides).round(1)
        centres = (np.floor(centres) + 0.5) * sides
        boxes = np.concatenate([centres - sides / 2, centres + sides / 2], 1)
        return Patches(torch.arange(count).view(1, count, 1), red, green, boxes, None)

    def grid_patches(self, patch: int) -> Patches:
        """Each image of the tensor, in its leading axes, is cut into squares in reading order."""
        *lead, _, high, wide = self.seen.shape
        rows, columns = high // patch, wide // patch
        each = rows * columns
        down, across = torch.arange(high) // patch, torch.arange(wide) // patch
        inside = (down[:, None] < rows) & (across[None] < columns)
        number = torch.where(inside, down[:, None] * columns + across[None], NO_FEATURE)
        tiles = int(np.prod(lead))
        starts = (torch.arange(tiles) * each).view(*lead, 1, 1, 1)
        ids = torch.where(number >= 0, number + starts, NO_FEATURE)
        x, y = (self.seen[..., c : c + 1, :, :] for c in (0, 1))
        boxes = []
        for tile_x, tile_y in zip(x.reshape(tiles, high, wide), y.reshape(tiles, high, wide), strict=True):
            left, right = _edges(tile_x.nanmean(0), patch, columns)
            top, bottom = _edges(tile_y.nanmean(1), patch, rows)
            r, c = np.divmod(np.arange(each), columns)
            boxes.append(np.stack([left[c], top[r], right[c], bottom[r]], 1))
        return Patches(ids[None], x, y, np.concatenate(boxes), (rows, columns) if tiles == 1 else None)


def _edges(along: Tensor, patch: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `count` patches begins and ends, from where each pixel along one axis comes from."""
    here = ~along.isnan().numpy()
    places = np.flatnonzero(here)
    if not len(places):
        return np.full(count, np.nan), np.full(count, np.nan)
    slope, start = np.polyfit(places + 0.5, along.numpy()[here], 1) if len(places) > 1 else (1.0, 0.0)
    ends = start + slope * patch * np.arange(count + 1)
    if abs(ends[0]) < 0.004 and abs(ends[-1] - 1) < 0.004:  # the whole width: colours have 256 steps, this has none
        ends = np.linspace(0, 1, count + 1)
    ends = ends.clip(0, 1)
    covered = np.array([here[k * patch : (k + 1) * patch].any() for k in range(count)])
    return np.where(covered, ends[:-1], np.nan), np.where(covered, ends[1:], np.nan)
