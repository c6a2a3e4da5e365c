"""Prediction and explanation from one pass: the same explanations, and half as many forward passes."""

from unittest.mock import patch

import numpy as np
import pytest
import torch

import xai_nlp
from tests.tasks.new_tasks import explainer_of
from tests.tasks.passes import rows_counted
from xai_nlp.data.scenes import labelled_scenes
from xai_nlp.errors import InvalidInput
from xai_nlp.methods import METHODS
from xai_nlp.tasks import run
from xai_nlp.tasks.one_pass import TargetOfOutputs

TEXTS = ["a gripping, beautifully acted film", "dull", "too long, and the plot is thin and lifeless", "fine"] * 3
LOOK_AT_X = sorted(name for name, method in METHODS.items() if method().looks_at_x_first)


def in_two_passes(explain):
    with patch.object(run, "takes_one_pass", lambda *_: False):
        return explain()


def assert_same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert (a.target, a.segments, a.tokens, a.params) == (b.target, b.segments, b.tokens, b.params)
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
        assert a.value == pytest.approx(b.value, abs=1e-5)
        assert a.outputs == pytest.approx(b.outputs, abs=1e-6)


def test_the_methods_that_look_at_x_first():
    assert {"saliency", "attention_rollout", "attention_x_gradient", "integrated_gradients"} <= {*LOOK_AT_X}
    assert not {"occlusion", "deep_lift", "conductance"} & {*LOOK_AT_X}
    assert not METHODS["integrated_gradients"](steps=20).looks_at_x_first


@pytest.mark.parametrize("method", LOOK_AT_X)
def test_explanations_are_those_of_two_passes(sentiment, method):
    def explain():
        return sentiment.explain(TEXTS, method=method)

    assert_same(explain(), in_two_passes(explain))


@pytest.mark.parametrize("target", ["NEGATIVE", "all", "POSITIVE-NEGATIVE", ["NEGATIVE", None, "POSITIVE", 0] * 3])
def test_any_target(sentiment, target):
    def explain():
        return sentiment.explain(TEXTS, method="saliency", target=target, batch_size=2)

    assert_same(explain(), in_two_passes(explain))


@pytest.mark.parametrize("method", ["saliency", "guided_backprop", "grad_cam"])
def test_images(method):
    explainer = xai_nlp.load("image")
    images = [one.scene.image() for one in labelled_scenes(3, seed=2)]

    def explain():
        return explainer.explain(images, method=method)

    assert_same(explain(), in_two_passes(explain))


@pytest.mark.parametrize(
    "options", [{"layers": True}, {"attention": True}, {"layer": 1}, {"parts": True}, {"steps": 12}]
)
def test_integrated_gradients_with_any_option(sentiment, options):
    """Their first pass is not at x with layers and matrices: the baseline would be taken for the text."""
    found = sentiment.explain(TEXTS[:3], **options)
    other = in_two_passes(lambda: sentiment.explain(TEXTS[:3], **options))
    assert_same(found, other)
    assert {why.prediction for why in found} == {"POSITIVE", "NEGATIVE"}


def test_each_text_passes_the_model_once(sentiment):
    with rows_counted(sentiment.model.bert.encoder) as rows:
        sentiment.explain(TEXTS, method="input_x_gradient")
    assert sum(rows) == len(TEXTS)
    with rows_counted(sentiment.model.bert.encoder) as rows:
        in_two_passes(lambda: sentiment.explain(TEXTS, method="input_x_gradient"))
    assert sum(rows) == 2 * len(TEXTS)


def test_long_texts_and_several_methods_take_their_own_pass(sentiment):
    long = ["fine film " * 400, "dull"]
    found = sentiment.explain(long, method="saliency")
    assert found[0].params["windows"] > 1
    names = [why.method for why in sentiment.explain(TEXTS[:2], method=["saliency", "input_x_gradient"])]
    assert names == ["saliency", "input_x_gradient"] * 2


def test_several_targets_of_an_example_take_their_own_pass():
    explainer = explainer_of("bert", "token-classification", id2label={0: "O", 1: "B-PER"})
    found = explainer.explain(["The film was great", "Who wrote it"], entity="all", method="saliency")
    assert len(found) > 2


def test_a_verdict_is_about_the_same_text(sentiment):
    def explain():
        return sentiment.explain(TEXTS[:4], method="saliency", trust=True)

    levels = [[(one.trust.level, str(one.trust)) for one in found] for found in (explain(), in_two_passes(explain))]
    assert levels[0] == levels[1] and len(set(levels[0])) > 1


def test_a_target_stays_as_it_was_fixed(sentiment):
    request = sentiment.request({"text": ["a gripping film"]}, {"method": "saliency"})
    target = TargetOfOutputs(sentiment, request, sentiment.encode(request), [0])
    assert target(torch.tensor([[1.0, 3.0]]), torch.tensor([0])).tolist() == [[3.0]]  # the larger of both
    assert target(torch.tensor([[5.0, 4.0]]), torch.tensor([0])).tolist() == [[4.0]]  # the same one, though smaller


def test_a_broken_output_names_its_example(sentiment):
    def broken(module, arguments, output):
        output.logits[:] = torch.where(torch.arange(len(output.logits))[:, None] == 1, torch.nan, output.logits)
        return output

    handle = sentiment.model.register_forward_hook(broken)
    try:
        with pytest.raises(InvalidInput, match="NaN or infinity for example 1"):
            sentiment.explain(["a film", "a plot", "a mess"], method="saliency")
    finally:
        handle.remove()
