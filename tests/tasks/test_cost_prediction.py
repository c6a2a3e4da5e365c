"""The cost of a long text, predicted from shorter ones: against the text itself, and against counted bytes."""

from contextlib import ExitStack

import pytest
import torch

import xai_nlp
from tests.models.tiny import MAX_POSITIONS, tiny
from tests.recipes.architectures import MODELS
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.tasks import cost_prediction
from xai_nlp.tasks.cost_prediction import RowCost, cost, full_length, predicted, row_cost
from xai_nlp.tasks.probe import Probe


def probe_of(name, task="text-classification"):
    explainer = MODELS[name, task]()
    return Probe(explainer, {"text": "a dull film"} if task == "text-classification" else explainer.example())


@pytest.fixture(autouse=True)
def frozen():
    """Models are frozen while they are probed."""
    models = [tiny(name)[0] for name in ("bert", "deberta", "distilbert", "t5")]
    with ExitStack() as stack:
        for model in models:
            stack.enter_context(frozen_model(model, evaluate=True))
        yield


def longest(probe):
    more = MAX_POSITIONS - len(probe.window)
    while True:
        window = probe.longer(more)
        if len(window) <= MAX_POSITIONS:
            return window
        more -= 1


@pytest.mark.parametrize("name", ["bert", "deberta", "distilbert", "t5"])
def test_bytes_of_the_longest_text_are_those_predicted_from_half_of_it(name, monkeypatch):
    """Of DeBERTa they are quadratic: it keeps its scores of attention."""
    monkeypatch.setattr(cost_prediction, "LONGEST", MAX_POSITIONS // 2)
    probe = probe_of(name)
    costs = [row_cost(probe, window) for window in cost_prediction._windows(probe, MAX_POSITIONS)]
    assert max(one.length for one in costs) <= MAX_POSITIONS // 2
    measured = row_cost(probe, longest(probe))
    assert measured.length > MAX_POSITIONS - 8
    assert predicted(probe, costs, measured.length).bytes == pytest.approx(measured.bytes, rel=0.03)


def test_bytes_are_those_that_the_graph_keeps():
    """Of one linear layer behind tanh, tanh's output is kept, and the weights are not counted."""
    probe = probe_of("bert")
    model = probe.explainer.model
    whole = row_cost(probe, probe.window).bytes
    assert whole < sum(t.numel() for t in model.parameters())  # a quarter of the weights' bytes
    keeps_more = torch.nn.Sequential(model.classifier, torch.nn.Tanh())
    classifier, model.classifier = model.classifier, keeps_more
    try:
        assert row_cost(probe, probe.window).bytes == whole + 2 * 4  # two logits of four bytes
    finally:
        model.classifier = classifier


def test_a_text_that_became_too_long_is_no_measure():
    """BLIP's tokenizer is not told how long a question may be."""
    probe = probe_of("blip", "visual-question-answering")
    assert cost_prediction._read(probe, 0, 24) is probe.window
    assert len(cost_prediction._read(probe, 4, 24)) == len(probe.window) + 4
    assert cost_prediction._read(probe, 100, 24) is None
    fills = probe_of("bert", "fill-mask")
    assert cost_prediction._read(fills, 1000, MAX_POSITIONS) is None  # it is refused


def test_seconds_rise_with_the_products_of_a_pass():
    probe = probe_of("bert")
    costs = [RowCost(16, 1000, 1.0), RowCost(32, 2000, 2.0), RowCost(64, 4000, 4.0)]
    twice = predicted(probe, costs, 128)
    assert twice.bytes == pytest.approx(8000)
    weights = sum(t.numel() for t in probe.explainer.model.parameters()) - 97 * 32  # but for the table of words
    products = [n * weights + n * n * 2 * 32 * 2 for n in (16, 64, 128)]  # width 32, two layers
    slope = min(3 / (products[1] - products[0]), 4 / products[1])
    assert twice.seconds == pytest.approx(4 + slope * (products[2] - products[1]))
    assert predicted(probe, costs, 64) == costs[-1]
    flat = [RowCost(16, 1000, 4.0), RowCost(64, 4000, 4.0)]
    assert predicted(probe, flat, 128).seconds == 4.0


def test_the_full_length_is_the_smallest_limit():
    bert = probe_of("bert")
    assert full_length(bert) == MAX_POSITIONS
    assert full_length(probe_of("resnet", "image-classification")) is None
    model, tokenizer = tiny("llama", fresh=True)  # positions are rotary
    tokenizer.model_max_length = 10**30
    explainer = xai_nlp.load(model, tokenizer)
    assert full_length(Probe(explainer, explainer.example())) == cost_prediction.LONG


def test_a_text_that_does_not_fit_is_a_warning_with_a_size_that_does(monkeypatch):
    probe = probe_of("bert")
    fine = cost(probe)
    assert fine.level == "ok" and fine.sentence.startswith("A text of 64 tokens takes about")
    assert fine.measured["rows"] == cost_prediction.POINTS
    monkeypatch.setattr(cost_prediction, "_memory", lambda device: fine.measured["bytes"] / 4)
    check = cost(probe)
    assert check.level == "warning" and "The machine has" in check.sentence
    assert check.fix == "Explain with batch_size=4."  # an eighth of 33 rows: with room to spare


@pytest.mark.parametrize(("name", "task"), [("vilt", "visual-question-answering"), ("resnet", "image-classification")])
def test_images_have_one_size(name, task):
    check = cost(probe_of(name, task))
    assert check.level == "ok" and check.measured["bytes"] > 0
    assert check.sentence.startswith("An image" if name == "resnet" else "A text of 24 tokens")
