"""The tables of attention families: each named child takes probabilities, each name marks what it says."""

import pytest
import torch

from tests.models.tiny import ARCHITECTURES, tiny
from tests.models.tiny_vision_language import FAMILIES, loaded
from xai_nlp.hooks.scope import attached
from xai_nlp.models.adapter import Adapter
from xai_nlp.models.attention_families import (
    CROSS_ATTENTION_NAMES,
    PROBABILITY_CHILD,
    VISION_NAMES,
    attention_stack,
)

TEXT = {"input_ids": torch.tensor([[5, 6, 7, 8, 9]]), "attention_mask": torch.ones(1, 5, dtype=torch.long)}
REGIONS = {
    "visual_bert": {"visual_embeds": torch.randn(1, 3, 12), "visual_attention_mask": torch.ones(1, 3)},
    "lxmert": {"visual_feats": torch.randn(1, 3, 12), "visual_pos": torch.rand(1, 3, 4)},
}


def inputs_of(name):
    if name in ARCHITECTURES:
        return tiny(name)[0], TEXT
    model = loaded(name).model
    pixels = torch.randn(1, 3, 32, 32)
    more = {"vilt": {"pixel_values": pixels}, "blip": {"pixel_values": pixels, "decoder_input_ids": TEXT["input_ids"]}}
    return model, {**TEXT, **(more | REGIONS)[name]}


@pytest.mark.parametrize("name", ["deberta", "deberta-v2", "mpnet", "vilt", "visual_bert", "lxmert", "blip"])
def test_the_named_child_takes_probabilities(name):
    """Rows that sum to 1, one for each head and query, from every module of a class in the table."""
    model, inputs = inputs_of(name)
    children = [
        module.get_submodule(PROBABILITY_CHILD[type(module).__name__])
        for module in model.modules()
        if type(module).__name__ in PROBABILITY_CHILD
    ]
    sums = []

    def note(module, args):
        assert args[0].ndim == 4
        sums.append(args[0].sum(-1))

    with attached([lambda c=child: c.register_forward_pre_hook(note) for child in children]), torch.no_grad():
        model(**inputs)
    assert len(sums) >= len(children) >= 2
    for total in sums:
        torch.testing.assert_close(total, torch.ones_like(total))


def test_names_of_cross_attention_and_of_vision():
    for name in ("bart", "t5"):
        for path, module in tiny(name)[0].named_modules():
            if type(module).__name__ in ("BartAttention", "T5Attention"):
                crosses = any(part in path for part in CROSS_ATTENTION_NAMES)
                assert crosses == (path.rpartition(".")[2] in ("encoder_attn", "EncDecAttention"))
    for family in FAMILIES:
        adapter = Adapter.of(loaded(family).model)
        assert all(VISION_NAMES & set(point.name.split(".")) for point in adapter.points.vision)
        assert not any(VISION_NAMES & set(point.name.split(".")) for point in adapter.layers)


@pytest.mark.parametrize(
    ("path", "paired", "stack"),
    [
        ("bert.encoder.layer.0.attention.self", False, "self"),
        ("model.encoder.layers.0.self_attn", True, "encoder"),
        ("model.decoder.layers.0.self_attn", True, "decoder"),
        ("model.decoder.layers.0.encoder_attn", True, "cross"),
        ("decoder.block.0.layer.0.SelfAttention", True, "decoder"),
        ("decoder.block.0.layer.1.EncDecAttention", True, "cross"),
        ("encoder.encoder.layer.0.attention.self", True, "encoder"),  # a pair of BERTs
        ("decoder.bert.encoder.layer.0.attention.self", True, "decoder"),
        ("decoder.bert.encoder.layer.0.crossattention.self", True, "cross"),
    ],
)
def test_the_path_of_a_module_says_which_tokens_look_at_which(path, paired, stack):
    assert attention_stack(path, paired) == stack
