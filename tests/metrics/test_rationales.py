"""Explanations against rationales: definitions written out, cases by hand, and files in ERASER's format."""

import itertools
import json
import math

import numpy as np
import pytest

from xai_nlp.errors import InvalidInput, UnreadableFile
from xai_nlp.metrics import auprc, inside_boxes, iou_f1, pointing_game, rationale_scores, read_eraser, token_f1
from xai_nlp.metrics.rationales import runs, top_features


def test_tokens():
    one = token_f1([1, 1, 0, 0, 1], [1, 0, 0, 1, 1])
    assert (one.precision, one.recall) == (2 / 3, 2 / 3)
    assert one.f1 == pytest.approx(2 / 3)
    assert token_f1([0, 0], [1, 0]).f1 == token_f1([1, 0], [0, 0]).f1 == token_f1([1, 0], [0, 1]).f1 == 0


def test_top_features():
    assert top_features([0.3, -1.0, 0.3, 2.0], 2).tolist() == [True, False, False, True]
    assert not top_features([1.0, 2.0], 0).any()
    assert top_features([1.0, 2.0], 5).all()


def test_spans():
    assert runs([0, 1, 1, 0, 1]) == [(1, 3), (4, 5)]
    assert runs([]) == [] and runs([1, 1]) == [(0, 2)]
    # 4 of 5 shared; 1 of 3 shared; nothing shared
    found = iou_f1([(0, 4), (10, 12), (20, 21)], [(0, 5), (11, 13)])
    assert found.precision == 1 / 3 and found.recall == 0.5
    assert iou_f1([(10, 12)], [(11, 13)], least=1 / 3).f1 == 1
    assert iou_f1([], [(0, 1)]).f1 == iou_f1([(0, 1)], []).f1 == 0


def test_area_is_that_of_the_steps_taken_one_by_one():
    draws = np.random.default_rng(0)
    for _ in range(10):
        scores, truth = draws.random(12), draws.random(12) < 0.4
        truth[0] = True
        points = [(0.0, 1.0)]  # recall and precision
        for count in range(1, 13):
            marks = top_features(scores, count)
            points.append(((marks & truth).sum() / truth.sum(), (marks & truth).sum() / count))
        area = sum((r1 - r0) * (p0 + p1) / 2 for (r0, p0), (r1, p1) in itertools.pairwise(points))
        assert auprc(scores, truth) == pytest.approx(area)
    assert math.isnan(auprc([1.0, 2.0], [False, False]))
    assert auprc([1.0, 2.0], [True, True]) == 1


def test_pointing():
    assert pointing_game([1.0, 3.0, 3.0], [0, 1, 0])
    assert not pointing_game([1.0, 3.0, 3.0], [1, 0, 1])
    regions = [(0, 0, 10, 10), (10, 0, 20, 10), (0, 10, 10, 20)]
    assert inside_boxes(regions, [(4, 4, 6, 6), (0, 14, 9, 15)]).tolist() == [True, False, True]
    assert inside_boxes(regions, []).tolist() == [False] * 3


def test_means_over_examples():
    scores = [[0.9, 0.8, 0.1, 0.0], [0.1, 0.2, 0.3, 0.4], [0.5, 0.4, 0.0, 0.0]]
    truth = [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    found = rationale_scores(scores, truth)  # a quarter is marked on average: one token
    assert found.token.precision == pytest.approx((1 + 0 + 0) / 3)
    assert found.token.recall == pytest.approx((0.5 + 0 + 0) / 3)
    assert found.token_f1 == pytest.approx((2 / 3) / 3)
    assert found.iou.precision == pytest.approx(1 / 3)
    assert found.auprc == pytest.approx((1 + auprc(scores[1], truth[1])) / 2)
    assert found.pointing == pytest.approx(1 / 3)
    assert found.chance == pytest.approx((0.5 + 0.25 + 0) / 3)
    assert found.examples == 3
    assert rationale_scores(scores, truth, share=0.5).token.recall == pytest.approx((1 + 0 + 0) / 3)


ANNOTATIONS = [
    {
        "annotation_id": "a1",
        "classification": "POS",
        "query": "good ?",
        "evidences": [
            [{"docid": "d1", "start_token": 1, "end_token": 3, "text": "fine film"}],
            [{"docid": "d2", "start_token": 0, "end_token": 1, "text": "great"}],
        ],
    },
    {"annotation_id": "a2", "classification": "NEG", "query": None, "evidences": []},
]


@pytest.mark.parametrize("in_a_folder", [True, False])
def test_files_of_eraser(tmp_path, in_a_folder):
    (tmp_path / "val.jsonl").write_text("\n".join(map(json.dumps, ANNOTATIONS)) + "\n")
    documents = {"d1": "a fine film\nabout sisters", "d2": "great"}
    if in_a_folder:
        (tmp_path / "docs").mkdir()
        for name, text in documents.items():
            (tmp_path / "docs" / name).write_text(text)
    else:
        rows = [{"docid": name, "document": text} for name, text in documents.items()]
        (tmp_path / "docs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first, second = read_eraser(tmp_path, "val")
    assert (first.id, first.document, first.label, first.query) == ("a1", "d1", "POS", "good ?")
    assert first.text == "a fine film about sisters"
    assert first.marks == (False, True, True, False, False)
    assert [first.text[a:b] for a, b in first.spans] == list(first.tokens)
    assert second.tokens == ("great",) and second.marks == (True,)


def test_scores_of_an_explanation_on_the_tokens_of_a_file(sentiment, tmp_path):
    (tmp_path / "test.jsonl").write_text(json.dumps(ANNOTATIONS[0]))
    (tmp_path / "docs.jsonl").write_text("\n".join(json.dumps({"docid": d, "document": t}) for d, t in (
        ("d1", "a fine, gripping film"), ("d2", "great !"))))  # fmt: skip
    for example in read_eraser(tmp_path):
        why = sentiment.explain(example.text, method="input_x_gradient").spans([(0, span) for span in example.spans])
        scores = [score for score, segment in zip(why.scores, why.segment, strict=True) if segment == 0]
        assert len(scores) == len(example.marks)
        assert 0 <= auprc(scores, example.marks) <= 1


@pytest.mark.parametrize(
    "text", ["{}", "no json", json.dumps({**ANNOTATIONS[0], "evidences": [[{"docid": "d9"}]]}), None]
)
def test_other_files_are_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "test.jsonl").write_text(text)
    (tmp_path / "docs.jsonl").write_text(json.dumps({"docid": "d1", "document": "a"}))
    with pytest.raises(UnreadableFile, match="ERASER"):
        list(read_eraser(tmp_path))


@pytest.mark.parametrize("measure", [token_f1, auprc, pointing_game])
def test_lengths_differ(measure):
    with pytest.raises(InvalidInput, match="one value, and one mark"):
        measure([1.0], [True, False])
    with pytest.raises(InvalidInput, match="one or more examples"):
        rationale_scores([], [])
