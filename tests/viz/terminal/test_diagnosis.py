"""A diagnosis in wide and narrow terminals."""

import pytest

from tests.viz.diagnoses import FILES, diagnosis
from xai_nlp.core.diagnosis import Check


def lines(item, width=80):
    return [line.strip() for line in item.to_ansi(colour=False, width=width).splitlines()]


def test_the_verdict_comes_first_then_what_is_wrong():
    shown = lines(diagnosis())
    assert shown[1] == "✗ m is not healthy: 1 error, 1 warning; 1 check passed."
    assert [line[0] for line in shown if line[:2] in ("✗ ", "! ", "✓ ")] == ["✗", "!", "✗", "✓"]
    assert "! dtype   The weights are float16." in shown
    assert "Fix: Load it with dtype='float32'." in shown
    assert any(line.startswith("saliency     12 ms") or "saliency  12 ms" in line for line in shown)
    assert "lime, lrp: it reads no such text." in shown


def test_a_healthy_model_has_no_fix():
    text = diagnosis(FILES).to_ansi(colour=False)
    assert text.split("\n")[1].strip() == "✓ m is healthy: 1 check passed." and "Fix" not in text


@pytest.mark.parametrize("width", [30, 40, 63, 64, 80, 200])
def test_no_line_is_wider_than_the_terminal(width):
    assert max(map(len, diagnosis().to_ansi(colour=False, width=width).splitlines())) <= width


def test_in_a_narrow_terminal_the_sentence_stands_under_the_name():
    shown = lines(diagnosis(), width=44)
    place = shown.index("! dtype")
    assert shown[place + 1] == "The weights are float16."


def test_what_is_omitted_is_said():
    assert "Not checked" in diagnosis(omitted=("layers",), methods=()).to_ansi(colour=False)


def test_control_characters_are_shown_as_signs():
    text = diagnosis(Check(name="a", level="ok", sentence="\x1b[31mred")).to_ansi(colour=False)
    assert "\x1b" not in text and "␛[31mred" in text
