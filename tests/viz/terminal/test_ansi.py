"""Terminal text: coloured, complete, harmless."""

import io
import re

import pytest
from rich.console import Console

from tests.recipes.saved import DOUBT
from tests.viz.images import small
from tests.viz.samples import HOSTILE, label, made
from xai_nlp.viz.terminal.ansi import harmless, render, tokens_ansi
from xai_nlp.viz.text.scale import DARK

CODES = re.compile(r"\x1b\[[0-9;]*m")
SCORES = [0.0, 1.0, -0.5, 0.375, 0.0]


def background(colour):
    return "48;2;{};{};{}".format(*colour)


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_control_sequence_of_the_texts_own_gets_through(kind):
    plain = CODES.sub("", tokens_ansi(made(HOSTILE[kind])))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", plain)


@pytest.mark.parametrize("field", ["target", "model", "method", "baseline", "unit"])
def test_names_are_harmless_too(field):
    evil = "a\x1b[2Jb\x07"
    plain = CODES.sub("", tokens_ansi(made(**{field: label(evil) if field == "target" else evil})))
    assert "\x1b" not in plain
    assert "\x07" not in plain
    assert "a␛[2Jb␇" in re.sub(r"\s+", "", plain)
    assert "\x1b" not in tokens_ansi(made(target=label("x"), outputs={"a\x1b[2Jb": 0.9, "b": 0.1}), colour=False)


def test_what_is_harmless_stays():
    kept = "👩\u200d👩 a\tb\nc שלום\u200f [bold]x[/bold]"
    assert harmless(kept) == kept
    assert "[bold]x[/bold]" in tokens_ansi(made("[bold]x[/bold] :smile:"), colour=False)
    assert ":smile:" in tokens_ansi(made("[bold]x[/bold] :smile:"), colour=False)


def test_what_it_says():
    text = tokens_ansi(made(scores=SCORES), colour=False)
    sentence = "The model says POSITIVE (75\u00a0%). “a” and “film” speak for it most; “fine” speaks against it."
    for shown in (
        sentence,
        "a fine film",
        "+1.00",
        "−0.50",
        "left unexplained 12\u00a0%",
        "against −1.00",
        "+1.00 for",
        "unit: logit",
        "zoo/sentiment",
    ):
        assert shown in re.sub("\n *", " ", text), shown
    assert "\x1b" not in text
    assert not re.search(" \n", text)
    assert "[CLS]" not in text
    assert "[CLS] +0.50" in tokens_ansi(made(scores=[0.5, *SCORES[1:]]), colour=False)


def test_the_sentence_comes_first_then_the_text_then_facts():
    text = re.sub("\n *", " ", tokens_ansi(made(scores=SCORES), colour=False))
    parts = (
        "The model says",
        "a fine film",
        "against −1.00",
        "left unexplained",
        "integrated gradients · zoo/sentiment",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_words_stand_on_the_colours_of_the_scale():
    text = tokens_ansi(made(scores=SCORES))
    for word, score in (("a", 1.0), ("fine", -0.5), ("film", 0.375)):
        assert re.search(rf"{background(DARK.colour(score, 1.0))}m{word}\x1b", text), word
    # all else stands on the panel, so that a weak colour is weak on a light terminal too
    assert f"{background(DARK.card)}m \x1b" in text


def test_the_strongest_words_are_listed_with_bars():
    lines = tokens_ansi(made(scores=SCORES), colour=False).splitlines()
    found = [line.split() for line in lines if "━" in line]
    assert [(number, len(bar), word) for number, bar, word in found] == [
        ("+1.00", 12, "a"), ("−0.50", 6, "fine"), ("+0.38", 4, "film"),
    ]  # fmt: skip


def test_it_keeps_to_the_width():
    for width in (30, 60):
        text = CODES.sub("", tokens_ansi(made("word " * 40), width=width))
        assert max(map(len, text.splitlines())) <= width


def test_the_environment_changes_nothing_but_what_is_printed(monkeypatch):
    plain = tokens_ansi(made())
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "20")
    assert tokens_ansi(made()) == plain
    printed = io.StringIO()
    Console(file=printed, force_terminal=True, color_system="truecolor").print(render(made()))
    assert "48;2" not in printed.getvalue()
    assert "38;2" not in printed.getvalue()


def test_no_scores_no_promise():
    text = tokens_ansi(made(scores=[0.0] * 5, complete=False), colour=False)
    assert "every score is 0" in text
    assert "does not promise that scores add up" in re.sub(r"\s+", " ", text)
    assert "━" not in text
    assert "Question" in tokens_ansi(made("Who?", pair="Ada", task="question-answering"), colour=False)


def test_the_image_has_a_scale_of_its_own():
    text = tokens_ansi(small(), colour=False)
    for part in ("38\u00a0% of all that counts lies in the image", "the image has a scale of its own", "Question"):
        assert part in re.sub("\n *", " ", text), part
    lines = [line.split(maxsplit=2) for line in text.splitlines() if "━" in line]
    assert [(number, len(bar), name) for number, bar, name in lines][-3:] == [
        ("+1.00", 12, "row 2, column 2"), ("+0.50", 6, "row 1, column 1"), ("−0.25", 3, "row 1, column 2"),
    ]  # fmt: skip
    assert ("+1.41", 12, "star") in [(number, len(bar), name) for number, bar, name in lines]
    assert "lies in the image" not in tokens_ansi(made(), colour=False)


def test_the_verdict_follows_the_sentence():
    lines = tokens_ansi(made(trust=DOUBT), colour=False).splitlines()
    place = next(i for i, line in enumerate(lines) if "holds in part" in line)
    assert lines[place].strip() == "◐ This explanation holds in part. Some random orders do as well."
    assert "The model says" in lines[place - 1] or "speak" in lines[place - 1]
    assert "explanation holds" not in tokens_ansi(made(), colour=False)
