"""The image of an explanation and its regions."""

import pytest

from xai_nlp.core.arrays import Array
from xai_nlp.core.image import ImageAttribution, region_names
from xai_nlp.errors import InvalidInput

BOXES = ((0.0, 0.0, 1.0, 2.0), (1.0, 0.0, 2.0, 2.0))


def image(**more):
    return ImageAttribution(**{"data": b"x", "size": (2, 2), "boxes": BOXES, "scores": (0.5, -2.0), **more})


def test_regions_have_names_and_a_best_one():
    assert image().names == ("region 1", "region 2")
    assert image(grid=(1, 2)).names == ("row 1, column 1", "row 1, column 2")
    assert image().best() == 0
    assert region_names(0, None) == ()


@pytest.mark.parametrize(
    "bad",
    [
        {"scores": (1.0,)},
        {"grid": (2, 2)},
        {"grid": (-1, -2)},
        {"size": (0, 2)},
        {"size": (2, -1)},
        {"scores": (0.5, float("nan"))},
        {"boxes": (BOXES[0], (0.0, 0.0, float("inf"), 1.0))},
        {"shapes": Array([0.0, 1.0])},
    ],
)
def test_impossible_regions_are_refused(bad):
    with pytest.raises(InvalidInput):
        image(**bad)
