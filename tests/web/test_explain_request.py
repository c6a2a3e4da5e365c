"""Requests: their fields come from the task table, and each fault is one sentence."""

import base64

import pytest
from pydantic import ValidationError

from tests.web.test_model_registry import png
from xai_nlp.data.table import Record
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.methods import METHODS
from xai_nlp.tasks.table import TASKS, find_task
from xai_nlp.web.explain_request import (
    OMITTED,
    FieldError,
    RowsRequest,
    field_errors,
    image_bytes,
    request_schema,
    rows_schema,
)
from xai_nlp.web.limits import LIMITS, Limits

TEXT = {"model": "sentiment", "text": "a fine film"}


def keywords(task="classify", **values):
    return request_schema()(**{"model": task, **values}).keywords(find_task(task))


def test_every_input_and_option_of_the_table_is_a_field():
    names = {one.name for task in TASKS.values() for one in (*task.inputs, *task.every_option)}
    assert set(request_schema().model_fields) == {"model", "options"} | names - set(OMITTED)


def test_keywords_are_those_of_explain():
    assert keywords(**TEXT) == {"text": "a fine film", "method": ["integrated_gradients"]}
    options = {"target": "A-B", "layer": 2, "layers": True, "long": "error", "max_length": 64}
    assert keywords(**TEXT, **options, method="lrp") == {"text": "a fine film", **options, "method": ["lrp"]}
    question = {"question": "Who?", "context": "Ada wrote it."}
    both = keywords("qa", **question, target=["start", "end"], unanswerable=True, answer="")
    assert both == {**question, "target": ["start", "end"], "unanswerable": True, "method": ["integrated_gradients"]}
    assert keywords("vqa", image=png(), question="What?")["image"] == base64.b64decode(png())
    for labels in ("good, bad", ["good", "bad"]):
        assert keywords("zero-shot", text="a film", labels=labels)["labels"] == labels
    for labels in (" ", []):
        with pytest.raises(InvalidInput, match="labels is empty"):
            keywords("zero-shot", text="a film", labels=labels)


@pytest.mark.parametrize(
    ("method", "options", "expected"),
    [
        ("integrated_gradients", {"steps": 8, "rule": "trapezoid"}, {"steps": 8, "rule": "trapezoid"}),
        ("integrated_gradients", {"steps": "8", "multiply": False}, {"steps": 8, "multiply": False}),
        ("integrated_gradients", {"steps": "auto", "tolerance": 0.1}, {"steps": "auto", "tolerance": 0.1}),
        ("lime", {"samples": 64, "seed": 3, "width": 0.5}, {"samples": 64, "seed": 3, "width": 0.5}),
        (
            "smoothgrad",
            {"of": "integrated_gradients", "of_options": {"steps": 4}},
            {"of": "integrated_gradients", "of_options": {"steps": 4}},
        ),
        ("smoothgrad", {"of": "integrated_gradients", "of_options": '{"steps": 4}'}, None),
    ],
)
def test_options_of_the_method(method, options, expected):
    result = keywords(**TEXT, method=[method], options=options)
    expected = expected or {"of": "integrated_gradients", "of_options": {"steps": 4}}
    assert result == {"text": "a fine film", "method": [method], **expected}


@pytest.mark.parametrize("method", METHODS)
def test_every_option_of_every_method_can_be_set(method):
    from xai_nlp.core.registry import method_options

    options = {one.name: one.default for one in method_options(method) if one.default is not None}
    assert options.items() <= keywords(**TEXT, method=[method], options=options).items()


@pytest.mark.parametrize(
    ("task", "values", "error", "message"),
    [
        ("classify", {}, InvalidInput, "text is empty: text classification needs text"),
        ("classify", {"text": " \n"}, InvalidInput, "text is empty"),
        ("classify", {"text": "a", "context": "b"}, InvalidInput, "context does not belong to text classification"),
        ("classify", {"text": "a", "answer": "b"}, InvalidInput, "answer does not belong"),
        ("qa", {"question": "a"}, InvalidInput, "context is empty"),
        ("qa", {"question": "a", "context": "b", "regions": "slic"}, InvalidInput, "regions does not belong"),
        ("qa", {"question": "a", "context": "b", "target": "strat"}, UnknownName, "Did you mean 'start'"),
        ("vqa", {"question": "a"}, InvalidInput, "image is empty"),
        ("classify", {"text": "a", "method": ["lime", "lime"]}, InvalidInput, "named twice"),
        ("classify", {"text": "a", "target": ["A", "B"]}, InvalidInput, "target takes one value here; got 2"),
        ("classify", {"text": "a", "method": "salience"}, UnknownName, "Did you mean 'saliency'"),
        ("classify", {"text": "a", "unit": "logits"}, UnknownName, "Did you mean 'logit'"),
        ("classify", {"text": "a", "options": {"stepz": 8}}, UnknownName, "Did you mean 'steps'"),
        ("classify", {"text": "a", "options": {"steps": "many"}}, InvalidInput, "steps is a whole number, or 'auto'"),
        ("classify", {"text": "a", "options": {"steps": 10**9}}, InvalidInput, "steps is at most 4,096 here"),
        ("classify", {"text": "a", "options": {"tolerance": "nan"}}, InvalidInput, "tolerance is a number; got 'nan'"),
        ("classify", {"text": "a", "method": ["lime", "lrp"], "options": {"seed": 1}}, InvalidInput, "one method"),
        (
            "classify",
            {"text": "a", "method": "smoothgrad", "options": {"of": "lrp", "of_options": {"samples": 10**9}}},
            InvalidInput,
            "of_options.samples is at most",
        ),
        (
            "classify",
            {"text": "a", "method": "smoothgrad", "options": {"of": "lime", "of_options": '{"samples": 5000}'}},
            InvalidInput,
            "of_options.samples is at most",
        ),
        ("classify", {"text": "a", "txet": "b"}, UnknownName, "Did you mean 'text'"),
        ("classify", {"text": "a", "batch_size": 4}, UnknownName, "unknown field 'batch_size'"),
        ("classify", {"text": "a", "progress": "x"}, UnknownName, "unknown field 'progress'"),
    ],
)
def test_requests_that_do_not_fit(task, values, error, message):
    with pytest.raises(error, match=message):
        keywords(task, **values)


@pytest.mark.parametrize("regions", ["grid:500", "../x"])
def test_regions_that_cannot_be(regions, models):
    request = request_schema()(model="vqa", image=png(64, 64), question="what?", regions=regions)
    with pytest.raises(InvalidInput, match="regions"):
        models.explain(request, on_pass=lambda: None, progress=None)


@pytest.mark.parametrize(
    "values",
    [{"text": 5}, {"text": None, "model": None}, {"method": []}, {"method": ["lime"] * 7}, {"layers": "yes"},
     {"layers": 1}, {"text": "x" * 20_001}, {"target": "x" * 501}, {"method": 5}, {"image": 5}, {"layer": "1"},
     {"max_length": 10**9}, {"options": [1]}, {"options": None}],
)  # fmt: skip
def test_values_of_another_kind(values):
    with pytest.raises(ValidationError):
        request_schema()(**{**TEXT, **values})


def test_images():
    assert image_bytes(png()).startswith(b"\x89PNG")
    for kind in ("JPEG", "WEBP", "GIF", "BMP"):
        assert image_bytes(png(kind=kind))
    few = Limits(image=100, pixels=20)
    with pytest.raises(InvalidInput, match="at most 100"):
        image_bytes(base64.b64encode(b"x" * 101).decode(), few)
    with pytest.raises(InvalidInput, match="5 × 5 pixels"):
        image_bytes(png(5, 5), few)
    for content in (b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>", b"GIF89a", b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(InvalidInput, match="no image of a kind"):
            image_bytes(base64.b64encode(content).decode())
    with pytest.raises(InvalidInput, match="no image of a kind"):
        image_bytes(png(kind="TIFF"))  # a kind that nobody needs here
    with pytest.raises(InvalidInput, match="base64"):
        image_bytes("no base64!")


def test_images_are_told_from_texts_and_a_title_is_the_first_text():
    request = request_schema()(model="vqa", image=png(), question="What  colour?")
    assert request.images == {"image": png()}
    assert request.title == "What colour?"
    assert len(request_schema()(model="sentiment", text="x" * 100).title) == 80


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("text is empty: text classification needs text.", "text"),
        ("unknown label 'POSITVE'. Known: NEGATIVE, POSITIVE, text.", "target"),  # the value that it repeats
        ("steps is a whole number, or 'auto'; got 'many'.", "options.steps"),
        ("the image has 9 bytes; at most 8 are read.", "image"),
        ("unknown method 'salience'.", "method"),
        ("something broke.", ""),
    ],
)
def test_an_error_is_about_a_field(message, field):
    request = request_schema()(**TEXT, target="POSITVE", method="salience", options={"steps": "many"})
    assert request.field_of(message) == field


def test_errors_about_a_request_name_the_field():
    request = request_schema()(**{**TEXT, "text": " "})
    with pytest.raises(FieldError, match="text is empty") as caught, field_errors(request):
        request.keywords(find_task("classify"))
    assert caught.value.field == "text"


def test_options_in_a_few_words():
    request = request_schema()(**TEXT, target="A", baseline="mask", layers=True, method="lime", options={"samples": 8})
    assert request.summary == "baseline mask · layers · samples 8"
    assert request_schema()(**TEXT).summary == ""


def test_rows_are_named_and_take_no_inputs():
    request = request_schema()(model="sentiment", unit="logit")
    assert RowsRequest(request, [Record(0, {"text": "a"})], "a.csv").title == "1 row of a.csv"
    assert request.keywords(find_task("classify"), of_rows=True) == {
        "unit": "logit",
        "method": ["integrated_gradients"],
    }
    with pytest.raises(ValidationError):
        rows_schema()(request={"model": "sentiment"}, numbers=list(range(LIMITS.rows_at_once + 1)))
