"""The image of an explanation as a page shows it: regions as outlines with a strength, shares, whom words drew on."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xai_nlp.core.image import Box, ImageAttribution
from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.viz.digits import percent, signed, unsigned, with_unit
from xai_nlp.viz.outlines import outline, shrunk
from xai_nlp.viz.pieces import ranks
from xai_nlp.viz.scale import peak, step
from xai_nlp.viz.strips import scale_key
from xai_nlp.viz.tables import Cell, Line, Table, cell, foremost

BADGES = 3  # regions that carry the number of their place, so that a table on paper can be told
LINKED = 3  # regions listed for each word
LETTERS = 24  # of the size of a badge, side by side along an image as wide as high
FAINT = 0.25  # of the scale: regions that are all weaker are hard to see
TALL = 1.2  # width over height
GAP = 0.04  # of a grid's cell left free on each side, so that neighbours stay apart
PLAIN = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}


@dataclass(frozen=True)
class Region:
    """A region, where it is, and its number."""

    index: int
    name: str
    path: str  # its outline as an SVG path
    kind: str  # "p" for, "n" against, "z" exactly zero
    own: int  # strength in hundredths of the explanation's peak
    shared: int
    alone: int  # of the image's own peak
    number: str
    spoken: str  # with its unit
    rank: int
    badge: tuple[str, str]  # where the number of its place stands; of the first few


@dataclass(frozen=True)
class Share:
    """How much of what was scored lies in one of the two inputs."""

    name: str
    text: str
    hundredths: int


@dataclass(frozen=True)
class Linked:
    """A word and the regions it drew on most."""

    word: str
    cells: tuple[tuple[str, Cell], ...]  # (region, what was drawn from it)


@dataclass(frozen=True)
class Seen:
    """The image of one explanation."""

    source: str  # data URL
    size: tuple[int, int]
    kind: str  # "grid", "boxes" or "shapes"
    tall: bool  # so narrow that three columns fit a page
    columns: int  # of a grid
    scale: str  # from the units of the outlines to pixels
    peak: str  # the largest |score| of a region, with its unit
    faint: str  # that as a share of the scale, where it is so small that colours hardly show; "" elsewhere
    letter: str  # height of a badge, in pixels of the image
    regions: tuple[Region, ...]  # in the order of drawing: what is small lies on top
    shares: tuple[Share, ...]
    linked: tuple[Linked, ...]
    how: str  # what the numbers of `linked` are
    links: str  # JSON for the script; "" where nothing is known of what words drew on


def source(picture: ImageAttribution) -> str:
    """The image as a data URL."""
    kind = next((name for start, name in PLAIN.items() if picture.data.startswith(start)), "png")
    return f"data:image/{kind};base64,{base64.b64encode(picture.data).decode('ascii')}"


def seen(item: Explanation, words: Explanation, own: float, shared: float) -> Seen | None:
    """What a page shows of the image; None where there is none.

    own: the largest |score| of words and regions of this explanation; shared: of all with its unit.
    """
    picture = item.image
    if picture is None:
        return None
    places, largest = ranks(picture.scores), peak(picture.scores)
    paths, scale = _paths(picture)
    badges = _badges(picture, places)
    regions = [
        Region(
            index=r,
            name=name,
            path=paths[r],
            kind="n" if score < 0 else "p" if score > 0 else "z",
            own=step(score, own),
            shared=step(score, shared),
            alone=step(score, largest),
            number=signed(score, own or None),
            spoken=with_unit(signed(score, own or None), item.unit),
            rank=places[r],
            badge=badges.get(r, ("", "")),
        )
        for r, (name, score) in enumerate(zip(picture.names, picture.scores, strict=True))
    ]
    if picture.grid is None and picture.shapes is None:
        regions.sort(key=lambda region: -_area(picture.boxes[region.index]))
    links = _links(item)
    return Seen(
        source=source(picture),
        size=picture.size,
        kind="shapes" if picture.shapes is not None else "boxes" if picture.grid is None else "grid",
        tall=picture.size[0] < TALL * picture.size[1],
        columns=picture.grid[1] if picture.grid else 0,
        scale=scale,
        peak=with_unit(unsigned(largest), item.unit),
        faint=percent(largest / own) if 0 < largest < FAINT * own else "",
        letter=_number(_letter(picture)),
        regions=tuple(regions),
        shares=_shares(item),
        linked=() if links is None else _linked(words),
        how=_how(item),
        links="" if links is None else _json(item, links),
    )


# Where regions are ---------------------------------------------------------------------------------------------------


def _paths(picture: ImageAttribution) -> tuple[list[str], str]:
    """The outline of each region, and how its units become pixels."""
    if picture.shapes is not None:
        raster, (width, height) = shrunk(picture.shapes.numpy()), picture.size
        scale = f"scale({_number(width / raster.shape[1])} {_number(height / raster.shape[0])})"
        return [outline(raster == r) for r in range(len(picture.scores))], scale
    gap = GAP if picture.grid else 0.0
    return [_rectangle(box, gap) for box in picture.boxes], ""


def _rectangle(box: Box, gap: float) -> str:
    left, top, right, bottom = box
    across, down = gap * (right - left), gap * (bottom - top)
    corners = left + across, top + down, right - across, bottom - down
    return "M{0} {1}H{2}V{3}H{0}Z".format(*map(_number, corners))


def _badges(picture: ImageAttribution, places: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Where the places of the strongest regions are written: in the middle of each; of boxes in a corner.

    Boxes lie within each other, and the middle of one is often that of another.
    """
    found = {}
    for r, place in enumerate(places):
        if place <= BADGES and picture.scores[r] and len(picture.scores) > 1:
            x, y = middle(picture, r)
            if picture.grid is None and picture.shapes is None:
                left, top, right, bottom = picture.boxes[r]
                inside = _letter(picture)
                x, y = left + min(inside * 0.7, (right - left) / 2), top + min(inside * 0.8, (bottom - top) / 2)
            found[r] = (_number(x), _number(y))
    return found


def _letter(picture: ImageAttribution) -> float:
    """The height of a badge, in pixels of the image."""
    return math.sqrt(picture.size[0] * picture.size[1]) / LETTERS


def middle(picture: ImageAttribution, region: int) -> tuple[float, float]:
    """A point inside a region, in pixels."""
    if picture.shapes is not None:
        raster = picture.shapes.numpy()
        rows, columns = np.nonzero(raster == region)
        if len(rows):
            n = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
            down, across = raster.shape
            return float((columns[n] + 0.5) * picture.size[0] / across), float((rows[n] + 0.5) * picture.size[1] / down)
    left, top, right, bottom = picture.boxes[region]
    return (left + right) / 2, (top + bottom) / 2


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _number(value: float) -> str:
    return f"{value:.6g}"


# What is said of them ------------------------------------------------------------------------------------------------


def strongest_regions(picture: ImageAttribution, top: int | None = None) -> list[int]:
    """The regions with the largest |score|, strongest first, without zeros."""
    known = [r for r, score in enumerate(picture.scores) if score]
    return sorted(known, key=lambda r: -abs(picture.scores[r]))[:top]


def region_tables(
    names: Sequence[str],
    items: Sequence[Explanation],
    own: Sequence[float],
    peaks: Mapping[str, float],
    top: int | None = None,
) -> tuple[Table, ...]:
    """One table for all that cut the image alike; with `top`, only the regions that are strongest in one of them."""
    alike: dict[object, list[int]] = {}
    for n, item in enumerate(items):
        if item.image:
            alike.setdefault((item.image.boxes, item.image.grid), []).append(n)
    tables = []
    for same in alike.values():
        pictures = [picture for n in same if (picture := items[n].image)]
        order: Sequence[int] = range(len(pictures[0].scores))
        if top is not None:
            scored = [(p.scores, own[n], strongest_regions(p, top)) for p, n in zip(pictures, same, strict=True)]
            order = foremost(scored, top)
        cells = {
            r: tuple(cell(p.scores[r], own[n], peaks[scale_key(items[n])]) for p, n in zip(pictures, same, strict=True))
            for r in order
        }
        lines = tuple(Line(pictures[0].names[r], _place(pictures[0].boxes[r]), cells[r], str(r)) for r in order)
        heads = tuple(f"{names[n]}, {items[n].unit}" if items[n].unit else names[n] for n in same)
        tables.append(Table(heads, lines))
    return tuple(tables)


def _place(box: Box) -> str:
    left, top, right, bottom = (f"{n:.0f}" for n in box)
    return f"x {left}–{right}, y {top}–{bottom}"


def _shares(item: Explanation) -> tuple[Share, ...]:
    """Text and image; whole numbers that add up to 100 for the bar."""
    shares = item.shares
    if not shares:
        return ()
    text = round(100 * shares["text"])
    return (
        Share("question" if "question" in item.task else "text", percent(shares["text"]), text),
        Share("image", percent(shares["image"]), 100 - text),
    )


# Whom words drew on --------------------------------------------------------------------------------------------------


def _links(item: Explanation) -> np.ndarray | None:
    """What each token drew from each region, (tokens, regions): summed over layers and heads; weights averaged."""
    stack = item.attention.get("image")
    if stack is None or stack.queries is not None or item.image is None:
        return None
    scores = stack.scores.numpy()
    if scores.shape[2:] != (len(item.tokens), len(item.image.scores)):
        return None
    return scores.mean((0, 1), dtype=np.float64) if stack.row_stochastic else scores.sum((0, 1), dtype=np.float64)


def _how(item: Explanation) -> str:
    stack = item.attention.get("image")
    if stack is None:
        return ""
    method = stack.method.replace("_", " ")
    if stack.row_stochastic:
        return f"{method}, mean over layers and heads"
    return f"{method}, {stack.unit + ', ' if stack.unit else ''}summed over layers and heads"


def _linked(words: Explanation) -> tuple[Linked, ...]:
    links = _links(words)
    assert links is not None and words.image is not None
    largest, names = peak(links.flat), words.image.names
    found = []
    for word, line, segment in zip(words.tokens, links.tolist(), words.segment, strict=True):
        order = sorted((r for r, n in enumerate(line) if n), key=lambda r: -abs(line[r]))[:LINKED]
        if order and segment != SPECIAL:
            found.append(Linked(word, tuple((names[r], cell(line[r], largest, largest)) for r in order)))
    return tuple(found)


def _json(item: Explanation, links: np.ndarray) -> str:
    """What the script needs to colour regions by a word; nothing in it can end its element."""
    stack = item.attention["image"]
    rows = [[float(f"{n:.3g}") for n in row] for row in links.tolist()]
    told = {"unit": stack.unit, "weights": stack.row_stochastic, "rows": rows}
    return json.dumps(told, separators=(",", ":")).replace("<", r"\u003c").replace(">", r"\u003e")
