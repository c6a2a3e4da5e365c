"""One tiny random classifier of images for each architecture, with its PIL image processor, built in memory."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    DeiTConfig,
    DeiTForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from xai_nlp.models.loading import LoadedModel

SIDE = 32  # pixels of the processed image
PATCH = 8
LABELS = dict(enumerate(("cat", "dog", "bird", "star-fish")))
NAMES: dict[str, Any] = {"id2label": LABELS, "label2id": {name: i for i, name in LABELS.items()}}
BLOCKS: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48, "image_size": SIDE,
    "patch_size": PATCH, **NAMES,
}  # fmt: skip


def vit() -> Any:
    return ViTForImageClassification(ViTConfig(**BLOCKS))


def deit() -> Any:
    return DeiTForImageClassification(DeiTConfig(**BLOCKS))


def swin() -> Any:
    return SwinForImageClassification(
        SwinConfig(embed_dim=16, depths=[1, 2], num_heads=[2, 4], window_size=4, image_size=SIDE, patch_size=4, **NAMES)
    )


def resnet() -> Any:
    return ResNetForImageClassification(
        ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], layer_type="basic", **NAMES)
    )


def convnext() -> Any:
    return ConvNextForImageClassification(
        ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 2], num_stages=2, patch_size=4, **NAMES)
    )


ARCHITECTURES: dict[str, Callable[[], Any]] = {f.__name__: f for f in (vit, deit, swin, resnet, convnext)}
ONE_SCALE = ("vit", "deit")  # those whose layers all hold the same patches


def _grown(model: nn.Module) -> nn.Module:
    """Weights large enough for every pixel and channel to move the logits; norms with statistics of their own."""
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0, 1 / max(1.0, weight[0].numel() ** 0.5), generator=draws)
            elif "bias" in name:
                weight.normal_(0, 0.05, generator=draws)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1, generator=draws)
                module.running_var.uniform_(0.5, 1.5, generator=draws)
            if hasattr(module, "layer_scale_parameter"):
                module.layer_scale_parameter.fill_(0.5)
    return model.eval()


@cache
def loaded(name: str) -> LoadedModel:
    """The architecture's model and processor; the same objects at every call."""
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    processor = ViTImageProcessorPil(size={"height": SIDE, "width": SIDE})
    return LoadedModel(_grown(ARCHITECTURES[name]()), None, f"tiny {name}", "image-classification", processor)
