"""Rows explained in one call: which explanation is whose, and which row has which error."""

import xai_nlp
from xai_nlp.data.table import Record
from xai_nlp.runs.batch import GIVE_BACK, explain_rows, give_back_memory
from xai_nlp.runs.rows import Row
from xai_nlp.runs.shards import explanation_of

TEXTS = {3: "a fine film", 5: "", 8: "a dull mess", 9: "so so"}


def rows():
    return [Row(Record(n, {"text": text}, (f"gold {n}",))) for n, text in TEXTS.items()]


def test_each_explanation_has_its_row_and_each_failure_its_message():
    table = explain_rows(xai_nlp.load("sentiment"), {"method": ["saliency", "occlusion"]}, rows())
    cells = table.to_pylist()
    assert [one["row"] for one in cells] == [3, 3, 8, 8, 9, 9, 5]
    for one in cells[:-1]:
        item = explanation_of(one)
        assert item.segments == (TEXTS[one["row"]],) and item.gold == (f"gold {one['row']}",)
    assert "empty" in cells[-1]["error"]


def test_unreadable_rows_alone():
    table = explain_rows(xai_nlp.load("sentiment"), {"method": "saliency"}, [Row(Record(2, {}), "a list")])
    assert [(one["row"], one["error"]) for one in table.to_pylist()] == [(2, "a list")]


def test_an_unexpected_error_is_that_of_its_row_alone():
    explainer = xai_nlp.load("sentiment")
    forward = explainer.model.forward

    def fails(*args, **inputs):
        if (inputs["input_ids"] == explainer.tokenizer.convert_tokens_to_ids("mess")).any():
            raise RuntimeError("a broken kernel")
        return forward(*args, **inputs)

    explainer.model.forward = fails
    try:
        table = explain_rows(explainer, {"method": "saliency"}, [row for row in rows() if row.record.inputs["text"]])
    finally:
        del explainer.model.forward
    assert {one["row"]: one["error"] for one in table.to_pylist()} == {
        3: None, 9: None, 8: "RuntimeError: a broken kernel"
    }  # fmt: skip


def test_free_memory_goes_back_every_few_batches(monkeypatch):
    given_back = []
    monkeypatch.setattr("xai_nlp.runs.batch.give_back_memory", lambda: given_back.append(1))
    for _ in range(2 * GIVE_BACK):
        explain_rows(xai_nlp.load("sentiment"), {"method": "saliency"}, [Row(Record(2, {}), "a list")])
    assert len(given_back) == 2


def test_giving_memory_back_works_here_and_is_no_error_elsewhere(monkeypatch):
    give_back_memory()
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    give_back_memory()
