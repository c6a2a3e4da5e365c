"""The order of phrases, and words in sentences."""

import numpy as np

from tests.runs.overview.samples import chunk_of, explanation
from xai_nlp.runs.overview.phrase_means import PhraseMeans, as_interval, quoted, strongest_for
from xai_nlp.runs.overview.section import OverviewContext


def means_of(items):
    context = OverviewContext()
    means, chunk = PhraseMeans(context.vocabulary), chunk_of(items, context)
    sums = chunk.word_sums
    means.add(chunk.labels, chunk, sums.example, sums.number[:, None], sums.score)
    return means


def test_what_is_far_from_0_and_frequent_comes_first():
    draws = np.random.default_rng(0)
    texts = [("often", 50, 1.0, 0.1), ("rare", 5, 1.2, 0.1), ("unsure", 50, 0.1, 9.0), ("against", 50, -2.0, 0.1)]
    items = [explanation(w, [draws.normal(mean, spread)]) for w, count, mean, spread in texts for _ in range(count)]
    (lines,) = means_of(items).lines().values()
    assert [line.text for line in lines] == ["against", "often", "rare", "unsure"]
    assert strongest_for(lines) == ["often", "rare"]


def test_small_groups_keep_their_words():
    lines = means_of([explanation("good", [1.0])] * 2 + [explanation("bad", [1.0], "NEGATIVE")] * 9).lines()
    assert list(lines) == ["NEGATIVE", "POSITIVE"] and lines["POSITIVE"][0].count == 2


def test_words_in_a_sentence():
    assert quoted([]) == "" and quoted(["a"]) == "“a”" and quoted(["a", "b"]) == "“a” and “b”"
    assert as_interval(np.array([np.nan, np.nan])) is None
