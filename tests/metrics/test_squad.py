"""Exact match and F1 by hand, and against SQuAD's official rules."""

import json

import pytest

from xai_nlp.errors import InvalidInput, UnreadableFile
from xai_nlp.metrics.squad import exact_match, f1, normalize_answer, read_squad, squad_scores


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Cat's pyjamas!", "cats pyjamas"),
        ("An apple, a day", "apple day"),
        ("theatre", "theatre"),
        ("A", ""),
        ("", ""),
    ],
)
def test_normalize_answer(text, expected):
    assert normalize_answer(text) == expected


@pytest.mark.parametrize(
    ("answer", "golds", "exact", "overlap"),
    [
        ("Denver Broncos", ["Denver Broncos", "The Denver Broncos"], 1, 1),
        ("the Denver Broncos", ["Denver Broncos"], 1, 1),
        ("Broncos", ["Denver Broncos"], 0, 2 / 3),  # precision 1, recall 1/2
        ("in the year 1066", ["1066"], 0, 1 / 2),  # precision 1/3, recall 1
        ("a b a", ["a b b b"], 0, 2 / 4),  # articles go: "b" against "b b b": precision 1, recall 1/3
        ("Paris", ["London"], 0, 0),
        ("", [], 1, 1),  # SQuAD 2: nothing to answer, and nothing answered
        ("Paris", [], 0, 0),
        ("", ["Paris"], 0, 0),
    ],
)
def test_scores(answer, golds, exact, overlap):
    assert exact_match(answer, golds) == exact
    assert f1(answer, golds) == pytest.approx(overlap)


def squad(qas):
    return json.dumps({"data": [{"paragraphs": [{"context": "Paris is in France.", "qas": qas}]}]})


def test_reads_versions_1_and_2_and_scores_all(tmp_path):
    given = {"text": "Paris", "answer_start": 0}
    qas = [
        {"id": 1, "question": "Which city?", "answers": [given]},
        {"id": "b", "question": "Which river?", "answers": [given], "is_impossible": True},
        {"id": "c", "question": "Where?", "answers": [{"text": "in France", "answer_start": 9}]},
    ]
    (tmp_path / "file.json").write_text(squad(qas))
    asked = list(read_squad(tmp_path / "file.json"))
    assert [a.answers for a in asked] == [("Paris",), (), ("in France",)]
    assert asked[2].starts == (9,)
    found = squad_scores(asked, {"1": "paris", "b": "", "c": "France"})
    assert (found.exact_match, found.questions) == (pytest.approx(200 / 3), 3)
    assert found.f1 == pytest.approx(100 * (2 + 2 / 3) / 3)
    assert squad_scores(asked, {"1": "paris"}).exact_match == pytest.approx(100 / 3)


@pytest.mark.parametrize("text", ["", "[]", '{"data": [{}]}', squad([{"id": 1}])])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "file.json").write_text(text)
    with pytest.raises(UnreadableFile, match="SQuAD"):
        list(read_squad(tmp_path / "file.json"))
    with pytest.raises(InvalidInput, match="no questions"):
        squad_scores([], {})
