"""A comparison in a terminal: what changed, in a bounded number of lines, and nothing that a terminal obeys."""

from dataclasses import replace

from tests.core.test_model_diff import FLIPPED, comparison, example
from tests.viz.samples import HOSTILE, label
from xai_nlp.viz.terminal.ansi import printed
from xai_nlp.viz.terminal.model_diff import example_lines, render_diff


def plain(found, **more):
    return printed(render_diff(found, **more), colour=False, width=100)


def test_a_model_and_itself_are_said_to_be_the_same():
    shown = plain(comparison(example([1.0, 0.5, 0.0], [1.0, 0.5, 0.0])))
    assert "nothing changes" in shown
    assert "words that moved" not in shown
    assert "examples, the most changed" not in shown


def test_the_most_changed_examples_come_first_and_are_counted():
    same, moved = example([1.0, 0.0, 0.0], [1.0, 0.0, 0.0]), example([1.0, 1.0, 0.0], [1.0, 0.0, 1.0], index=1)
    flipped = example([1.0, 0.0, 0.0], [1.0, 0.0, 0.0], index=2, other=FLIPPED)
    shown = plain(comparison(same, moved, flipped))
    assert "A: one" in shown and "B: other" in shown
    assert "the most changed first (2 of 2)" in shown
    assert shown.index("→ NEGATIVE 90\u00a0%") < shown.index("50\u00a0% moved")
    assert "fine +50.0 % → 0 % −50.0" in " ".join(shown.split())
    assert plain(comparison(moved, flipped), examples=1).count("a fine film") == 1


def test_words_are_listed_for_each_label():
    negative = {"target": label("NEGATIVE")}
    one = example([1.0, 1.0, 0.0], [1.0, 0.0, 0.0])
    shown = plain(comparison(one, example([1.0, 0.0, 0.0], [1.0, 0.0, 0.0], other=negative, index=1)))
    assert "words that moved most, POSITIVE" in shown
    assert "fine" in shown


def test_control_characters_are_shown_not_obeyed():
    for text in (HOSTILE["escape"], HOSTILE["spaces"], HOSTILE["long"]):
        count = len(text.split())
        one = example([1.0] * count, [0.5] + [1.0] * (count - 1), text=text)
        found = replace(comparison(one), models=("\x1b[31mA", "B"))
        shown = printed(render_diff(found), colour=False)
        assert "\x1b" not in shown and "\x07" not in shown
        assert len(shown.splitlines()) < 60


def test_one_example_by_itself():
    lines = list(example_lines(example([1.0, 1.0, 0.0], [1.0, 0.0, 1.0]), words=1))
    shown = "".join(printed(line, colour=False) for line in lines)
    assert "film" in shown
    assert shown.count("→") == 2  # of the prediction and of one word
