"""Kinds of reasons in a made-up run whose kinds are known."""

from collections import Counter

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from tests.runs.overview.samples import chunk_of, explanation, random_explanations, write_run
from tests.runs.overview.test_spectral import groups
from xai_nlp.core.statistics import proportion
from xai_nlp.runs.overview import clusters
from xai_nlp.runs.overview.clusters import LEAST, Clusters, divided
from xai_nlp.runs.overview.section import OverviewContext

KINDS = {"POSITIVE": "moving", "NEGATIVE": "dull", "MIXED": "today"}


def of_kinds(count, seed=0):
    """Explanations of three kinds, in which the word of the kind takes most; and the kind of each."""
    draws, items, kinds = np.random.default_rng(seed), [], []
    for _ in range(count):
        label = str(draws.choice(list(KINDS), p=[0.5, 0.3, 0.2]))
        words = [KINDS[label], *draws.choice(["film", "plot", "the", "of", "actor"], 5)]
        scores = np.concatenate([draws.normal(2, 0.3, 1), draws.normal(0, 0.3, 5)])
        order = draws.permutation(6)
        gold = label if draws.random() < 0.8 else "OTHER"
        items.append(explanation(" ".join(np.array(words)[order]), scores[order].tolist(), label, gold))
        kinds.append(label)
    return items, kinds


def answer_of(items, seed=0):
    section = Clusters(context := OverviewContext(seed=seed))
    for start in range(0, len(items), 100):
        section.add(chunk_of(items[start : start + 100], context, start))
    return section, section.result()


@pytest.fixture(scope="module")
def truth():
    return of_kinds(400)


@pytest.fixture(scope="module")
def answer(truth):
    return answer_of(truth[0])


def test_the_kinds_are_found_with_their_words_labels_and_errors(truth, answer):
    items, kinds = truth
    table = answer[1].tables[0]
    counts = Counter(kinds).most_common()
    assert [line[5] for line in table.lines] == [count for _, count in counts]
    for (label, count), line in zip(counts, table.lines, strict=True):
        assert line[1].split(", ")[0] == f"“{KINDS[label]}”"
        share = proportion(count, len(items))
        assert line[3:5] == (share.mean, share.interval) and line[6] == line[7] == f"{label} 100\u00a0%"
        own = [item for item, kind in zip(items, kinds, strict=True) if kind == label]
        wrong = proportion(sum(not item.correct for item in own), count)
        assert line[8:10] == (wrong.mean, wrong.interval)
        assert {kinds[row] for row in line[2]} == {label}
    assert answer[1].sentence.startswith("There are 3 kinds of reasons; the largest: ")


def test_the_first_row_is_the_medoid(truth, answer):
    section, result = answer
    dense = section.vectors.matrix()[0].toarray()
    for line in result.tables[0].lines:
        label = line[6].split()[0]
        own = [row for row, kind in enumerate(truth[1]) if kind == label]
        assert line[2][0] == own[int((dense[own] @ dense[own].T).mean(1).argmax())]


def test_what_tells_a_kind_is_its_mean_against_the_others(truth, answer):
    section, result = answer
    matrix, names = section.vectors.matrix()
    dense, kinds = matrix.toarray(), np.array(truth[1])
    label = {line[0]: line[6].split()[0] for line in result.tables[0].lines}
    for kind, name, more, here, elsewhere in result.tables[1].lines:
        column, own = dense[:, names.index(name)], kinds == label[kind]
        assert (here, elsewhere) == pytest.approx((column[own].mean(), column[~own].mean()))
        assert more == pytest.approx(here - elsewhere)


def test_eigenvalues_leave_their_gap_behind_the_kinds(answer):
    table = answer[1].tables[2]
    assert max(table.lines[1:-1], key=lambda line: line[2])[0] == "3"


def test_the_rest_follows_a_sample(truth, answer, monkeypatch):
    monkeypatch.setattr(clusters, "SAMPLE", 150)
    matrix, _ = answer[0].vectors.matrix()
    kinds, found, middles = divided(matrix, seed=0)
    assert len(found.labels) == 150 and adjusted_rand_score(truth[1], kinds) == 1
    assert (np.diff(np.bincount(kinds)) <= 0).all()
    assert [set(kinds[middle]) for middle in middles] == [{0}, {1}, {2}]


@pytest.mark.parametrize("seed", range(4))
def test_the_largest_kind_is_first_also_where_the_sample_says_otherwise(seed, monkeypatch):
    monkeypatch.setattr(clusters, "SAMPLE", 60)
    vectors, _ = groups((105, 100, 95))
    kinds, _, middles = divided(vectors, seed)
    assert (np.diff(np.bincount(kinds)) <= 0).all()
    assert [set(kinds[middle]) for middle in middles] == [{kind} for kind in range(len(middles))]


def test_one_kind_of_text_is_said_to_have_kinds_that_shade_into_each_other():
    _, result = answer_of(random_explanations(200))
    assert result.tables[0].lines and "shade into each other" in result.note
    assert sum(line[5] for line in result.tables[0].lines) == 200


def test_few_explanations_and_explanations_without_a_score_have_no_kinds():
    assert answer_of(random_explanations(LEAST - 1))[1] is None
    assert answer_of([explanation("so what", [0.0, 0.0])] * LEAST)[1] is None


def test_unjudged_explanations_have_no_errors(tmp_path):
    items = [explanation("fine film", [1.0, 0.0]), explanation("dull plot", [1.0, 0.0], "NEGATIVE")] * 40
    found = write_run(tmp_path / "run", items).overview()
    lines = found.tables["kinds"].lines
    assert [line[8:10] for line in lines] == [(None, None)] * len(lines)
    found.to_html(tmp_path / "page.html")
    found.save_csv(tmp_path / "csv")
    found.save_figures(tmp_path / "figures", "svg")
    assert "Kinds of reasons" in (tmp_path / "page.html").read_text(encoding="utf-8")
