"""Vectors of explanations, held to what the explanations say one by one."""

import numpy as np
import pytest

from tests.runs.overview.samples import chunk_of, explanation, random_explanations
from tests.runs.overview.test_features import with_image
from xai_nlp.core.statistics import word_sums
from xai_nlp.runs.overview import explanation_vectors
from xai_nlp.runs.overview.explanation_vectors import FIFTHS, SUMMARY, SUMMARY_WEIGHT, WORDS, ExplanationVectors
from xai_nlp.runs.overview.section import OverviewContext


def vectors_of(items, size=16):
    context = OverviewContext()
    vectors = ExplanationVectors(context.vocabulary)
    for start in range(0, len(items), size):
        vectors.add(chunk_of(items[start : start + size], context, start))
    return vectors


def expected(item):
    """The vector of an explanation by name, made with a loop."""
    size = sum(map(abs, item.scores))
    strongest = sorted(word_sums(item).items(), key=lambda pair: -abs(pair[1]))[:WORDS]
    words = {f"“{word}”": score / size for word, score in strongest}
    inside = [(t, s) for t, s, of in zip(item.tokens, item.scores, item.segment, strict=True) if of >= 0]
    summary = dict.fromkeys(SUMMARY, 0.0)
    for place, (token, score) in enumerate(inside):
        summary[SUMMARY[place * len(FIFTHS) // len(inside)]] += score / size
        if not any(map(str.isalnum, token)):
            summary["punctuation"] += score / size
        elif any(map(str.isdigit, token)):
            summary["numbers"] += score / size
    lengths = [np.linalg.norm(list(block.values())) or 1 for block in (words, summary)]
    joined = {name: value / lengths[0] for name, value in words.items()}
    joined |= {name: SUMMARY_WEIGHT * value / lengths[1] for name, value in summary.items()}
    whole = np.linalg.norm(list(joined.values()))
    return {name: value / whole for name, value in joined.items() if value}


def test_each_vector_is_what_a_loop_makes():
    items = [*random_explanations(40), explanation("in 1999 , or 7 .", [1.0, 2, -3, 4, 5, 6])]
    matrix, names = vectors_of(items).matrix()
    assert matrix.shape == (len(items), len(names))
    for row, item in zip(matrix.toarray(), items, strict=True):
        found = {name: value for name, value in zip(names, row.tolist(), strict=True) if value}
        wanted = expected(item)
        assert found == pytest.approx(wanted, abs=1e-6)


def test_only_the_strongest_words_are_kept(monkeypatch):
    many = " ".join(f"w{n:02}x" for n in range(20))
    item = explanation(many, [float(n) for n in range(20)])
    matrix, names = vectors_of([item]).matrix()
    kept = [name for name, value in zip(names, matrix.toarray()[0].tolist(), strict=True) if value and name[0] == "“"]
    assert sorted(kept) == [f"“w{n}x”" for n in range(12, 20)]
    monkeypatch.setattr(explanation_vectors, "VOCABULARY", 3)
    _, names = vectors_of([item]).matrix()
    assert names[:4] == ["“w19x”", "“w18x”", "“w17x”", SUMMARY[0]]


def test_inputs_are_in_the_summary():
    matrix, names = vectors_of([with_image([1.0], [3.0]), with_image([1.0], [0.0])]).matrix()
    found = [dict(zip(names, row, strict=True)) for row in matrix.toarray().tolist()]
    assert found[0]["the image"] == pytest.approx(3 * found[0]["the question"]) and found[1]["the image"] == 0


def test_an_explanation_without_a_score_has_a_vector_of_zeros():
    matrix, _ = vectors_of([explanation("so what", [0.0, 0.0]), explanation("so", [1.0])]).matrix()
    assert np.linalg.norm(matrix.toarray(), axis=1).tolist() == [0.0, pytest.approx(1.0)]


def test_chunks_do_not_matter():
    items = random_explanations(50)
    one, two = (vectors_of(items, size).matrix()[0].toarray() for size in (50, 7))
    np.testing.assert_allclose(one, two, atol=1e-9)
