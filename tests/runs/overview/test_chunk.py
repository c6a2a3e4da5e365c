"""Columns of a chunk are what the explanations say one by one."""

from dataclasses import replace

import numpy as np
import pytest

import xai_nlp
from tests.runs.overview.samples import chunk_of, explanation, random_explanations
from xai_nlp.core.result import SPECIAL, TargetSpec
from xai_nlp.core.statistics import label_of, residual_share, word_sums
from xai_nlp.core.trust import Trust, TrustCheck


@pytest.fixture(scope="module")
def real():
    """Explanations of a model whose tokenizer cuts words into pieces; texts with marks, CJK, emoji, and none."""
    texts = ["an unflinchingly bleak film, isn't it?", "wow", "a naïve café, so fine 日本 😀 !!", "a  fine\tfilm"]
    return list(xai_nlp.explain(texts, method="saliency", progress=False))


def assert_same(items):
    chunk = chunk_of(items, first=7)
    assert len(chunk) == len(items) and chunk.row.tolist() == list(range(7, 7 + len(items)))
    assert chunk.labels == [label_of(item) for item in items]
    assert chunk.predictions == [item.prediction for item in items]
    assert [None if one < 0 else bool(one) for one in chunk.correct] == [item.correct for item in items]
    np.testing.assert_allclose(chunk.residual, [item.residual for item in items], atol=1e-12)
    shares = [residual_share(item)[0] if item.complete else np.nan for item in items]
    np.testing.assert_allclose(chunk.residual_share, shares, rtol=1e-9, atol=1e-12)
    for i, item in enumerate(items):
        merged, own = item.words(), chunk.words.example == i
        assert [one for one, mine in zip(chunk.words.written, own, strict=True) if mine] == list(merged.tokens)
        np.testing.assert_allclose(chunk.words.score[own], merged.scores, atol=1e-12)
        assert chunk.words.segment[own].tolist() == list(merged.segment)
        assert chunk.words.start[own].tolist() == [start for start, _ in merged.offsets]
        mine = chunk.word_sums.example == i
        words = [chunk.vocabulary.words[n] for n in chunk.word_sums.number[mine]]
        found = dict(zip(words, chunk.word_sums.score[mine].tolist(), strict=True))
        assert found == pytest.approx(word_sums(item), abs=1e-12)
        assert chunk.explanation(i) == item
    assert (chunk.tokens.segment == SPECIAL).sum() == sum(item.segment.count(SPECIAL) for item in items)


def test_columns_of_real_explanations(real):
    assert_same(real)


def test_columns_of_made_up_explanations():
    assert_same(random_explanations(50))


def test_answers_without_gold_without_sum_without_text():
    span = TargetSpec(kind="span", label="Norman Conquest")
    answered = explanation("the norman conquest", [1, 2, 3], target=span, gold="Norman conquest", complete=False)
    silent = explanation("so what", [0, 0], outputs={}, value=0.0)
    small = explanation("so what", [1e-9, 0], value=5.0, baseline_value=5.0)
    assert_same([answered, silent, small])
    assert chunk_of([answered]).labels == ["the answer"]


def test_texts_of_a_pair_stay_apart():
    pair = replace(
        explanation("who", [1.0]), segments=("who", "who did"), tokens=("who", "[SEP]", "who", "did"),
        segment=(0, -1, 1, 1), offsets=((0, 3), (0, 0), (0, 3), (4, 7)), scores=(1.0, 0.5, 2.0, 3.0),
    )  # fmt: skip
    assert_same([pair])
    assert chunk_of([pair]).words.segment.tolist() == [0, -1, 1, 1]


def test_trust_and_missing_columns():
    check = TrustCheck(name="residual", level="holds", sentence="It leaves 1 %.", numbers={"share": 0.01})
    items = [explanation("fine", [1.0], trust=Trust(checks=(check,), passes=3)), explanation("fine", [1.0])]
    chunk = chunk_of(items)
    assert chunk.trust == [items[0].trust, None]
    assert chunk.holds("trust").tolist() == [0] and chunk.holds("layers").tolist() == []
    assert chunk.regions == [None, None]
