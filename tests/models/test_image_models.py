"""Models that take an image as pixels: patches, layers, precision."""

import copy

import pytest
import torch
from PIL import Image
from torch import nn
from transformers import CLIPConfig, CLIPForImageClassification

from tests.models.tiny_images import ARCHITECTURES, ONE_SCALE, PATCH, SIDE, loaded
from xai_nlp.models.adapter import Adapter
from xai_nlp.models.image_models import ImageClassifier
from xai_nlp.models.layout import infer_layout

STAGES = {"resnet": "encoder.stages", "convnext": "encoder.stages", "swin": "encoder.layers"}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_layers_are_blocks_or_stages(name):
    adapter = Adapter.of(loaded(name).model)
    assert adapter.layout.blocks == STAGES.get(name, "layers")
    named = adapter.points
    assert len(named.layers) == (3 if name in ONE_SCALE else 2)
    assert named.word is None and named.embeddings is None


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_patch_is_the_models_or_a_square_that_shows_a_shape(name):
    family = ImageClassifier(loaded(name).model, loaded(name).processor)
    assert family.one_scale == (name in ONE_SCALE)
    assert family.patch == (PATCH if name in ONE_SCALE else 2)
    assert len(family.patches(Image.new("RGB", (50, 70))).boxes) == (SIDE // family.patch) ** 2


@pytest.mark.parametrize(("side", "patch"), [(96, 8), (224, 16), (384, 32), (8, 1)])
def test_patches_of_larger_images(side, patch):
    family = ImageClassifier(loaded("resnet").model, loaded("resnet").processor)
    family.__dict__["side"] = side
    assert family.patch == patch


def test_pixels_keep_their_precision_until_the_model():
    family = ImageClassifier(copy.deepcopy(loaded("resnet").model).bfloat16(), loaded("resnet").processor)
    inputs = family.image_inputs(Image.new("RGB", (40, 40), "red"))
    assert inputs["pixel_values"].dtype == torch.float32
    assert family.output(inputs).logits.shape == (1, 4)


def test_a_tower_of_another_model_has_layers():
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = CLIPConfig(vision_config={**small, "image_size": SIDE, "patch_size": PATCH}, text_config=small)
    layout = infer_layout(CLIPForImageClassification(config))
    assert layout.blocks is not None and layout.blocks.endswith("encoder.layers") and layout.word is None


def test_a_model_without_layers_has_none():
    class NetForImageClassification(nn.Module):
        config = type("Config", (), {"model_type": "net"})()

    assert infer_layout(NetForImageClassification()).blocks is None
