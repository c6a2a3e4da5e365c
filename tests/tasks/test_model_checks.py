"""Checks without a pass: tokenizer, vocabulary, weights, dtype, quantisation, devices, mode."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import xai_nlp
from tests.models import faulty
from tests.models.tiny import RECIPES, tiny
from xai_nlp.tasks import model_checks
from xai_nlp.tasks.probe import Probe


def probe_of(model, tokenizer, text="a dull film", **more):
    return Probe(xai_nlp.load(model, tokenizer), {"text": text}, **more)


@pytest.mark.parametrize("text", ["a dull film", "naïve café,\n über-cool!", "A  GRIPPING, beautifully acted film"])
@pytest.mark.parametrize("name", RECIPES)
def test_offsets_of_every_tokenizer_are_right(name, text):
    check = model_checks.tokenizer(probe_of(*tiny(name), text=text))
    assert check.level == "ok", check.sentence


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.kind == "bytes"])
def test_a_token_may_be_a_part_of_a_character(name):
    check = model_checks.tokenizer(probe_of(*tiny(name), text="映画 🎬 ẞ"))
    assert check.level == "ok", check.sentence


def test_wrong_offsets_are_counted():
    check = model_checks.tokenizer(probe_of(*faulty.wrong_offsets(), text="a dull film"))
    assert check.level == "error" and "use_fast=True" in check.fix
    assert "letters belong to a token" in check.sentence


def test_offsets_of_the_neighbour_are_wrong():
    """All letters belong to a token, and not to the right one."""
    probe = probe_of(*tiny("bert"))
    (window,) = probe.windows
    offsets = window.offsets.copy()
    offsets[1:-1] = np.roll(offsets[1:-1], 1, axis=0)
    vars(probe)["windows"] = [replace(window, offsets=offsets)]
    check = model_checks.tokenizer(probe)
    assert check.level == "error" and "9 of 9 letters" in check.sentence


def test_tokens_without_a_vector():
    model, tokenizer = faulty.table_too_small()
    check = model_checks.vocabulary(probe_of(model, tokenizer))
    assert check.measured == {"tokens": 97, "vectors": 95}
    assert "##ing, ##ed" in check.sentence and "resize_token_embeddings" in check.fix
    sound = model_checks.vocabulary(probe_of(*tiny("bert")))
    assert (sound.level, sound.sentence) == ("ok", "Each of the tokenizer's 97 tokens has a vector.")


def test_an_image_needs_no_tokenizer():
    probe = Probe(xai_nlp.load("image"), {})
    assert model_checks.tokenizer(probe) is None and model_checks.vocabulary(probe) is None


@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
def test_broken_weights_are_named(number):
    model, tokenizer = faulty.model()
    model.classifier.bias.data[1] = number
    check = model_checks.weights(probe_of(model, tokenizer))
    assert check.level == "error" and "classifier.bias" in check.sentence and check.measured == {"broken": 1}


def test_running_statistics_are_numbers_too():
    model, tokenizer = faulty.model()
    model.norm = nn.BatchNorm1d(2)
    model.norm.running_var[0] = torch.nan
    assert "norm.running_var" in model_checks.weights(probe_of(model, tokenizer)).sentence


def test_weights_are_counted():
    model, tokenizer = tiny("bert")
    check, count = model_checks.weights(probe_of(model, tokenizer)), sum(t.numel() for t in model.parameters())
    assert check.sentence == f"All {count:,} numbers are finite."
    assert check.measured == {"parameters": count, "bytes": 4 * count}


@pytest.mark.parametrize(
    ("dtype", "level"),
    [(torch.float32, "ok"), (torch.float64, "ok"), (torch.float16, "warning"), (torch.bfloat16, "warning")],
)
def test_few_digits_are_a_warning(dtype, level):
    model, tokenizer = faulty.model()
    assert model_checks.dtype(probe_of(model.to(dtype), tokenizer)).level == level


@pytest.mark.filterwarnings("ignore")
def test_quantisation_shows_in_modules_and_in_the_config():
    check = model_checks.quantisation(probe_of(*faulty.int8()))
    assert check.level == "warning" and check.measured["modules"] == 14
    assert "_packed_params" not in check.sentence
    model, tokenizer = faulty.model()
    assert model_checks.quantisation(probe_of(model, tokenizer)).level == "ok"
    model.config.quantization_config = {"quant_method": "gptq"}
    assert "by gptq" in model_checks.quantisation(probe_of(model, tokenizer)).sentence


def test_offloaded_weights_are_a_warning():
    weights = [torch.zeros(2), torch.zeros(2, device="meta")]
    model = SimpleNamespace(parameters=lambda: weights, buffers=list)
    check = model_checks.devices(SimpleNamespace(explainer=SimpleNamespace(model=model)))
    assert check.level == "warning" and check.sentence.startswith("1 weights are offloaded, and come to cpu")
    assert model_checks.devices(probe_of(*tiny("bert"))).sentence == "The weights are on cpu."


def test_training_mode_counts_dropout():
    model, tokenizer = faulty.model()
    check = model_checks.evaluation_mode(probe_of(model, tokenizer, training=["classifier", "dropout"]))
    assert check.sentence.startswith("2 modules, 1 of them dropout")
    assert check.fix.startswith("model.eval()")


def test_long_lists_are_cut():
    assert model_checks.listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert model_checks.listed([""]) == "the model itself"
