"""A data set beside the page: read, predicted, filtered."""

import json

import pandas
import pytest

from xai_nlp.errors import InvalidInput, UnreadableFile
from xai_nlp.web import dataset_view
from xai_nlp.web.dataset_view import DatasetRow, DatasetView, Filter
from xai_nlp.web.limits import Limits

ROWS = [("a gripping film", 1), ("a dull film", 0), ("a superb film", 0), ("Straße is a mess", 0)]


@pytest.fixture
def reviews(tmp_path, models):
    file = tmp_path / "reviews.csv"
    pandas.DataFrame(ROWS, columns=["Sentence", "label"]).to_csv(file, index=False)
    one = DatasetView(file, models)
    assert not one.predict_more()
    return one


def numbers(one, **conditions):
    return [row["number"] for row in one.page(Filter(**conditions))["rows"]]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_each_kind_of_file_is_read_alike(tmp_path, models, suffix):
    frame, file = pandas.DataFrame(ROWS, columns=["text", "label"]), tmp_path / f"rows.{suffix}"
    write = {
        "csv": lambda: frame.to_csv(file, index=False),
        "tsv": lambda: frame.to_csv(file, index=False, sep="\t"),
        "jsonl": lambda: frame.to_json(file, orient="records", lines=True),
        "parquet": lambda: frame.to_parquet(file),
    }
    write[suffix]()
    rows = DatasetView(file, models).rows
    assert [row.inputs["text"] for row in rows] == [text for text, _ in ROWS]
    assert [row.gold for row in rows] == [("POSITIVE",), ("NEGATIVE",), ("NEGATIVE",), ("NEGATIVE",)]


def test_filters(reviews):
    assert numbers(reviews) == [0, 1, 2, 3]
    assert numbers(reviews, label="POSITIVE") == [0]
    assert numbers(reviews, prediction="POSITIVE") == [0, 2]
    assert numbers(reviews, right=False) == [2]
    assert numbers(reviews, right=True) == [0, 1, 3]
    assert numbers(reviews, text="FILM") == [0, 1, 2]
    assert numbers(reviews, text="STRASSE") == [3]
    assert numbers(reviews, text="film", right=True, label="NEGATIVE") == [1]
    scores = sorted(row.score for row in reviews.rows)
    assert len(numbers(reviews, least=scores[2])) == 2
    assert len(numbers(reviews, most=scores[2])) == 3
    assert numbers(reviews, label="'; DROP TABLE") == []


def test_a_row_without_prediction_is_neither_right_nor_wrong(tmp_path, models, monkeypatch):
    monkeypatch.setattr(dataset_view, "ROWS_AT_ONCE", 2)
    (tmp_path / "rows.csv").write_text("text,label\n" + "a fine film,1\n" * 5)
    one = DatasetView(tmp_path / "rows.csv", models)
    assert (one.predicted, numbers(one, right=True), numbers(one, right=False)) == (0, [], [])
    assert [one.predict_more(), one.predicted, numbers(one, right=True)] == [True, 2, [0, 1]]
    assert [one.predict_more(), one.predict_more(), one.predict_more()] == [True, False, False]
    assert one.predicted == 5


def test_predictions_are_the_models_own(reviews, sentiment):
    for row, outputs in zip(reviews.rows, sentiment.predict([text for text, _ in ROWS]), strict=True):
        assert row.score == pytest.approx(outputs[row.prediction], rel=1e-5)
        assert row.prediction == max(outputs, key=outputs.get)


def test_a_row_without_text_does_not_take_its_neighbours_with_it(tmp_path, models):
    (tmp_path / "rows.csv").write_text('text,label\na fine film,1\n"",0\na dull film,0\n')
    one = DatasetView(tmp_path / "rows.csv", models)
    one.predict_more()
    assert [bool(row.error) for row in one.rows] == [False, True, False]
    assert [row.prediction for row in one.rows] == ["POSITIVE", None, "NEGATIVE"]


def test_questions(tmp_path, models):
    said = "Frankenstein was written by Mary Shelley in 1818."
    rows = [
        {"question": "Who wrote Frankenstein?", "context": said, "answers": {"text": ["the Mary Shelley"]}},
        {"question": "When was it written?", "context": said, "answers": ["1917"]},
        {"question": "Who wrote Frankenstein?", "context": said},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    one = DatasetView(tmp_path / "rows.jsonl", models)
    one.predict_more()
    assert [row.right for row in one.rows] == [True, False, None]  # articles do not count, as SQuAD has it
    assert (one.task.name, one.model) == ("question-answering", "qa")


def test_labels_that_the_model_does_not_know_stay(tmp_path, models):
    (tmp_path / "rows.csv").write_text("text,label\nfine,negative\nfine,sports\nfine,\nfine,7\n")
    assert [row.gold for row in DatasetView(tmp_path / "rows.csv", models).rows] == [
        ("NEGATIVE",),
        ("sports",),
        (),
        ("7",),
    ]


def test_pages(tmp_path, models):
    (tmp_path / "rows.csv").write_text("text\n" + "".join(f"film {n}\n" for n in range(60)))
    one = DatasetView(tmp_path / "rows.csv", models)
    pages = [one.page(Filter(page=n)) for n in range(4)]
    assert [len(page["rows"]) for page in pages] == [25, 25, 10, 0]
    assert pages[1]["rows"][0]["inputs"]["text"] == "film 25"
    assert {page["pages"] for page in pages} == {3}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "words,label\na,1\n", "no column for text"),
        ("x.csv", "question,label\na,1\n", "no column for context"),
        ("x.csv", "text,label\n", "x.csv has no rows"),
        ("x.csv", "", "x.csv is empty"),
        ("x.jsonl", "{not json", "x.jsonl, line 1: no valid JSON"),
        ("x.parquet", "no parquet", "x.parquet is no Parquet file"),
        ("x.pkl", "text", "x.pkl is no table: give a file that ends in .csv"),
        ("x", "text", "x is no table"),
    ],
)
def test_other_files_are_refused(tmp_path, models, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises((InvalidInput, UnreadableFile), match=message):
        DatasetView(tmp_path / name, models)


def test_more_rows_than_the_limit(tmp_path, models):
    (tmp_path / "rows.csv").write_text("text\na\nb\n")
    assert len(DatasetView(tmp_path / "rows.csv", models, Limits(rows=2)).rows) == 2
    with pytest.raises(InvalidInput, match=r"rows\.csv has more than 1 rows"):
        DatasetView(tmp_path / "rows.csv", models, Limits(rows=1))


def test_a_file_that_is_not_there(tmp_path, models):
    with pytest.raises(InvalidInput, match="no file"):
        DatasetView(tmp_path / "none.csv", models)


def test_regressions_and_empty_answers_are_compared_as_texts():
    assert DatasetRow(0, {}, answers=True, gold=("",), prediction="").right is True
    assert DatasetRow(0, {}, gold=("a",), prediction=None).right is None
