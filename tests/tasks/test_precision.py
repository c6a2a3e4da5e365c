"""`precision=`: passes of fewer digits, values of all, and which explanations get a better one."""

import copy
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from tests.tasks.passes import rows_counted
from xai_nlp.core.adaptive_quadrature import MIN_DIFFERENCE
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.hooks.precision import PRECISIONS
from xai_nlp.methods import find_method
from xai_nlp.tasks import precision
from xai_nlp.tasks.explanation_request import explanation_request
from xai_nlp.tasks.precision import is_within, precisions, quick
from xai_nlp.tasks.task import COMMON_OPTIONS
from xai_nlp.tasks.token_scores import attribute_batch

TEXTS = [
    "a gripping, beautifully acted film that never once talks down to its audience",
    "dull",
    "Not a bad film, but too long and rather dull in its second half",
    "the plot is thin , the jokes are old , and yet i laughed from beginning to end",
]


@pytest.fixture(autouse=True)
def has_bf16(monkeypatch):
    """Every processor has units for bf16 here."""
    monkeypatch.setattr(precision, "fast_precisions", lambda device: ["bf16", "float32"])


def errors(found, exact):
    return [
        np.abs(np.subtract(a.scores, b.scores)).max() / np.abs(b.scores).max()
        for a, b in zip(found, exact, strict=True)
    ]


def test_float32_is_what_torch_does_by_default(sentiment):
    exact, same = sentiment.explain(TEXTS), sentiment.explain(TEXTS, precision="float32")
    assert max(errors(same, exact)) < 1e-6
    assert [why.params.get("precision") for why in exact] == [None] * 4
    assert [why.params["precision"] for why in same] == ["float32"] * 4


@pytest.mark.parametrize(
    "method", ["integrated_gradients", "saliency", "occlusion", "attention_x_gradient", "deep_lift"]
)
def test_bf16_is_close_and_reports_values_in_float32(method, sentiment):
    options = {"method": method, **({"steps": 16} if method == "integrated_gradients" else {})}
    exact, low = sentiment.explain(TEXTS, **options), sentiment.explain(TEXTS, precision="bf16", **options)
    assert 1e-5 < max(errors(low, exact)) < 0.1
    for one, other in zip(low, exact, strict=True):
        assert one.outputs == pytest.approx(other.outputs, abs=1e-6)
        if method != "attention_x_gradient":
            assert (one.value, one.baseline_value) == pytest.approx((other.value, other.baseline_value), abs=1e-4)


def test_auto_gives_each_example_the_fastest_that_leaves_the_tolerance(sentiment):
    before = fingerprint(sentiment.model)
    exact = sentiment.explain(TEXTS)
    loose = sentiment.explain(TEXTS, precision="auto", tolerance=0.2)
    assert {why.params["precision"] for why in loose} == {"bf16"}
    none = sentiment.explain(TEXTS, precision="auto", tolerance=1e-4)
    assert {why.params["precision"] for why in none} == {"float32"}
    found = sentiment.explain(TEXTS, precision="auto")
    for why in found:
        assert abs(why.residual) <= 0.0101 * max(abs(why.explained), MIN_DIFFERENCE)
    assert max(errors(found, exact)) < 0.05
    assert fingerprint(sentiment.model) == before


def test_only_examples_beyond_the_tolerance_are_done_again(sentiment, monkeypatch):
    monkeypatch.setattr(
        "xai_nlp.tasks.run.is_within", lambda method, residual, explained: np.arange(len(residual)) != 1
    )
    with rows_counted(sentiment.model) as sizes:
        found = sentiment.explain(TEXTS, precision="auto", max_steps=9)
    assert [why.params["precision"] for why in found].count("float32") == 1
    again = next(why for why in found if why.params["precision"] == "float32")
    alone = sentiment.explain(again.segments[0], precision="float32", max_steps=9)
    assert again.scores == pytest.approx(alone.scores, abs=1e-5)
    assert sizes[-2:] == [2, 7]  # the ends of the path, and the points between


def test_progress_counts_a_window_once(sentiment, monkeypatch):
    monkeypatch.setattr(
        "xai_nlp.tasks.run.is_within", lambda method, residual, explained: np.zeros(len(residual), bool)
    )
    calls = []
    sentiment.explain(TEXTS, precision="auto", progress=lambda done, count: calls.append((done, count)))
    assert calls[-1] == (4, 4) and max(done for done, _ in calls) == 4


def test_auto_is_float32_where_nothing_tells_what_is_left(sentiment):
    model = sentiment.model
    for name, options in (
        ("saliency", {}),
        ("shapley", {}),
        ("internal_influence", {}),
        ("integrated_gradients", {"steps": 8}),
        ("integrated_gradients", {"multiply": False}),
        ("attention_integrated_gradients", {"steps": "auto"}),
    ):
        assert precisions("auto", find_method(name, options), model) == ["float32"]
    assert precisions("auto", find_method("conductance"), model) == ["bf16", "float32"]
    assert precisions(None, find_method("conductance"), model) == [None]


def test_forms_offer_what_there_is():
    (option,) = [one for one in COMMON_OPTIONS if one.name == "precision"]
    assert set(option.choices) == {"auto", *PRECISIONS}


def test_what_the_weights_do_not_have_is_refused():
    explainer = xai_nlp.load(*tiny("bert"))
    with pytest.raises(InvalidInput, match="NVIDIA"):
        explainer.explain("a film", precision="tf32")
    with pytest.raises(UnknownName, match="auto, bf16"):
        explainer.explain("a film", precision="bf61")
    model, tokenizer = tiny("bert", fresh=True)
    half = xai_nlp.load(copy.deepcopy(model).bfloat16(), tokenizer)
    with pytest.raises(InvalidInput, match="dtype='float32'"):
        half.explain("a film", precision="bf16")
    assert half.explain("a film", precision="auto").scores == half.explain("a film").scores


def test_the_tolerance_is_of_the_method_and_counts_all_targets():
    method = find_method("integrated_gradients", {"tolerance": 0.1, "max_steps": 100})
    residual = np.array([[0.1, 0.0], [0.09, 0.0], [0.0, 0.004], [0.0, 0.006]])
    explained = np.array([[-0.9, 1], [-0.9, 1], [1, 0.0], [1, 0.0]])
    assert is_within(method, residual, explained).tolist() == [False, True, True, False]
    assert quick(method).max_steps == 65 and quick(find_method("conductance", {"max_steps": 17})).max_steps == 17


def test_noise_of_rounding_is_not_refined(sentiment, monkeypatch):
    tried = []

    def noted(method, subject, batch, options, precision):
        tried.append((precision, method.max_steps))
        return attribute_batch(method, subject, batch, options, precision)

    monkeypatch.setattr("xai_nlp.tasks.run.attribute_batch", noted)
    sentiment.explain(TEXTS[:1], precision="auto", tolerance=1e-5, max_steps=129)
    assert tried == [("bf16", 65), ("float32", 129)]


def test_a_verdict_is_asked_in_the_precision_of_the_explanation(sentiment):
    why = sentiment.explain(TEXTS[0], precision="bf16", steps=9)
    assert explanation_request(sentiment, why, {}).options.precision == "bf16"
    assert sentiment.trust(why).checks


def test_settings_of_the_process_are_those_before(sentiment):
    torch.set_float32_matmul_precision("high")
    try:
        seen = []

        @dataclass(frozen=True)
        class Noted(type(find_method("saliency"))):
            def scores(self, problem):
                seen.append(torch.get_float32_matmul_precision())
                return super().scores(problem)

        request = sentiment.request({"text": TEXTS[0]}, {"precision": "float32"})
        object.__setattr__(request, "methods", (Noted(),))
        from xai_nlp.tasks.run import explain

        explain(sentiment, request)
        assert seen == ["highest"] and torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
