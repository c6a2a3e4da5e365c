"""Two explanations over the same words: sums kept, words joined where a token covers several, pictures compared."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.viz.images import small
from tests.viz.samples import made
from xai_nlp.core.result import SPECIAL
from xai_nlp.core.word_alignment import REST, aligned_words
from xai_nlp.errors import InvalidInput

TEXT = "It's un-do-able, they said!"


def cut(ends, scores=None, text=TEXT):
    """The text cut into tokens that end at these characters, white space left out at the start of a token."""
    offsets, start = [], 0
    for end in [*sorted(set(ends) - {0, len(text)}), len(text)]:
        while start < end and text[start].isspace():
            start += 1
        if start < end:
            offsets.append((start, end))
        start = end
    scores = scores or [(-1) ** i * (i + 1.0) for i in range(len(offsets))]
    return made(
        text, tokens=tuple(text[a:b] for a, b in offsets), offsets=tuple(offsets), segment=(0,) * len(offsets),
        scores=tuple(scores[: len(offsets)]),
    )  # fmt: skip


@given(st.lists(st.integers(1, len(TEXT)), max_size=12), st.lists(st.integers(1, len(TEXT)), max_size=12))
def test_any_two_cuts_have_the_same_words_and_their_sums(ends, others):
    one, other = cut(ends), cut(others)
    first, second = aligned_words(one, other)
    assert first.tokens == second.tokens
    assert (first.offsets, first.segment) == (second.offsets, second.segment)
    for before, after in ((one, first), (other, second)):
        assert math.fsum(after.scores) == pytest.approx(math.fsum(before.scores), abs=1e-12)
        for (a, b), score in zip(after.offsets, after.scores, strict=True):  # no token reaches out of its word
            inside = [i for i, (start, end) in enumerate(before.offsets) if start < b and end > a]
            words = TEXT[a:b]
            spare = [(start, end) for start, end in map(before.offsets.__getitem__, inside) if start < a or end > b]
            assert all(not TEXT[s:a].strip() and not TEXT[b:e].strip() for s, e in spare), words
            assert score == pytest.approx(math.fsum(before.scores[i] for i in inside), abs=1e-12)


def test_where_no_token_covers_two_words_they_are_those_of_words():
    one = made("a fine film", scores=[0.5, 1.0, -0.5, 0.25, 0.125])
    first, second = aligned_words(one, one)
    assert first == second
    assert first.tokens == ("a", "fine", "film", REST)
    assert first.scores == (1.0, -0.5, 0.25, 0.625)
    assert first.segment == (0, 0, 0, SPECIAL)
    assert first.residual == one.residual


def test_special_tokens_of_one_tokenizer_are_a_zero_of_the_other():
    one = made("a fine film", scores=[0.5, 1.0, -0.5, 0.25, 0.125])
    bare = cut([1, 6], [1.0, 2.0, 3.0], "a fine film")
    first, second = aligned_words(one, bare)
    assert first.tokens == second.tokens == ("a", "fine", "film", REST)
    assert (first.scores[-1], second.scores[-1]) == (0.625, 0.0)


def test_both_texts_of_a_pair():
    first, _ = aligned_words(made("a film", pair="a fine film"), made("a film", pair="a fine film"))
    assert first.tokens == ("a", "film", "a", "fine", "film", REST)
    assert first.segment == (0, 0, 1, 1, 1, SPECIAL)


def test_a_word_without_a_token_scores_nothing():
    one = made("a fine film")
    cut_off = replace(one, tokens=one.tokens[:2], offsets=one.offsets[:2], segment=one.segment[:2], scores=(0.0, 1.0))
    _, second = aligned_words(one, cut_off)
    assert second.scores == (1.0, 0.0, 0.0, 0.0)


def test_other_texts_and_other_regions_are_refused():
    with pytest.raises(InvalidInput, match="the same text"):
        aligned_words(made("a film"), made("a  film"))
    why = small()
    shifted = replace(why.image, boxes=tuple((a + 1, b, c + 1, d) for a, b, c, d in why.image.boxes))
    with pytest.raises(InvalidInput, match="regions"):
        aligned_words(why, replace(why, image=shifted))
    assert aligned_words(why, why)[0].image == why.image


def test_an_empty_text_has_no_words():
    nothing = replace(made("a film"), segments=("",), tokens=(), offsets=(), segment=(), scores=())
    assert aligned_words(nothing, nothing)[0].tokens == ()
