"""Contours of rasters: every cell inside once, holes left out."""

import re

import numpy as np
import pytest

from xai_nlp.viz.page.region_outlines import contours, svg_path, thinned


def filled(path, rows, columns):
    """Which cells lie inside a path by the even-odd rule: rays from their middles to the left."""
    inside = np.zeros((rows, columns), bool)
    for loop in path:
        for (x, y), (u, v) in zip(loop, [*loop[1:], loop[0]], strict=True):
            if x == u:  # a wall from y to v: all cells to its right are on the other side of it
                inside[min(y, v) : max(y, v), x:] ^= True
    return inside


@pytest.mark.parametrize("seed", range(20))
def test_an_outline_holds_exactly_its_cells(seed):
    mask = np.random.default_rng(seed).random((7, 9)) < 0.2 + 0.03 * seed
    np.testing.assert_array_equal(filled(contours(mask), 7, 9), mask)
    steps = re.findall(r"([MHV])(\d+)(?: (\d+))?", svg_path(contours(mask)))
    walls, at = [], (0, 0)
    for command, n, m in steps:  # the path as written, corners only, says the same
        n = int(n)
        if command == "M":
            walls.append([(n, int(m))])
        else:
            walls[-1].append((n, at[1]) if command == "H" else (at[0], n))
        at = walls[-1][-1]
    np.testing.assert_array_equal(filled(walls, 7, 9), mask)


def test_outlines_by_hand():
    assert svg_path(contours(np.zeros((2, 2), bool))) == ""
    assert svg_path(contours(np.ones((2, 3), bool))) == "M0 0H3V2H0Z"
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    assert svg_path(contours(ring)) == "M0 0H3V3H0ZM1 1V2H2V1Z"


def test_a_fine_raster_is_thinned_and_a_coarse_one_kept():
    fine = np.repeat(np.repeat([[0.0, 1.0], [2.0, -1.0]], 500, 0), 400, 1)
    thin = thinned(fine)
    assert thin.shape == (256, 256)
    assert [thin[0, 0], thin[0, -1], thin[-1, 0], thin[-1, -1]] == [0, 1, 2, -1]
    assert (thin == 0).sum() == 128**2
    np.testing.assert_array_equal(thinned(np.arange(6.0).reshape(2, 3)), [[0, 1, 2], [3, 4, 5]])
