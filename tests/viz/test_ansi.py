"""Terminal text: coloured, complete, harmless."""

import re

import pytest

from tests.viz.samples import HOSTILE, made
from xai_nlp.viz.ansi import tokens_ansi

CODES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_control_sequence_of_the_texts_own_gets_through(kind):
    plain = CODES.sub("", tokens_ansi(made(HOSTILE[kind])))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", plain)


def test_what_it_says():
    text = tokens_ansi(made(scores=[0.0, 1.0, -0.5, 0.375, 0.0]), colour=False)
    for shown in ("POSITIVE", "75", "a fine film", "+1", "−0.5", "12\u00a0%"):
        assert shown in text, shown
    assert "\x1b" not in text


def test_colours_have_signs():
    text = tokens_ansi(made())
    assert len(set(CODES.findall(text))) > 3
