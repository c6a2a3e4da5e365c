"""Checks that run the model; planted faults go through all of them in test_doctor.py."""

import pytest

import xai_nlp
from tests.models import faulty
from tests.models.tiny import tiny
from tests.recipes.architectures import MODELS
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.tasks import pass_checks
from xai_nlp.tasks.probe import Probe


@pytest.fixture
def probed():
    """A probe of a model that is in evaluation mode and frozen until the test ends."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def make(explainer, **example):
            stack.enter_context(frozen_model(explainer.model, evaluate=True))
            return Probe(explainer, example or explainer.example())

        yield make


def test_a_prediction_says_what_is_explained(probed):
    check = pass_checks.prediction(probed(xai_nlp.load("sentiment")))
    assert check.sentence == "Equal passes give equal outputs; explained is 'POSITIVE'."


def test_names_of_embeddings_are_told(probed):
    probe = probed(xai_nlp.load(*tiny("bert")))
    assert pass_checks.embeddings(probe).sentence == (
        "Replacing embeddings.word_embeddings or embeddings changes the prediction."
    )
    assert pass_checks.parts(probe).sentence == "Replacing those of position or type changes the prediction."
    rotary = probed(xai_nlp.load(*tiny("llama")))
    assert pass_checks.parts(rotary).sentence == "Positions are relative or rotary: there is no table of them."


def test_what_does_not_apply_is_left_out(probed):
    picture, words = probed(MODELS["vit", "image-classification"]()), probed(xai_nlp.load(*tiny("bert")))
    for check in (pass_checks.embeddings, pass_checks.parts, pass_checks.padding):
        assert check(picture) is None
    assert pass_checks.image(words) is None
    assert pass_checks.image(picture).sentence == "Replacing 'pixel_values' changes the prediction."


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (("bert", "text-classification"), "2 layers, known by name"),
        (("opt", "text-classification"), "2 layers, inferred from the modules"),
        (("resnet", "image-classification"), "2 layers, inferred"),
    ],
)
def test_layers_are_counted(probed, key, words):
    check = pass_checks.layers(probed(MODELS[key]()))
    assert check.level == "ok" and check.sentence.startswith(words) and check.measured == {"layers": 2}


def test_a_model_whose_layers_are_not_known_is_warned_about(probed):
    import torch

    model, tokenizer = tiny("opt", fresh=True)
    model.model.decoder.layers = torch.nn.Sequential(*model.model.decoder.layers)  # no list of layers
    explainer = xai_nlp.load(model, tokenizer)
    check = pass_checks.layers(probed(explainer))
    assert check.level == "warning" and "Layout" in check.fix


def test_attention_is_counted_and_none_is_fine_where_there_is_none(probed):
    check = pass_checks.attention(probed(xai_nlp.load(*tiny("bert"))))
    assert check.level == "ok" and check.measured == {"matrices": 2, "heads": 4, "idle": 0}
    check = pass_checks.attention(probed(MODELS["resnet", "image-classification"]()))
    assert check.level == "ok" and check.sentence.startswith("resnet computes no attention over the whole input")


def test_the_difference_quotient_tells_another_length_and_direction(probed):
    probe = probed(xai_nlp.load(*tiny("bert")))
    (gradient,) = probe.subject.problem().slope_at_x().gradients
    apart = pass_checks._apart_from_quotient
    assert apart(probe, [gradient[:, 0]]) < 0.01
    assert apart(probe, [2 * gradient[:, 0]]) == pytest.approx(0.5, abs=0.01)
    assert apart(probe, [gradient[:, 0].roll(1, -1)]) > 0.3


def test_rounding_hides_slopes_of_few_digits(probed):
    check = pass_checks.gradients(probed(xai_nlp.load(*faulty.half_precision()), text="a dull film"))
    assert check.level == "ok" and "quotient" not in check.sentence


def test_an_input_of_its_own_batch_is_not_padded(probed):
    check = pass_checks.padding(probed(MODELS["llava", "visual-question-answering"]()))
    assert check.sentence == "Each input is a batch of its own: nothing is padded."


def test_the_first_sentence_of_a_message():
    assert pass_checks.first_sentence("no such layer; got 1.5. Take another. Or none.") == "no such layer; got 1.5."
    assert pass_checks.first_sentence("broken") == "broken."
