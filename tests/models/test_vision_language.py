"""Vision-language families: prompts, positions of words and patches, answers."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.models.tiny_vision_language import FAMILIES, GIVEN_FEATURES, loaded
from xai_nlp.core.result import SPECIAL
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.models.images import read_image
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.models.vision_language import GenerativeVisionModel, offsets_within, vision_language_model

QUESTION = "what colour is the star"
GENERATIVE = ("blip", "llava", "paligemma", "qwen2_vl", "idefics3")
IMAGE = read_image(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))


def family_of(name):
    return vision_language_model(loaded(name).model, loaded(name).processor)


@pytest.mark.parametrize("name", GENERATIVE)
def test_the_prompt_holds_the_question_and_then_the_answer(name):
    family = family_of(name)
    assert isinstance(family, GenerativeVisionModel)
    prompt = family.build_prompt(IMAGE, QUESTION, "red star", 5)
    words = [QUESTION[a:b] for (a, b), s in zip(prompt.offsets.tolist(), prompt.segment, strict=True) if s != SPECIAL]
    assert " ".join(words) == QUESTION
    assert prompt.answer_ids == tuple(family.generator.tokenize_answer("red star"))
    ids = prompt.inputs["input_ids"]
    assert len(prompt) == len(ids) == len(prompt.tokens)
    if name == "blip":  # whose decoder takes the answer
        assert ids == family.processor.tokenizer(QUESTION)["input_ids"]
    else:
        assert tuple(ids[-2:]) == prompt.answer_ids
        assert all(s == SPECIAL for s in prompt.segment[-2:])
    assert prompt.image[family.image_argument].shape[0] == 1


@pytest.mark.parametrize("name", GENERATIVE[1:])  # the tiny BLIP answers nothing
def test_the_models_own_answer_is_the_likeliest_token_by_token(name):
    family = family_of(name)
    prompt = family.build_prompt(IMAGE, QUESTION, None, 3)
    inputs = {n: torch.tensor([values]) for n, values in prompt.inputs.items()} | prompt.image
    with torch.no_grad():
        logits = family.answer_logits(inputs, prompt.answer_ids)
    assert logits.shape[:2] == (1, len(prompt.answer_ids))
    assert tuple(logits[0].argmax(-1).tolist()) == prompt.answer_ids


def test_answers_without_a_token(monkeypatch):
    family = family_of("llava")
    with pytest.raises(InvalidInput, match="the answer '' has no token"):
        family.build_prompt(IMAGE, QUESTION, "", 3)
    monkeypatch.setattr(type(family.generator), "generate", lambda *_, **__: [])
    with pytest.raises(InvalidInput, match="the model answered nothing"):
        family.build_prompt(IMAGE, QUESTION, None, 3)


@pytest.mark.parametrize("name", ["vilt", "visual_bert"])
def test_words_and_regions_in_one_sequence(name):
    """As many positions as the model's own hidden states have, words first."""
    family, model = family_of(name), loaded(name).model
    ids = {"input_ids": torch.tensor([[5, 6, 7]]), "attention_mask": torch.ones(1, 3, dtype=torch.long)}
    if name == "vilt":
        inputs = family.image_inputs(IMAGE)
        regions = family.patches(IMAGE).regions(IMAGE, "patches")
    else:
        inputs = family.region_inputs(torch.randn(1, 4, 12), torch.rand(1, 4, 4))
        regions = type("Regions", (), {"patch_regions": torch.arange(4)})()
    positions = family.sequence_positions(None, 3, regions)
    with torch.no_grad():
        hidden = model.base_model(**ids, **inputs).last_hidden_state
    joined = [*positions.words.tolist(), *positions.image_positions, *positions.patches.tolist()]
    assert joined == list(range(hidden.shape[1]))
    assert positions.patch_ids.flatten().tolist() == list(range(len(regions.patch_regions)))


@pytest.mark.parametrize("name", ["lxmert", "blip"])
def test_words_and_regions_in_different_sequences(name):
    regions = type("Regions", (), {"patch_regions": torch.arange(4)})()
    assert family_of(name).sequence_positions(None, 3, regions) is None


@pytest.mark.parametrize("name", ["llava", "paligemma", "qwen2_vl", "idefics3"])
def test_the_image_tokens_hold_all_patches(name):
    family = family_of(name)
    prompt = family.build_prompt(IMAGE, QUESTION, "red", 3)
    regions = family.patches(IMAGE).regions(IMAGE, "patches")
    positions = family.sequence_positions(prompt, len(prompt), regions)
    token = loaded(name).model.config.image_token_id
    assert {prompt.inputs["input_ids"][p] for p in positions.patches.tolist()} == {token}
    assert sorted(positions.patch_ids.flatten().tolist()) == list(range(len(regions.patch_regions)))
    none = TokenWindow(0, {"input_ids": [1, 2]}, "ab", [(0, 1), (1, 2)], (0, 0))
    assert family.sequence_positions(none, 2, regions) is None


def test_joined_patches_are_neighbours_in_the_image():
    """Idefics3 joins 2 × 2 squares: the patches of a position touch each other."""
    family = family_of("idefics3")
    boxes = family.patches(IMAGE).boxes
    prompt = family.build_prompt(IMAGE, QUESTION, "red", 3)
    positions = family.sequence_positions(prompt, len(prompt), family.patches(IMAGE).regions(IMAGE, "patches"))
    wide, high = (boxes[:, 2] - boxes[:, 0]).max(), (boxes[:, 3] - boxes[:, 1]).max()
    for ids in positions.patch_ids.tolist():
        joined = boxes[ids]
        if not np.isnan(joined).any():
            assert joined[:, 2].max() - joined[:, 0].min() <= 2.2 * wide
            assert joined[:, 3].max() - joined[:, 1].min() <= 2.2 * high


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - set(GIVEN_FEATURES)))
def test_pixels_are_in_float32_for_models_of_less_precision(name):
    half = loaded(name).model.dtype
    family = family_of(name)
    pixels = family.image_inputs(IMAGE)[family.image_argument]
    assert half == pixels.dtype == torch.float32 and pixels.shape[0] == 1
    other = type("Half", (nn.Module,), {"dtype": torch.bfloat16, "config": loaded(name).model.config})()
    assert type(family)(other, loaded(name).processor).image_inputs(IMAGE)[family.image_argument].dtype == torch.float32


def test_offsets_within_a_question():
    text, question = "user : a film ? assistant", "a film ?"
    start = text.index(question)
    spans = [(0, 4), (4, 6), (6, 8), (8, 13), (13, 15), (15, 16), (16, 25)]
    assert offsets_within(spans, question, start) == [None, None, (0, 1), (2, 6), (7, 8), None, None]


def test_models_that_take_no_image_are_refused():
    with pytest.raises(Unsupported, match="Linear does not answer questions about images"):
        vision_language_model(nn.Linear(1, 1), None)
    family = family_of("vilt")
    bare = type("Bare", (), {"config": type("Config", (), {})()})()
    with pytest.raises(Unsupported, match="no `patch_size`"):
        _ = type(family)(bare, None).patch
