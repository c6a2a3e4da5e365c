"""Explanations taken away and brought back."""

import base64
import csv
import io
import json
import math

import pytest
from PIL import Image

from tests.viz.images import written
from tests.viz.samples import HOSTILE, label, made
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.score_table import ScoreRow
from xai_nlp.errors import UnreadableFile
from xai_nlp.web.examples import examples
from xai_nlp.web.explain_request import request_schema
from xai_nlp.web.exports import read_back, to_csv, to_html, to_json, to_png

WHY = Explanations([made(text) for text in HOSTILE.values()])


@pytest.fixture(scope="module")
def results(models):
    """Explanations of each task, with layers, attention and a picture."""
    explanations = []
    for example in examples():
        options = {} if "image" in example else {"attention": True}
        request = request_schema()(**example, **options)
        explanations += models.explain(request, on_pass=lambda: None, progress=None)
    return Explanations(explanations)


def test_json_comes_back_equal(results):
    assert read_back(to_json(WHY)) == WHY
    assert read_back(to_json(results)) == results
    assert read_back(results[0].to_json(indent=1).encode()) == results[:1]


def test_the_table_has_every_number_in_full(results):
    lines = list(csv.DictReader(io.StringIO(to_csv(results).decode())))
    assert tuple(lines[0]) == ScoreRow._fields
    for number, item in enumerate(results, 1):
        own = [line for line in lines if line["explanation"] == str(number)]
        regions = item.image.scores if item.image else ()
        assert [float(line["score"]) for line in own] == [*item.scores, *regions]
        cut = [item.segments[int(line["segment"])][int(line["start"]) : int(line["end"])]
               for line in own if line["kind"] == "token" and line["segment"] != "-1"]  # fmt: skip
        tokens = [token for token, segment in zip(item.tokens, item.segment, strict=True) if segment >= 0]
        assert cut == tokens


def test_no_cell_of_the_table_is_a_formula():
    said = ['=HYPERLINK("http://evil.example")', "+1", "-1", "@SUM(A1)", "\tx", "plain"]
    text = " ".join(said)
    offsets = [(text.index(word), text.index(word) + len(word)) for word in said]
    why = made(
        text, [0.0] * 6, tokens=tuple(said), offsets=tuple(offsets), segment=(0,) * 6, target=label("=1+1"), model="@x"
    )
    cells = [
        cell for line in csv.DictReader(io.StringIO(to_csv(Explanations([why])).decode())) for cell in line.items()
    ]
    assert [value for name, value in cells if name == "text"] == [f"'{word}" for word in said[:-1]] + ["plain"]
    assert not [value for name, value in cells if name != "score" and value[:1] in ("=", "+", "@")]


def test_the_picture_has_all_of_them_one_under_the_other(results):
    with Image.open(io.BytesIO(to_png(results))) as column, Image.open(io.BytesIO(to_png(results[:1]))) as first:
        assert column.format == "PNG"
        assert column.height > first.height
        assert column.crop((0, 0, *first.size)).tobytes() == first.convert("RGB").tobytes()


def test_the_page_is_the_exported_one(results, tmp_path):
    results.to_html(tmp_path / "why.html")
    assert to_html(results) == (tmp_path / "why.html").read_bytes()


def changed(**values):
    data = json.loads(made().to_json())
    return json.dumps({**data, **values}).encode()


def with_image(data):
    image = {"data": data, "size": [2, 2], "boxes": [[0, 0, 2, 2]], "scores": [0.1], "grid": None, "shapes": None}
    return changed(image=image)


REFUSED = {
    "empty": b"",
    "not json": b"<html>",
    "not utf-8": b"\xff\xfe{}",
    "a number": b"5",
    "nothing": b"[]",
    "too many": b"[" + b",".join([b"{}"] * 101) + b"]",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "a long number": b"[" + b"9" * 10_000 + b"]",
    "another format": changed(format=99),
    "a field more": changed(evil=1),
    "tokens that are numbers": changed(tokens=[1, 2, 3, 4, 5]),
    "a token outside the text": changed(offsets=[[0, 0], [0, 1], [2, 99], [7, 11], [11, 11]]),
    "a token that ends before it starts": changed(offsets=[[0, 0], [1, 0], [2, 6], [7, 11], [11, 11]]),
    "a segment that is not there": changed(segment=[-1, 0, 7, 0, -1]),
    "a negative segment": changed(segment=[-1, 0, -2, 0, -1]),
    "scores that are texts": changed(scores=["a", "b", "c", "d", "e"]),
    "a score that is infinite": changed(scores=[0, 0, math.inf, 0, 0]),
    "a score more": changed(scores=[0.0] * 6),
    "outputs in a list": changed(outputs=[1, 2]),
    "outputs that are texts": changed(outputs={"POSITIVE": "<img>"}),
    "a method that is a list": changed(method=["x"]),
    "a target that is a text": changed(target="POSITIVE"),
    "a target of no kind": changed(target={"kind": "x", "label": "POSITIVE"}),
    "an answer outside": changed(answer=[0, [3, 999]]),
    "an answer of another kind": changed(answer="yes"),
    "params in a list": changed(params=[]),
    "layers in a file elsewhere": changed(layers={"shape": [1, 5], "file": "../../etc/passwd", "name": "x"}),
    "layers in a file here": changed(layers={"shape": [1, 5], "file": "x.safetensors", "name": "x"}),
    "layers of another shape": changed(layers={"shape": [9, 9], "float32": ""}),
    "layers that are enormous": changed(layers={"shape": [10**9, 10**9], "float32": ""}),
    "attention of nothing": changed(attention={"self": {}}),
    "a picture that is a page": with_image("PGh0bWw+PHNjcmlwdD4="),
    "a picture that is SVG": with_image("PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="),
    "a picture that is no base64": with_image("%%%"),
    "pickle": b"\x80\x04\x95\x17\x00\x00\x00",
}


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused_in_a_sentence(name):
    with pytest.raises(UnreadableFile) as caught:
        read_back(REFUSED[name])
    assert 10 < len(str(caught.value)) < 1000


def test_the_unchanged_one_is_read():
    assert len(read_back(with_image(base64.b64encode(written(Image.new("RGB", (2, 2)))).decode()))) == 1
    assert read_back(changed()) == Explanations([made()])  # so that the table above fails for its changes
