"""The outlines of an image's regions: closed loops, and the SVG path of them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from xai_nlp.core.image import ImageAttribution

LARGEST = 256  # rows or columns of a raster; a finer one is thinned

Point = tuple[float, float]  # column, row
Loop = list[Point]


def outlines(image: ImageAttribution, gap: float = 0.0) -> tuple[list[list[Loop]], Point]:
    """The loops around each region, and the width and the height of their unit in pixels.

    gap: share of a box that is left free on each side.
    """
    if image.shapes is not None:
        raster, (width, height) = thinned(image.shapes.numpy()), image.size
        unit = width / raster.shape[1], height / raster.shape[0]
        return [contours(raster == r) for r in range(len(image.scores))], unit
    loops = []
    for left, top, right, bottom in image.boxes:
        across, down = gap * (right - left), gap * (bottom - top)
        low, high = (left + across, top + down), (right - across, bottom - down)
        loops.append([[low, (high[0], low[1]), high, (low[0], high[1])]])
    return loops, (1.0, 1.0)


def region_kind(image: ImageAttribution) -> str:
    """The kind of its regions: "grid", "shapes" or "boxes"."""
    return "shapes" if image.shapes is not None else "boxes" if image.grid is None else "grid"


def drawing_order(image: ImageAttribution) -> list[int]:
    """The regions in the order to draw them: of boxes, which can overlap, the small ones last, on top."""
    order = list(range(len(image.boxes)))
    if region_kind(image) == "boxes":
        order.sort(key=lambda r: -np.prod(np.subtract(image.boxes[r][2:], image.boxes[r][:2])))
    return order


def thinned(raster: np.ndarray) -> np.ndarray:
    """The raster as integers, with at most LARGEST rows and columns."""
    rows, columns = (((np.arange(k) + 0.5) * n / k).astype(int) for n in raster.shape for k in [min(n, LARGEST)])
    return np.asarray(raster)[np.ix_(rows, columns)].astype(int)


def svg_path(loops: Iterable[Loop]) -> str:
    """The loops as an SVG path, holes too (to be filled by the even-odd rule); "" for none.

    >>> svg_path(contours(np.array([[True, True], [True, False]])))
    'M0 0H2V1H1V2H0Z'
    """
    path = ""
    for loop in loops:
        path += "M{:.6g} {:.6g}".format(*loop[0])
        path += "".join(f"H{x:.6g}" if y == before else f"V{y:.6g}" for (_, before), (x, y) in pairwise(loop)) + "Z"
    return path


def contours(mask: np.ndarray) -> list[Loop]:
    """Closed loops along the edges between cells inside and outside, the inside on the right; only their corners."""
    padded = np.pad(mask.astype(bool), 1)
    above, left = padded[:-1, 1:-1], padded[1:-1, :-1]
    below, right = padded[1:, 1:-1], padded[1:-1, 1:]
    follow: dict[Point, list[Point]] = {}
    for row, column in np.argwhere(below & ~above).tolist():  # top edge of a cell: to the right
        follow.setdefault((column, row), []).append((column + 1, row))
    for row, column in np.argwhere(above & ~below).tolist():  # bottom edge: to the left
        follow.setdefault((column + 1, row), []).append((column, row))
    for row, column in np.argwhere(left & ~right).tolist():  # right edge: down
        follow.setdefault((column, row), []).append((column, row + 1))
    for row, column in np.argwhere(right & ~left).tolist():  # left edge: up
        follow.setdefault((column, row + 1), []).append((column, row))
    loops: list[Loop] = []
    for start in sorted(follow, key=lambda point: (point[1], point[0])):
        while follow[start]:
            loop: Loop = [start]
            while (point := follow[loop[-1]].pop()) != start:
                loop.append(point)
            neighbours = zip([loop[-1], *loop[:-1]], loop, [*loop[1:], loop[0]], strict=True)
            loops.append([b for a, b, c in neighbours if (a[0] == b[0]) != (b[0] == c[0])])
    return loops
