"""A model at one input: outputs compared, texts made longer, tensors replaced."""

import pytest
import torch
from torch import tensor

import xai_nlp
from tests.models import faulty
from tests.models.tiny import tiny
from xai_nlp.tasks.probe import Probe, difference, other_numbers


@pytest.fixture
def probe():
    explainer = xai_nlp.load(*tiny("bert"))
    return Probe(explainer, {"text": "a dull film"})


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (tensor([[1.0, 2.0]]), tensor([[1.0, 2.5]]), 0.5),
        (tensor([[1.0, 2.0]]), tensor([[1.0, 2.0, 9.0]]), 0.0),  # where both have entries
        (tensor([[-torch.inf, 2.0]]), tensor([[-torch.inf, 2.0]]), 0.0),
        (tensor([[torch.nan]]), tensor([[1.0]]), torch.finfo(torch.float32).max),
        (torch.zeros(1, 0), torch.zeros(1, 0), 0.0),
    ],
)
def test_outputs_are_compared_where_both_have_entries(one, other, apart):
    assert difference(one, other) >= apart if apart > 1 else difference(one, other) == apart


def test_the_output_is_the_models_own(probe):
    expected = probe.explainer.model(**probe.explainer.tokenizer("a dull film", return_tensors="pt")).logits.detach()
    assert difference(probe.output, expected) < 1e-6
    assert probe.noise == 0
    assert probe.is_same(probe.output + probe.rounding / 2) and not probe.is_same(probe.output + 2 * probe.rounding)


def test_rounding_follows_the_dtype_and_the_size_of_the_outputs():
    explainer = xai_nlp.load(*faulty.half_precision())
    rough, size = Probe(explainer, {"text": "a dull film"}), 0.05
    assert rough.rounding == pytest.approx(size * max(0.1, float(rough.output.abs().max())))


def test_a_random_model_has_noise():
    assert Probe(xai_nlp.load(*faulty.random_output()), {"text": "a dull film"}).noise > 0.01


def test_a_text_is_made_longer_by_its_own_words(probe):
    window = probe.longer(2)
    assert list(window.inputs["input_ids"]) == probe.explainer.tokenizer("a dull film a dull")["input_ids"]
    assert probe.longer(0).inputs == probe.window.inputs
    assert probe.share_a_batch(window)


def test_inputs_that_make_an_example_longer():
    answers = xai_nlp.load(*tiny("bert", task="question-answering"), task="question-answering")
    assert Probe(answers, answers.example()).repeated_inputs == ("context",)
    assert Probe(xai_nlp.load("image"), {}).repeated_inputs == ()


def test_replacing_a_tensor_moves_the_output_or_not(probe):
    points = probe.explainer.points
    assert probe.moves_output([points.word], other_numbers)
    assert not probe.moves_output([points.word], torch.clone)
    assert not probe.moves_output([points.word], other_numbers, reference=_replaced(probe, points.word))


def _replaced(probe, point):
    from xai_nlp.hooks.points import edit

    with edit({point: other_numbers}):
        return probe.run(probe.batch)


def test_other_numbers_are_as_large_and_the_same_at_each_call():
    given = torch.arange(2000.0).view(1, 2000)
    other = other_numbers(given)
    assert torch.equal(other, other_numbers(given)) and other.shape == given.shape
    assert float(other.std()) == pytest.approx(float(given.std()), rel=0.1)
    assert (other != given).any()
