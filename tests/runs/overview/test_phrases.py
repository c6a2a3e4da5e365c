"""Neighbouring words, held to a loop over the words of each explanation."""

import math
from collections import defaultdict
from dataclasses import replace
from functools import partial

import pytest
from scipy import stats

from tests.runs.overview.samples import WORDS, chunk_of, explanation, random_explanations
from xai_nlp.core import grouped_means
from xai_nlp.core.result import SPECIAL
from xai_nlp.runs.overview import phrase_means
from xai_nlp.runs.overview.phrases import NEGATIONS, Phrases
from xai_nlp.runs.overview.section import OverviewContext


def section_of(items):
    context = OverviewContext()
    section = Phrases(context)
    for start in range(0, len(items), 37):
        section.add(chunk_of(items[start : start + 37], context, first=start))
    return section.result()


def is_word(text, segment):
    return segment != SPECIAL and any(map(str.isalnum, text))


def brute(items, length):
    """(label, words) -> the sums over the examples that hold them."""
    sums = defaultdict(list)
    for item in items:
        words, of_item = item.words(), defaultdict(float)
        triples = list(zip(words.tokens, words.segment, words.scores, strict=True))
        for i in range(len(triples) - length + 1):
            part = triples[i : i + length]
            if all(is_word(text, segment) for text, segment, _ in part) and len({s for _, s, _ in part}) == 1:
                of_item[" ".join(text.casefold() for text, _, _ in part)] += sum(score for _, _, score in part)
        for phrase, total in of_item.items():
            sums[item.target.label, phrase].append(total)
    return sums


@pytest.mark.parametrize("length", [2, 3])
def test_phrases_are_those_of_a_loop(length):
    items = random_explanations(400, length, WORDS[: 15 - 3 * length])
    (table,) = [one for one in section_of(items).tables if one.name == f"words_{length}"]
    expected = {key: sums for key, sums in brute(items, length).items() if len(sums) >= 5}
    assert {line[:2] for line in table.lines} == set(expected) and len(expected) > 20
    for label, phrase, mean, interval, count, overall, _, _ in table.lines:
        sums = expected[label, phrase]
        assert (count, mean) == (len(sums), pytest.approx(math.fsum(sums) / len(sums)))
        assert interval == pytest.approx(tuple(stats.ttest_1samp(sums, 0).confidence_interval()))
        of_label = sum(item.target.label == label for item in items)
        assert overall == pytest.approx(math.fsum(sums) / of_label)


def test_negations_have_their_parts():
    items = [explanation("not good at all", [-1.0, 0.5, 0.0, 0.0])] * 6 + [explanation("a good film", [0, 2, 0])] * 4
    items += [explanation("it doesn't work", [0, -2, 1])] * 5
    (table,) = [one for one in section_of(items).tables if one.name == "negations"]
    found = {line[1]: dict(zip([column.name for column in table.columns], line, strict=True)) for line in table.lines}
    assert set(found) == {"not good", "doesn't work"}
    good = found["not good"]
    assert (good["mean score"], good["the negation"], good["the word"], good["the word elsewhere"]) == (
        -0.5,
        -1,
        0.5,
        2,
    )
    assert good["texts"] == 6 and found["doesn't work"]["the word elsewhere"] is None
    assert "In “not good”, “good” brings +0.500 to POSITIVE, and +2.00" in section_of(items).sentence


def test_it_says_that_rare_phrases_were_dropped(monkeypatch):
    items = random_explanations(300, 0, WORDS[:4])
    assert "too many" not in section_of(items).note
    monkeypatch.setattr(grouped_means, "BUFFER", 10)
    monkeypatch.setattr(phrase_means, "GroupedMoments", partial(grouped_means.GroupedMoments, most=60))
    assert "too many to count all" in section_of(items).note


def test_an_article_between_is_skipped():
    items = [explanation("not a good film", [-1.0, 0.25, 0.5, 0.0])] * 5 + [
        explanation("it is not the", [0, 0, -1, 9])
    ] * 5
    items += [explanation("not a , good", [-1.0, 0.0, 0.0, 9.0]), explanation("never the a", [1, 1, 1])] * 5
    (table,) = [one for one in section_of(items).tables if one.name == "negations"]
    assert [line[1:3] for line in table.lines] == [("not good", -0.5)]


def test_nothing_stands_together_over_punctuation_or_two_texts():
    items = [explanation("good , film", [1, 0, 1])] * 6
    assert section_of(items) is None
    pair = replace(
        explanation("good", [1.0]), segments=("good", "film"), tokens=("good", "film"), segment=(0, 1),
        offsets=((0, 4), (0, 4)), scores=(1.0, 2.0),
    )  # fmt: skip
    assert section_of([pair] * 6) is None
    assert section_of([]) is None
    assert "not" in NEGATIONS
