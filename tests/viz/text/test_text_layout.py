"""The layout of a sheet: words within the margins, colours of the scale, room for the image."""

import pytest

from tests.viz.images import asked
from tests.viz.samples import made
from xai_nlp.core.image import ImageAttribution
from xai_nlp.viz.text.scale import LIGHT
from xai_nlp.viz.text.text_layout import MARGIN, WIDTH, FilledBox, Stroke, TextLayout, TextRun

SCORES = [0.0, 1.0, -0.5, 0.375, 0.0]


def laid_out(why, letter=0.1):
    """Every letter as wide as told, so that lines break where one can count."""
    return TextLayout(why, lambda text, size, bold: letter * len(text), lambda text: text)


def test_words_are_laid_out_in_order_within_the_margins():
    why = made(" ".join(f"word{i}" for i in range(40)))
    sheet = laid_out(why)
    words = [mark for mark in sheet.items if isinstance(mark, TextRun)]
    assert all(MARGIN <= word.x <= WIDTH - MARGIN - 0.1 * len(word.text) + 1e-9 for word in words)
    text = [word for word in words if word.text.startswith("word")]
    assert [word.text for word in text] == [f"word{i}" for i in range(40)]
    assert [(w.y, w.x) for w in text] == sorted((w.y, w.x) for w in text)
    assert len({word.y for word in text}) >= 3
    assert max(mark.y for mark in sheet.items) < sheet.height


def test_boxes_have_the_colours_of_the_scale_and_lines_tell_signs_in_grey():
    sheet = laid_out(made(scores=SCORES))
    words = {mark.text: mark for mark in sheet.items if isinstance(mark, TextRun)}
    boxes = [mark for mark in sheet.items if isinstance(mark, FilledBox) and mark.height > 0.2]
    assert [box.colour for box in boxes] == [LIGHT.colour(score, 1.0) for score in (1.0, -0.5, 0.375)]
    assert [stroke.dashed for stroke in sheet.items if isinstance(stroke, Stroke)] == [False, True, False]
    for box, word in zip(boxes, ("a", "fine", "film"), strict=True):
        assert box.x <= words[word].x
        assert box.x + box.width >= words[word].x + 0.1 * len(word) - 1e-9
        assert box.y - box.height < words[word].y < box.y


def test_a_word_wider_than_the_sheet_is_broken_and_lines_are_kept():
    sheet = laid_out(made("x" * 300 + "\nnext"))
    text = [mark for mark in sheet.items if isinstance(mark, TextRun) and set(mark.text) == {"x"}]
    assert sum(len(word.text) for word in text) == 300
    assert all(0.1 * len(word.text) <= WIDTH - 2 * MARGIN for word in text)
    (following,) = [mark for mark in sheet.items if isinstance(mark, TextRun) and mark.text == "next"]
    assert (following.x, following.y > text[-1].y) == (MARGIN, True)


def test_nothing_is_said_to_be_left_where_nothing_was_promised():
    def said(why):
        return " ".join(mark.text for mark in laid_out(why).items if isinstance(mark, TextRun))

    assert "12 % left unexplained" in said(made(scores=SCORES)).replace("\u00a0", " ")
    assert "does not promise that scores add up" in said(made(complete=False))
    assert "every score is 0" in said(made(scores=[0.0] * 5))


@pytest.mark.parametrize("size", [(40, 400), (400, 40), (96, 96)])
def test_frames_stay_on_the_sheet(size):
    picture = ImageAttribution(data=b"", size=size, boxes=((0, 0, 1, 1),), scores=(1.0,))
    sheet = TextLayout(asked(picture, links=False), lambda text, *_: 0.1 * len(text), lambda text: text)
    words = [mark for mark in sheet.items if isinstance(mark, TextRun)]
    for frame in sheet.frames:
        assert frame.x >= MARGIN
        assert frame.x + frame.width <= WIDTH - MARGIN + 1e-9
        assert frame.width / frame.height == pytest.approx(size[0] / size[1])
        assert frame.y + frame.height < sheet.height
        for word in words:
            assert word.y < frame.y or word.y - 0.12 > frame.y + frame.height, word.text
    assert sheet.frames[0].x + sheet.frames[0].width < sheet.frames[1].x


def test_the_sentence_comes_first_and_in_colour():
    runs = [item for item in laid_out(made(scores=SCORES), 0.05).items if isinstance(item, TextRun)]
    head = [run for run in runs if run.bold]
    assert " ".join(run.text for run in head[:4]) == "The model says POSITIVE"
    assert head[3].colour == LIGHT.accent
    assert {run.text: run.colour for run in head}["“fine”"] == LIGHT.negative_line
    assert head == runs[: len(head)]
