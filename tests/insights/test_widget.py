"""The widget without a browser: its explanations, its settings, and its errors."""

import subprocess
import sys

import pytest

import xai_nlp
from tests.insights.networks import numbers
from xai_nlp.errors import InvalidInput
from xai_nlp.insights import Insights

DATA = [
    {"text": "a gripping, beautifully acted film", "label": "POSITIVE"},
    {"text": "a dull mess", "label": "POSITIVE"},
    ("a dull film", "but well acted"),
    "too long",
]


def texts(widget):
    return [why.segments[0] for why in widget.explanations]


def test_texts_are_explained_and_judged(sentiment):
    shown = Insights(sentiment, DATA)
    assert texts(shown) == ["a gripping, beautifully acted film", "a dull mess", "a dull film", "too long"]
    assert shown.explanations[1].gold == ("POSITIVE",)
    assert "gripping" in shown.html
    assert shown.choices["targets"] == ["predicted", "NEGATIVE", "POSITIVE"]
    assert shown.choices["judged"]
    assert {"integrated_gradients", "occlusion", "shapley"} <= set(shown.choices["methods"])
    assert repr(shown) == "<Insights: 4 explanations, integrated_gradients>"


def test_tables_of_every_kind_are_examples(sentiment, tmp_path):
    (tmp_path / "reviews.csv").write_text("Sentence,label\na dull mess,0\n")
    for data in (tmp_path / "reviews.csv", {"review": ["a dull mess"], "sentiment": ["negative"]}):
        shown = Insights(sentiment, data)
        assert texts(shown) == ["a dull mess"]
        assert shown.explanations[0].gold == ("NEGATIVE",)


def test_another_method_explains_the_same_texts(sentiment):
    shown = Insights(sentiment, DATA, examples=2)
    before = shown.html
    shown.request = {"method": "occlusion", "target": "NEGATIVE", "arguments": {"baseline": "mask"}}
    assert texts(shown) == ["a gripping, beautifully acted film", "a dull mess"]
    assert {why.method for why in shown.explanations} == {"occlusion"}
    assert {why.baseline for why in shown.explanations} == {"mask"}
    assert {why.target.label for why in shown.explanations} == {"NEGATIVE"}
    assert shown.html != before
    assert (shown.settings["method"], shown.busy, shown.problem) == ("occlusion", False, "")


def test_more_and_filters(sentiment):
    shown = Insights(sentiment, DATA, examples=2)
    shown.request = {"more": True}
    assert texts(shown) == ["a dull film", "too long"]
    shown.request = {"more": True, "prediction": "incorrect", "classes": ["NEGATIVE"], "examples": 1}
    assert texts(shown) == ["a dull mess"]


def test_an_error_is_reported_and_the_explanations_stay(sentiment):
    shown = Insights(sentiment, DATA[:1])
    before, settings = shown.html, shown.source.settings
    shown.request = {"method": "nope"}
    assert "unknown method 'nope'" in shown.problem
    assert (shown.html, shown.source.settings, shown.busy) == (before, settings, False)
    shown.request = {"method": "occlusion"}
    assert shown.problem == ""


def test_questions_and_two_models():
    rows = [{"question": "Who wrote it?", "context": "Ada Lovelace wrote it.", "answer": "Ada Lovelace"}]
    shown = Insights(["qa", "qa"], rows)
    assert [why.prediction for why in shown.explanations] == ["Ada Lovelace"] * 2
    assert 'data-right="right"' in shown.html and '<span class="pill good">right</span>' in shown.html
    assert shown.choices["classes"] == []


def test_any_model_through_a_visualizer():
    shown = Insights(numbers([[3.0, 1.0]], [0]))
    assert shown.explanations[0].scores == pytest.approx((3.0, 0.0))
    shown.request = {"method": "Saliency"}
    assert shown.explanations[0].scores == pytest.approx((1.0, 0.0))
    assert shown.choices["methods"]["Integrated Gradients"][0]["least"] == 2


def test_static_html_is_complete(sentiment):
    html = Insights(sentiment, DATA[:1]).static_html()
    assert 'data-xai-nlp-static="' in html
    assert "<style>" in html
    assert "gripping" in html


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Insights("sentiment"), "needs data"),
        (lambda: Insights("sentiment", []), "has no rows"),
        (lambda: Insights([], ["x"]), "needs a model"),
        (lambda: Insights("sentiment", [3]), "a text, a tuple or a mapping"),
        (lambda: Insights("sentiment", [{"txt": "x"}]), "no column for text"),
        (lambda: Insights(numbers([[3.0, 1.0]], [0]), ["x"]), "leave `data` out"),
    ],
)
def test_what_cannot_be_shown(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_it_is_a_name_of_the_package():
    assert xai_nlp.Insights is Insights


def test_without_anywidget_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['anywidget'] = None\n"
        "from xai_nlp.insights import AttributionVisualizer\n"
        "import xai_nlp\n"
        "try: xai_nlp.Insights\n"
        "except xai_nlp.errors.Unsupported as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install '.[notebook]'" in done.stdout, done.stderr
