"""The basis of figures: files by suffix, text that any font can draw, the page's colours."""

import pytest

from xai_nlp.errors import InvalidInput
from xai_nlp.viz.figure.canvas import colour_map, drawable, figure_file, figure_of, fraction, measure, save_figure
from xai_nlp.viz.text.scale import LIGHT


def test_the_suffix_is_looked_at_before_anything_is_drawn(tmp_path):
    def never():
        raise AssertionError("drawn")

    with pytest.raises(InvalidInput, match=r"\.jpg.*\.png and \.svg"):
        save_figure(never, tmp_path / "a.jpg")


def test_the_same_figure_gives_the_same_bytes_in_a_file_and_a_buffer(tmp_path):
    save_figure(lambda: figure_of(1.0), tmp_path / "a.png")
    assert figure_file(figure_of(1.0), ".png") == (tmp_path / "a.png").read_bytes()


def test_the_colour_map_has_zero_in_the_middle():
    ends = [tuple(round(255 * part) for part in colour_map()(place)[:3]) for place in (0.0, 1.0)]
    assert ends == [LIGHT.negative, LIGHT.positive]
    assert min(colour_map()(0.5)[:3]) > 0.98
    assert fraction((255, 0, 51)) == (1.0, 0.0, 0.2)


def test_widths_add_up_roughly_and_bold_is_wider():
    width = measure()
    assert width("mm", 12, False) == pytest.approx(2 * width("m", 12, False), rel=0.1)
    assert width("word", 12, True) > width("word", 12, False)
    assert width("word", 24, False) == pytest.approx(2 * width("word", 12, False), rel=0.02)


def test_what_no_font_has_becomes_a_box_and_joiners_vanish():
    assert drawable("a\u200db\tc") == "ab c"
    assert drawable("\x1b") == "□"
