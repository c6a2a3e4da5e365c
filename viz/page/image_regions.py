"""The image of an explanation on a page: regions as SVG paths with a strength, shares, and attention to regions."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from xai_nlp.core.arrays import AttentionAttribution
from xai_nlp.core.image import ImageAttribution
from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.viz.page.region_outlines import drawing_order, outlines, region_kind, svg_path
from xai_nlp.viz.text.number_format import percent, unsigned, with_unit
from xai_nlp.viz.text.scale import peak
from xai_nlp.viz.text.text_marks import Cell, cell
from xai_nlp.viz.text.text_spans import ranks, strongest
from xai_nlp.viz.text.wording import plain

BADGES = 3  # regions whose rank is written on them
LINKED = 3  # regions listed for each word
LETTERS = 24  # badges that fit side by side along a square image
TALL = 1.2  # width over height below which three columns fit a page
GAP = 0.04  # of a grid cell, left free on each side
FORMATS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}


@dataclass(frozen=True, kw_only=True)
class Region(Cell):
    """A region, its outline and its score."""

    index: int
    name: str
    path: str  # SVG
    description: str  # the number with its unit
    rank: int
    badge: tuple[str, str]  # position of the rank, of the first few


@dataclass(frozen=True)
class RegionLinks:
    """Attention from tokens to regions."""

    about: str  # meaning of the numbers
    words: tuple[tuple[str, tuple[tuple[str, Cell], ...]], ...]  # (word, its strongest (region, score))
    data: dict[str, Any]  # for the script: scores of each token and region


@dataclass(frozen=True)
class ImageView:
    """The image of one explanation."""

    image: ImageAttribution
    source: str  # data URL
    kind: str  # "grid", "boxes" or "shapes"
    tall: bool
    transform: str  # from the units of the paths to pixels
    peak: str  # the largest |score| of a region, with its unit
    letter: str  # height of a badge, in pixels of the image
    regions: tuple[Region, ...]  # in drawing order: small ones last, on top
    shares: tuple[tuple[str, str, int], ...]  # (modality, its share of Σ|score|, in hundredths)
    links: RegionLinks | None


def image_view(image: ImageAttribution, item: Explanation, words: Explanation, shared: float) -> ImageView:
    """The view of the image of an explanation. words: the same over words; shared: peak of the shared scale."""
    kind, names, places, own = region_kind(image), image.names, ranks(image.scores), peak(image.scores)
    loops, (across, down) = outlines(image, GAP if image.grid else 0.0)
    letter = math.sqrt(image.size[0] * image.size[1]) / LETTERS
    regions = []
    for r in drawing_order(image):
        number = cell(image.scores[r], own, shared)
        has_badge = places[r] <= BADGES and image.scores[r] and len(places) > 1
        regions.append(
            Region(
                **vars(number),
                index=r,
                name=names[r],
                path=svg_path(loops[r]),
                description=with_unit(number.number, item.unit),
                rank=places[r],
                badge=_badge(image, r, letter) if has_badge else ("", ""),
            )
        )
    return ImageView(
        image=image,
        source=data_url(image),
        kind=kind,
        tall=image.size[0] < TALL * image.size[1],
        transform=f"scale({across:.6g} {down:.6g})" if kind == "shapes" else "",
        peak=with_unit(unsigned(own), item.unit),
        letter=f"{letter:.6g}",
        regions=tuple(regions),
        shares=_shares(item),
        links=_links(image, item, words),
    )


def data_url(image: ImageAttribution) -> str:
    """The image file as a data URL."""
    data = image.data
    kind = next((name for start, name in FORMATS.items() if data.startswith(start)), "png")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _badge(image: ImageAttribution, region: int, letter: float) -> tuple[str, str]:
    """The position of a region's rank: its middle, or a corner of a box, since boxes can share their middle."""
    x, y = middle(image, region)
    if region_kind(image) == "boxes":
        left, top, _, _ = image.boxes[region]
        x, y = min(left + letter * 0.7, x), min(top + letter * 0.8, y)
    return f"{x:.6g}", f"{y:.6g}"


def middle(image: ImageAttribution, region: int) -> tuple[float, float]:
    """A point inside a region, in pixels."""
    if image.shapes is not None:
        raster = image.shapes.numpy()
        rows, columns = np.nonzero(raster == region)
        if len(rows):
            n = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
            down, across = raster.shape
            return float((columns[n] + 0.5) * image.size[0] / across), float((rows[n] + 0.5) * image.size[1] / down)
    left, top, right, bottom = image.boxes[region]
    return (left + right) / 2, (top + bottom) / 2


def _shares(item: Explanation) -> tuple[tuple[str, str, int], ...]:
    """The shares of text and image; their hundredths add up to 100."""
    shares = item.shares
    if not shares or not item.tokens:
        return ()
    text = round(100 * shares["text"])
    name = "question" if "question" in item.task else "text"
    return (name, percent(shares["text"]), text), ("image", percent(shares["image"]), 100 - text)


def _links(image: ImageAttribution, item: Explanation, words: Explanation) -> RegionLinks | None:
    """Attention from tokens to regions, summed over layers and heads; weights averaged. None without any."""
    stack = item.attention.get("image")
    if stack is None or stack.queries or stack.scores.shape[2:] != (len(item.tokens), len(image.scores)):
        return None
    tokens, of_words = map(_over_heads, (stack, words.attention["image"]))
    names = image.names
    largest = peak(of_words.flat)
    lines = []
    for word, line, segment in zip(words.tokens, of_words.tolist(), words.segment, strict=True):
        if segment != SPECIAL and any(line):
            lines.append((word, tuple((names[r], cell(line[r], largest)) for r in strongest(line, LINKED))))
    sums = "mean" if stack.row_stochastic else "summed"
    about = ", ".join(filter(None, (plain(stack.method), stack.unit, f"{sums} over layers and heads")))
    rows = [[float(f"{n:.3g}") for n in row] for row in tokens.tolist()]
    return RegionLinks(about, tuple(lines), {"unit": stack.unit, "weights": stack.row_stochastic, "rows": rows})


def _over_heads(stack: AttentionAttribution) -> np.ndarray:
    scores = stack.scores.numpy()
    return scores.mean((0, 1), dtype=np.float64) if stack.row_stochastic else scores.sum((0, 1), dtype=np.float64)
