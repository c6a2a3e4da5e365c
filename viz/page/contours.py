"""The contours of a region of a raster: closed loops along cell edges, and the SVG path of them."""

from __future__ import annotations

import numpy as np

LARGEST = 256  # rows or columns of a raster; a finer one is thinned

Point = tuple[int, int]  # column, row


def thinned(raster: np.ndarray) -> np.ndarray:
    """The raster as integers, with at most LARGEST rows and columns."""
    rows, columns = (((np.arange(k) + 0.5) * n / k).astype(int) for n in raster.shape for k in [min(n, LARGEST)])
    return np.asarray(raster)[np.ix_(rows, columns)].astype(int)


def svg_path(mask: np.ndarray) -> str:
    """The contours as an SVG path, holes too (to be filled by the even-odd rule); "" for no cells.

    >>> svg_path(np.array([[True, True], [True, False]]))
    'M0 0H2V1H1V2H0Z'
    """
    return "".join(map(_loop_path, contours(mask)))


def contours(mask: np.ndarray) -> list[list[Point]]:
    """Closed loops along the edges between cells inside and outside, the inside on the right."""
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
    loops = []
    for start in sorted(follow, key=lambda point: (point[1], point[0])):
        while follow[start]:
            loop = [start]
            while (point := follow[loop[-1]].pop()) != start:
                loop.append(point)
            loops.append(loop)
    return loops


def _loop_path(loop: list[Point]) -> str:
    """One loop: a run in one direction is one command."""
    corners = [
        (b, a[1] == b[1])
        for a, b, c in zip([loop[-1], *loop[:-1]], loop, [*loop[1:], loop[0]], strict=True)
        if (a[0] == b[0]) != (b[0] == c[0])
    ]
    (column, row), _ = corners[0]
    moves = (f"H{c}" if level else f"V{r}" for (c, r), level in corners[1:])
    return f"M{column} {row}{''.join(moves)}Z"
