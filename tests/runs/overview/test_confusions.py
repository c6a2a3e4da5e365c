"""Right and predicted labels and the words behind them, held to pandas and scipy."""

import pandas
import pytest
from scipy import stats

from tests.runs.overview.samples import chunk_of, explanation, random_explanations
from xai_nlp.core.result import TargetSpec
from xai_nlp.core.statistics import word_sums
from xai_nlp.runs.overview.confusions import Confusions
from xai_nlp.runs.overview.section import OverviewContext


def section_of(items):
    context = OverviewContext()
    section = Confusions(context)
    section.add(chunk_of(items[:100], context))
    section.add(chunk_of(items[100:], context, first=100))
    return section.result()


def wilson(hits, count):
    return tuple(stats.binomtest(hits, count).proportion_ci(0.95, method="wilson"))


def test_counts_and_words_of_each_cell():
    items = random_explanations(300)
    found = section_of(items)
    matrix, words = found.tables
    frame = pandas.DataFrame([(item.gold[0], item.prediction) for item in items], columns=["gold", "said"])
    counts = pandas.crosstab(frame.gold, frame.said)
    assert len(matrix.lines) == 4
    for gold, said, count, share, interval, (row,) in matrix.lines:
        assert count == counts.loc[gold, said]
        assert share == pytest.approx(count / counts.loc[gold].sum())
        assert interval == pytest.approx(wilson(count, int(counts.loc[gold].sum())))
        assert (items[row].gold, items[row].prediction) == ((gold,), said)
    sums = [
        (f"{item.gold[0]} → {item.prediction}", word, score)
        for item in items
        for word, score in word_sums(item).items()
    ]
    means = (
        pandas.DataFrame(sums, columns=["cell", "word", "score"]).groupby(["cell", "word"]).score.agg(["mean", "size"])
    )
    means = means[means["size"] >= 5]
    assert {line[:2] for line in words.lines} == set(means.index)
    for line in words.lines:
        assert line[2] == pytest.approx(means.loc[line[:2], "mean"]) and line[4] == means.loc[line[:2], "size"]
    right = (frame.gold == frame.said).sum()
    assert f"right in {round(100 * right / 300)}\u00a0% of 300 texts" in found.sentence
    assert "NEGATIVE instead of POSITIVE" in found.sentence or "POSITIVE instead of NEGATIVE" in found.sentence


def test_of_many_labels_only_what_occurs_is_listed_the_largest_first():
    items = [
        explanation("fine film", [1, 1], label=f"L{n % 12}", gold=f"L{n % 12 if n % 5 else 0}") for n in range(240)
    ]
    (matrix, *_) = section_of(items).tables
    counts = pandas.Series([(item.gold[0], item.prediction) for item in items]).value_counts()
    assert {line[:2]: line[2] for line in matrix.lines} == counts.to_dict()
    assert [line[2] for line in matrix.lines] == sorted(counts, reverse=True)


def test_answers_are_right_or_wrong():
    target = TargetSpec(kind="span", label="Norman")
    items = [explanation("the norman duke", [0, 2, 1], label="norman", target=target, gold="Norman")] * 5
    items += [explanation("the norman duke", [0, 1, 2], label="duke", target=target, gold="Norman")] * 5
    (words,) = section_of(items).tables
    assert {line[0] for line in words.lines} == {"right answers", "wrong answers"}
    assert "Most often wrong: a wrong answer (5), for words such as “duke”" in section_of(items).sentence


def test_explanations_of_another_label_and_unknown_answers_do_not_count():
    other = explanation(
        "fine", [1.0], label="POSITIVE", target=TargetSpec(kind="label", label="NEGATIVE"), gold="POSITIVE"
    )
    assert section_of([other] * 9) is None
    assert section_of([explanation("fine", [1.0])] * 9) is None
    all_right = section_of([explanation("fine", [1.0], gold="positive")] * 9)
    assert "wrong" not in all_right.sentence and all_right.tables[0].lines[0][:3] == ("POSITIVE", "POSITIVE", 9)
