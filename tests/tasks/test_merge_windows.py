"""Windows merged into one list of tokens: sums stay true, tokens keep their characters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xai_nlp
from tests.models.tiny import tiny
from tests.tasks.test_explainer import total
from tests.viz.samples import HOSTILE
from xai_nlp.errors import InvalidInput
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.merge_windows import WindowScores, merge_windows


@pytest.mark.parametrize("text", ["good " * 900 + "bad", ("a question", "dull film " * 400)])
def test_windows_of_long_texts_are_merged_and_sums_stay_true(sentiment, text):
    why = sentiment.explain(text)
    assert why.params["windows"] > 1
    assert abs(why.residual) <= 0.01 * max(abs(why.explained), 0.05) * why.params["windows"]
    assert total(why) == pytest.approx(why.explained - why.residual)
    parts = text if isinstance(text, tuple) else (text,)
    for s, part in enumerate(parts):
        assert [t for t, k in zip(why.tokens, why.segment, strict=True) if k == s] == part.split()
    with pytest.raises(InvalidInput, match="long='windows'"):
        sentiment.explain(text, long="error")


def test_merged_scores_are_means_over_windows_by_hand(sentiment):
    text = "good film bad plot dull end"
    merged = sentiment.explain(text, max_length=6, stride=2, method="occlusion", target=1)  # 4 words a window
    first, last = (
        sentiment.explain(t, method="occlusion", target=1) for t in ("good film bad plot", "bad plot dull end")
    )
    expected = [
        *first.scores[1:3],
        first.scores[3] + last.scores[1],
        first.scores[4] + last.scores[2],
        *last.scores[3:5],
    ]
    assert merged.params["windows"] == 2
    assert merged.scores[1:-1] == pytest.approx([e / 2 for e in expected], abs=1e-5)
    assert merged.value == pytest.approx((first.value + last.value) / 2, abs=1e-5)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", ["zoo", "roberta", "gpt2"])
def test_hostile_text_keeps_its_offsets(sentiment, name, kind):
    explainer = sentiment if name == "zoo" else xai_nlp.load(*tiny(name))
    why = explainer.explain(HOSTILE[kind], steps=9)
    ends = 0
    for token, segment, (start, end) in zip(why.tokens, why.segment, why.offsets, strict=True):
        if segment >= 0:
            assert HOSTILE[kind][start:end] == token
            assert token.strip()
            assert start >= ends
            ends = end
    assert xai_nlp.Explanation.from_json(why.to_json()) == why
    assert total(why.words()) == pytest.approx(total(why), abs=1e-9)
    assert "<img" not in why._repr_html_()


# By hand -------------------------------------------------------------------------------------------------------------


def window(tokens, spans, segment, scores, value=0.0, baseline_value=0.0, steps=None):
    ids = {"input_ids": [0] * len(tokens)}
    row = TokenWindow(0, ids, tuple(tokens), np.array(spans), np.array(segment))
    return WindowScores(row, np.atleast_2d(np.array(scores, dtype=float)), value, baseline_value, steps)


def test_one_window_stays_as_it_is():
    one = window(["[CLS]", "bad", "plot"], [(0, 0), (0, 3), (4, 8)], [-1, 0, 0], [[1, 2, 3], [4, 5, 6]], 2.0, 1.0, 9)
    merged = merge_windows(["Bad plot"], [one])
    assert merged.tokens == ("[CLS]", "Bad", "plot") and merged.starts == [0, 1, 2]
    assert merged.offsets == ((0, 0), (0, 3), (4, 8)) and merged.segment == (-1, 0, 0)
    assert (merged.value, merged.baseline_value, merged.steps) == (2.0, 1.0, 9)
    np.testing.assert_array_equal(merged.scores, one.scores)


def test_bytes_of_one_character_become_one_token():
    """Two tokens of an emoji share its characters; their scores add up, and the first of them is the start."""
    one = window(["a", "Ã", "±", "b"], [(0, 1), (2, 3), (2, 3), (4, 5)], [0, 0, 0, 0], [1, 2, 3, 4])
    merged = merge_windows(["a ñ b"], [one])
    assert merged.tokens == ("a", "ñ", "b") and merged.starts == [0, 1, 3]
    assert merged.scores.tolist() == [[1, 5, 4]]


def test_white_space_joins_the_token_before_it_or_after():
    one = window([" ", "a", "\n", "b"], [(0, 1), (1, 2), (2, 3), (3, 4)], [0, 0, 0, 0], [1, 2, 3, 4])
    merged = merge_windows([" a\nb"], [one])
    assert merged.tokens == (" a\n", "b") and merged.starts == [0, 3]
    assert merged.scores.tolist() == [[6, 4]]


def test_a_token_of_two_windows_has_the_mean_of_its_scores_and_one_of_one_window_half_of_its_own():
    first = window(
        ["[CLS]", "a", "b", "[SEP]"], [(0, 0), (0, 1), (2, 3), (0, 0)], [-1, 0, 0, -1], [1, 2, 3, 4], 3.0, 1.0, 5
    )
    last = window(
        ["[CLS]", "b", "c", "[SEP]"], [(0, 0), (2, 3), (4, 5), (0, 0)], [-1, 0, 0, -1], [5, 6, 7, 8], 5.0, 2.0, 9
    )
    merged = merge_windows(["a b c"], [first, last])
    assert merged.tokens == ("[CLS]", "a", "b", "c", "[SEP]")
    assert merged.scores.tolist() == [[3, 1, 4.5, 3.5, 6]]
    assert (merged.value, merged.baseline_value, merged.steps, merged.starts) == (4.0, 1.5, 9, None)
    assert merged.scores.sum() == np.mean([first.scores.sum(), last.scores.sum()])


@given(
    words=st.lists(st.text("abé😀", min_size=1, max_size=4), min_size=1, max_size=12),
    size=st.integers(1, 5),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_sums_are_the_mean_over_windows_and_words_their_own_by_brute_force(words, size, data):
    """Windows of `size` words that overlap by any number: each word's score by a loop over the windows."""
    text, spans, at = " ".join(words), [], 0
    for word in words:
        spans.append((at, at + len(word)))
        at += len(word) + 1
    step = data.draw(st.integers(1, size))
    starts = list(range(0, max(1, len(words) - size + step), step))
    parts = [range(start, min(start + size, len(words))) for start in starts]
    parts = [part for part in parts if len(part)]
    draws = np.random.default_rng(len(words))
    windows = [
        window([words[i] for i in part], [spans[i] for i in part], [0] * len(part), draws.normal(size=len(part)))
        for part in parts
    ]
    merged = merge_windows([text], windows)
    covered = sorted({i for part in parts for i in part})
    assert merged.tokens == tuple(words[i] for i in covered)
    for score, i in zip(merged.scores[0], covered, strict=True):
        shares = [one.scores[0][part.index(i)] for one, part in zip(windows, parts, strict=True) if i in part]
        assert score == pytest.approx(sum(shares) / len(windows))
