"""Influence as terminal text: complete, coloured, harmless."""

import re

import pytest

from tests.viz.influences import suspects, traced
from tests.viz.samples import HOSTILE
from tests.viz.terminal.test_ansi import CODES, background
from xai_nlp.core.training_influence import METHODS
from xai_nlp.viz.terminal.influence import influence_ansi, suspects_ansi
from xai_nlp.viz.text.scale import DARK


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_control_sequence_of_the_texts_own_gets_through(kind):
    text = HOSTILE[kind]
    for drawn in (
        influence_ansi(traced([text], [text], query=text, label=text)),
        suspects_ansi(suspects([text])),
        influence_ansi(traced([text], query=text, method="all")),
    ):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", CODES.sub("", drawn))


def test_what_it_says():
    text = re.sub(r"\s+", " ", influence_ansi(traced(), colour=False))
    for shown in (
        "Training on “a fine film” speaks for POSITIVE most", "Proponents: for POSITIVE", "Opponents: against POSITIVE",
        "+1.00 nat ━━━━━━━━━━━━ POSITIVE row 0 a fine film yours: a film added by the tokenizer: [CLS] +0.50",
        "−0.500 nat ━━━━━━ NEGATIVE row 100 a dull film", "against −0.500", "unit: nat",
    ):  # fmt: skip
        assert shown in text, shown
    assert "\x1b" not in text


def test_shared_words_stand_on_their_colour():
    line = next(line for line in influence_ansi(traced()).splitlines() if "fine" in line and "Training" not in line)
    assert line.count(background(DARK.colour(0.25, 0.5))) == 2  # “a” and “film”; the other pair has [CLS] with 0.5


@pytest.mark.parametrize("method", [name for name in METHODS if name != "word_embeddings"])
def test_other_kinds_have_no_colours_and_no_legend(method):
    text = influence_ansi(traced(method=method), colour=False)
    assert "a fine film" in text and "yours:" not in text and "unit:" not in text


def test_empty_and_suspects():
    assert "No training text speaks for or against POSITIVE." in influence_ansi(traced((), ()), colour=False)
    text = re.sub(r"\s+", " ", suspects_ansi(suspects(), colour=False))
    assert "10.0 NEGATIVE a fine film" in text and " 5.0 NEGATIVE so dull" in text
    assert "No label is named as suspect." in suspects_ansi(suspects([]), colour=False)
