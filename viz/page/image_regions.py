"""The image of an explanation on a page: regions as SVG paths with a strength, shares, and attention to regions."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xai_nlp.core.arrays import AttentionAttribution
from xai_nlp.core.image import Box, ImageAttribution
from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.viz.page.contours import svg_path, thinned
from xai_nlp.viz.text.number_format import percent, signed, unsigned, with_unit
from xai_nlp.viz.text.scale import peak, sign_class, step
from xai_nlp.viz.text.text_marks import Cell, cell
from xai_nlp.viz.text.text_spans import ranks, strongest
from xai_nlp.viz.text.wording import plain

BADGES = 3  # regions whose rank is written on them
LINKED = 3  # regions listed for each word
LETTERS = 24  # badges that fit side by side along a square image
TALL = 1.2  # width over height below which three columns fit a page
GAP = 0.04  # of a grid cell, left free on each side
FORMATS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}


@dataclass(frozen=True)
class Region:
    """A region, its outline and its score."""

    index: int
    name: str
    path: str  # SVG
    kind: str  # "p" for, "n" against, "z" exactly zero
    own: int  # strength in hundredths of the image's peak
    shared: int  # strength in hundredths of the shared scale's peak
    number: str
    description: str  # the number with its unit
    rank: int
    badge: tuple[str, str]  # position of the rank, of the first few


@dataclass(frozen=True)
class ImageView:
    """The image of one explanation."""

    source: str  # data URL
    size: tuple[int, int]
    kind: str  # "grid", "boxes" or "shapes"
    tall: bool
    columns: int  # of a grid
    transform: str  # from the units of the paths to pixels
    peak: str  # the largest |score| of a region, with its unit
    letter: str  # height of a badge, in pixels of the image
    regions: tuple[Region, ...]  # in drawing order: small ones last, on top
    shares: tuple[tuple[str, str, int], ...]  # (modality, its share of Σ|score|, in hundredths)
    linked: tuple[tuple[str, tuple[tuple[str, Cell], ...]], ...]  # (word, its strongest (region, score))
    links_about: str  # meaning of the numbers in `linked`
    links: dict[str, Any] | None  # for the script: scores of each token and region


def image_view(item: Explanation, words: Explanation, shared: float) -> ImageView | None:
    """The view of the image; None without one. shared: peak of the shared scale."""
    image = item.image
    if image is None:
        return None
    places, own = ranks(image.scores), peak(image.scores)
    paths, transform = _paths(image)
    badges = _badges(image, places)
    regions = [
        Region(
            index=r,
            name=name,
            path=paths[r],
            kind=sign_class(score),
            own=step(score, own),
            shared=step(score, shared),
            number=signed(score, own or None),
            description=with_unit(signed(score, own or None), item.unit),
            rank=places[r],
            badge=badges.get(r, ("", "")),
        )
        for r, (name, score) in enumerate(zip(image.names, image.scores, strict=True))
    ]
    if region_kind(image) == "boxes":
        regions.sort(key=lambda region: -area(image.boxes[region.index]))
    links = _links(item)
    return ImageView(
        source=data_url(image),
        size=image.size,
        kind=region_kind(image),
        tall=image.size[0] < TALL * image.size[1],
        columns=image.grid[1] if image.grid else 0,
        transform=transform,
        peak=with_unit(unsigned(own), item.unit),
        letter=_number(_letter(image)),
        regions=tuple(regions),
        shares=_shares(item),
        linked=() if links is None else _linked(words),
        links_about="" if links is None else _links_about(item.attention["image"]),
        links=None if links is None else _script_links(item, links),
    )


def data_url(image: ImageAttribution) -> str:
    """The image file as a data URL."""
    data = image.data
    kind = next((name for start, name in FORMATS.items() if data.startswith(start)), "png")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def region_kind(image: ImageAttribution) -> str:
    """The kind of its regions: "grid", "shapes" or "boxes"."""
    return "shapes" if image.shapes is not None else "boxes" if image.grid is None else "grid"


def area(box: Box) -> float:
    """The area of a box."""
    return (box[2] - box[0]) * (box[3] - box[1])


# Outlines ------------------------------------------------------------------------------------------------------------


def _paths(image: ImageAttribution) -> tuple[list[str], str]:
    """The path of each region, and the SVG transform from its units to pixels."""
    if image.shapes is not None:
        raster, (width, height) = thinned(image.shapes.numpy()), image.size
        scale = f"scale({_number(width / raster.shape[1])} {_number(height / raster.shape[0])})"
        return [svg_path(raster == r) for r in range(len(image.scores))], scale
    gap = GAP if image.grid else 0.0
    return [_rectangle(box, gap) for box in image.boxes], ""


def _rectangle(box: Box, gap: float) -> str:
    left, top, right, bottom = box
    across, down = gap * (right - left), gap * (bottom - top)
    corners = left + across, top + down, right - across, bottom - down
    return "M{0} {1}H{2}V{3}H{0}Z".format(*map(_number, corners))


def _badges(image: ImageAttribution, places: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Positions of the ranks of the strongest regions: the middle; a corner of boxes, which can share their middle."""
    badges = {}
    for r, place in enumerate(places):
        if place <= BADGES and image.scores[r] and len(image.scores) > 1:
            x, y = middle(image, r)
            if region_kind(image) == "boxes":
                left, top, right, bottom = image.boxes[r]
                inside = _letter(image)
                x, y = left + min(inside * 0.7, (right - left) / 2), top + min(inside * 0.8, (bottom - top) / 2)
            badges[r] = (_number(x), _number(y))
    return badges


def _letter(image: ImageAttribution) -> float:
    return math.sqrt(image.size[0] * image.size[1]) / LETTERS


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


def _number(value: float) -> str:
    return f"{value:.6g}"


# Shares and links ----------------------------------------------------------------------------------------------------


def _shares(item: Explanation) -> tuple[tuple[str, str, int], ...]:
    """The shares of text and image; their hundredths add up to 100."""
    shares = item.shares
    if not shares or not item.tokens:
        return ()
    text = round(100 * shares["text"])
    name = "question" if "question" in item.task else "text"
    return (name, percent(shares["text"]), text), ("image", percent(shares["image"]), 100 - text)


def _links(item: Explanation) -> np.ndarray | None:
    """Attention from tokens to regions, (tokens, regions): summed over layers and heads; weights averaged."""
    stack, image = item.attention.get("image"), item.image
    if stack is None or stack.queries is not None or image is None:
        return None
    scores = stack.scores.numpy()
    if scores.shape[2:] != (len(item.tokens), len(image.scores)):
        return None
    return scores.mean((0, 1), dtype=np.float64) if stack.row_stochastic else scores.sum((0, 1), dtype=np.float64)


def _links_about(stack: AttentionAttribution) -> str:
    sums = "mean" if stack.row_stochastic else "summed"
    return ", ".join(filter(None, (plain(stack.method), stack.unit, f"{sums} over layers and heads")))


def _linked(words: Explanation) -> tuple[tuple[str, tuple[tuple[str, Cell], ...]], ...]:
    links, image = _links(words), words.image
    assert links is not None and image is not None
    largest = peak(links.flat)
    lines = []
    for word, line, segment in zip(words.tokens, links.tolist(), words.segment, strict=True):
        if segment != SPECIAL and any(line):
            order = strongest(line, LINKED)
            lines.append((word, tuple((image.names[r], cell(line[r], largest)) for r in order)))
    return tuple(lines)


def _script_links(item: Explanation, links: np.ndarray) -> dict[str, Any]:
    stack = item.attention["image"]
    rows = [[float(f"{n:.3g}") for n in row] for row in links.tolist()]
    return {"unit": stack.unit, "weights": stack.row_stochastic, "rows": rows}
