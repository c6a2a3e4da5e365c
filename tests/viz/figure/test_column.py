"""Several explanations as one picture."""

import pytest
from PIL import Image

from tests.viz.samples import made
from xai_nlp.core.explanations import Explanations
from xai_nlp.errors import InvalidInput


def height_of(path):
    with Image.open(path) as picture:
        return picture.height


def test_pictures_stand_one_under_the_other(tmp_path):
    items = Explanations([made("a fine film"), made("too long, far too long")])
    items.to_png(tmp_path / "all.png")
    heights = []
    for number, item in enumerate(items):
        item.to_png(tmp_path / f"{number}.png")
        heights.append(height_of(tmp_path / f"{number}.png"))
    assert height_of(tmp_path / "all.png") == sum(heights)


def test_other_kinds_and_nothing_are_refused(tmp_path):
    for items, name in ((Explanations([made()]), "a.svg"), (Explanations(), "a.png")):
        with pytest.raises(InvalidInput, match=r"is a \.png of at least one"):
            items.to_png(tmp_path / name)
    assert not list(tmp_path.iterdir())
