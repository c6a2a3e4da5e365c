"""The layout of a sheet: words within the margins, colours of the scale, room for the image."""

import pytest
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from tests.viz.images import asked
from tests.viz.samples import made
from xai_nlp.core.image import ImageAttribution
from xai_nlp.viz.figure.canvas import WIDTH
from xai_nlp.viz.figure.text_sheet import MARGIN, TextSheet
from xai_nlp.viz.text.scale import LIGHT, hexadecimal

SCORES = [0.0, 1.0, -0.5, 0.375, 0.0]


def laid_out(why, letter=0.1):
    """Every letter as wide as told, so that lines break where one can count."""
    return TextSheet(why, lambda text, size, bold: letter * len(text))


def drawn(sheet, kind):
    return [artist for artist in sheet.figure.artists if isinstance(artist, kind)]


def words_on(sheet):
    """(text, x, y) of each word, y counted from the top."""
    return [(word.get_text(), word.get_position()[0], -word.get_position()[1]) for word in drawn(sheet, Text)]


def test_words_are_laid_out_in_order_within_the_margins():
    sheet = laid_out(made(" ".join(f"word{i}" for i in range(40))))
    words = words_on(sheet)
    assert all(MARGIN <= x <= WIDTH - MARGIN - 0.1 * len(text) + 1e-9 for text, x, _ in words)
    text = [word for word in words if word[0].startswith("word")]
    assert [name for name, *_ in text] == [f"word{i}" for i in range(40)]
    places = [(y, x) for _, x, y in text]
    assert places == sorted(places)
    assert len({y for y, _ in places}) >= 3
    assert max(y for *_, y in words) < sheet.height == sheet.figure.get_size_inches()[1]


def test_boxes_have_the_colours_of_the_scale_and_lines_tell_signs_in_grey():
    sheet = laid_out(made(scores=SCORES))
    words = {text: (x, y) for text, x, y in words_on(sheet)}
    boxes = drawn(sheet, Rectangle)[:3]
    assert [to_hex(box.get_facecolor()) for box in boxes] == [
        hexadecimal(LIGHT.colour(score, 1.0)) for score in (1.0, -0.5, 0.375)
    ]
    assert [line.is_dashed() for line in drawn(sheet, Line2D)] == [False, True, False]
    for box, word in zip(boxes, ("a", "fine", "film"), strict=True):
        x, y = words[word]
        assert box.get_x() <= x
        assert box.get_x() + box.get_width() >= x + 0.1 * len(word) - 1e-9
        assert box.get_y() < -y < box.get_y() + box.get_height()


def test_the_ramp_of_the_legend_goes_from_end_to_end():
    ramp = [to_hex(box.get_facecolor()) for box in drawn(laid_out(made(scores=SCORES)), Rectangle)[3:]]
    assert (ramp[0], ramp[-1]) == (hexadecimal(LIGHT.negative), hexadecimal(LIGHT.positive))
    assert len(ramp) == len(set(ramp)) == 40


def test_a_word_wider_than_the_sheet_is_broken_and_lines_are_kept():
    words = words_on(laid_out(made("x" * 300 + "\nnext")))
    text = [word for word in words if set(word[0]) == {"x"}]
    assert sum(len(word) for word, *_ in text) == 300
    assert all(0.1 * len(word) <= WIDTH - 2 * MARGIN for word, *_ in text)
    ((_, x, y),) = [word for word in words if word[0] == "next"]
    assert (x, y > text[-1][2]) == (MARGIN, True)


def test_nothing_is_said_to_be_left_where_nothing_was_promised():
    def said(why):
        return " ".join(text for text, *_ in words_on(laid_out(why)))

    assert "left unexplained 12 %" in said(made(scores=SCORES)).replace("\u00a0", " ")
    assert "does not promise that scores add up" in said(made(complete=False))
    assert "every score is 0" in said(made(scores=[0.0] * 5))


@pytest.mark.parametrize("size", [(40, 400), (400, 40), (96, 96)])
def test_frames_stay_on_the_sheet(size):
    picture = ImageAttribution(data=b"", size=size, boxes=((0, 0, 1, 1),), scores=(1.0,))
    sheet = laid_out(asked(picture, links=False))
    for frame in sheet.frames.values():
        assert frame.x0 >= MARGIN
        assert frame.x1 <= WIDTH - MARGIN + 1e-9
        assert frame.width / frame.height == pytest.approx(size[0] / size[1])
        assert frame.y1 < sheet.height
        for word, _, y in words_on(sheet):
            assert y < frame.y0 or y - 0.12 > frame.y1, word
    assert sheet.frames["original_image"].x1 < sheet.frames["regions"].x0


def test_the_sentence_comes_first_and_in_colour():
    words = drawn(laid_out(made(scores=SCORES), 0.05), Text)
    head = [word for word in words if word.get_weight() == "bold"]
    assert " ".join(word.get_text() for word in head[:4]) == "The model says POSITIVE"
    assert to_hex(head[3].get_color()) == hexadecimal(LIGHT.accent)
    colours = {word.get_text(): to_hex(word.get_color()) for word in head}
    assert colours["“fine”"] == hexadecimal(LIGHT.negative_line)
    assert head == words[: len(head)]
