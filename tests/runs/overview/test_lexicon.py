"""The lexicon, held to pandas and scipy."""

import pandas
import pytest
from scipy import stats

from tests.runs.overview.samples import random_explanations, write_run
from xai_nlp.core.statistics import word_sums


@pytest.fixture(scope="module")
def items():
    return random_explanations(300)


@pytest.fixture(scope="module")
def found(items, tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"), items).overview()


def test_each_line_is_what_pandas_and_scipy_say(items, found):
    table = found.tables["lexicon"]
    rows = [
        (item.target.label, word, score, row)
        for row, item in enumerate(items)
        for word, score in word_sums(item).items()
    ]
    frame = pandas.DataFrame(rows, columns=["label", "word", "score", "row"])
    for label, of_label in frame.groupby("label"):
        groups = {word: group for word, group in of_label.groupby("word") if len(group) >= 5}
        tests = {word: stats.ttest_1samp(group.score, 0) for word, group in groups.items()}
        q = dict(zip(tests, stats.false_discovery_control([test.pvalue for test in tests.values()]), strict=True))
        lines = [line for line in table.lines if line[0] == label]
        assert {line[1] for line in lines} == set(groups)
        for _, word, mean, interval, count, _, q_value, examples in lines:
            group = groups[word]
            assert (count, mean) == (len(group), pytest.approx(group.score.mean()))
            assert interval == pytest.approx(tuple(tests[word].confidence_interval(0.95)))
            assert q_value == pytest.approx(q[word], rel=1e-6, abs=1e-12)
            assert examples[0] == group.row[group.score.abs().idxmax()]
            assert set(examples) <= set(group.row)


def test_the_sentence_names_the_surest_words(found):
    assert found.sentence.startswith("The model says POSITIVE for words such as “well-made”")
    assert "NEGATIVE" in found.sentence
