"""The image of an explanation and its regions."""

import pytest
from PIL import Image

from tests.viz.images import written
from xai_nlp.core.arrays import Array
from xai_nlp.core.image import ImageAttribution, region_names
from xai_nlp.errors import InvalidInput, UnreadableFile

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


def test_the_picture_is_a_whole_png_or_jpeg_of_a_bounded_size(monkeypatch):
    picture = Image.new("RGBA", (3, 2), "red")
    assert image(data=written(picture)).picture().getpixel((1, 1)) == (255, 0, 0)
    for data in (written(picture)[:50], written(picture, "GIF"), b"", b"<svg/>"):
        with pytest.raises(UnreadableFile, match="cannot be drawn"):
            image(data=data).picture()
    monkeypatch.setattr("xai_nlp.core.image.MOST_PIXELS", 5)
    with pytest.raises(UnreadableFile, match="at most 5 pixels"):
        image(data=written(picture)).picture()
