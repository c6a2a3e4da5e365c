"""Spans of the text: every character once, every score once."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.viz.samples import HOSTILE, made
from xai_nlp.viz.text.text_spans import ranks, strongest, strongest_words, text_spans, tokens_without_text


def cut(text, *offsets, scores=None):
    """Tokens at given offsets of one text, scored 1, 2, 4, … so that a sum names its members."""
    scores = scores or tuple(float(2**i) for i in range(len(offsets)))
    return made(text, scores, tokens=tuple(text[a:b] for a, b in offsets), offsets=offsets, segment=(0,) * len(offsets))


def shown(why):
    return [(piece.text, piece.score) for piece in text_spans(why, 0)]


def test_text_between_tokens_has_no_score():
    assert shown(cut("so  good!", (0, 2), (4, 8))) == [("so", 1), ("  ", 0), ("good", 2), ("!", 0)]


def test_white_space_at_the_edge_of_a_token_is_not_coloured():
    assert shown(cut("a film", (0, 1), (1, 6))) == [("a", 1), (" ", 0), ("film", 2)]
    assert shown(cut("a\n", (0, 1), (1, 2))) == [("a", 1), ("\n", 2)]  # a token of white space only keeps it


def test_tokens_of_the_same_characters_are_shown_once_with_their_sum():
    assert shown(cut("a 👩", (0, 1), (2, 3), (2, 3), (2, 3))) == [("a", 1), (" ", 0), ("👩", 14)]
    assert [p.members for p in text_spans(cut("a 👩", (0, 1), (2, 3), (2, 3)), 0)] == [(0,), (), (1, 2)]


def test_overlapping_and_impossible_offsets_do_not_double_text():
    assert shown(cut("abcdef", (0, 4), (2, 6))) == [("abcd", 1), ("ef", 2)]
    assert shown(cut("abc", (2, 9), (-5, 1))) == [("a", 2), ("b", 0), ("c", 1)]


def test_a_piece_knows_whether_it_stands_alone():
    (good, mark) = text_spans(cut("good!", (0, 4), (4, 5)), 0)
    assert (good.starts, good.ends, mark.starts, mark.ends) == (True, False, False, True)


def test_tokens_without_characters_stand_tokens_without_text():
    why = made(
        "ab", tokens=("[CLS]", "ab", "▁"), offsets=((0, 0), (0, 2), (1, 1)), segment=(-1, 0, 0), scores=(1, 2, 3)
    )
    assert tokens_without_text(why) == [0, 2]


@given(
    text=st.text(min_size=1, max_size=30),
    spans=st.lists(st.tuples(st.integers(-2, 32), st.integers(-2, 32)), min_size=1, max_size=12),
)
@settings(max_examples=300, deadline=None)
def test_whatever_the_offsets_the_text_and_the_sum_are_kept(text, spans):
    why = made(
        text, [0.5] * len(spans) or [], tokens=("x",) * len(spans), offsets=tuple(spans), segment=(0,) * len(spans)
    )
    parts = text_spans(why, 0)
    assert "".join(piece.text for piece in parts) == text
    assert sorted([*tokens_without_text(why), *(i for piece in parts for i in piece.members)]) == list(
        range(len(spans))
    )
    assert all(piece.text for piece in parts)


@pytest.mark.parametrize("kind", HOSTILE)
def test_words_keep_text_and_sum_too(kind):
    why = made(HOSTILE[kind]).words()
    parts = text_spans(why, 0)
    assert "".join(piece.text for piece in parts) == HOSTILE[kind]
    total = math.fsum([*(piece.score for piece in parts), *(why.scores[i] for i in tokens_without_text(why))])
    assert total == pytest.approx(math.fsum(why.scores), abs=1e-12)


def test_ranks_and_the_strongest():
    why = made("a b c", [9.0, 1.0, -3.0, 0.0, 0.0])
    assert ranks(why.scores) == [1, 3, 2, 4, 5]
    assert strongest_words(why) == [2, 1]  # neither [CLS] nor zeros
    assert strongest_words(why, 1) == [2]
    assert strongest(why.scores) == [0, 2, 1]
    assert strongest(why.scores, 2) == [0, 2]
