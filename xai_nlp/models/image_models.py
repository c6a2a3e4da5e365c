"""Models that take an image as pixels: the tensors of an image, and the patches that these consist of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.models.images import Patches, patches
from xai_nlp.models.layout import vision_config

PATCHES = 14  # patches along a side, about, of a model that divides the image into none of its own


class ImageModel:
    """A model with its image processor.

    image_argument: the model's argument for the image.
    """

    image_argument: ClassVar[str] = "pixel_values"

    def __init__(self, model: Any, processor: Any) -> None:
        self.model, self.processor = model, processor

    @cached_property
    def patch(self) -> int:
        """Side of a patch in pixels of the processed image."""
        size = getattr(vision_config(self.model), "patch_size", None)
        size = size[0] if isinstance(size, (list, tuple)) else size
        if not size:
            raise Unsupported(f"the config of {type(self.model).__name__} has no `patch_size`.")
        return int(size)

    def image_inputs(self, image: Any) -> dict[str, Tensor]:
        """The model's arguments for a PIL image: (1, *S) each."""
        processor = getattr(self.processor, "image_processor", self.processor)
        try:
            return self._image_tensors(processor(images=[image], return_tensors="pt"))
        except (ValueError, ZeroDivisionError) as error:
            raise InvalidInput(
                f"the processor of this model cannot take an image of {image.width} × {image.height} pixels: "
                f"{str(error)[:120]}. Crop it, or make it larger."
            ) from None

    def _image_tensors(self, processed: Mapping[str, Any]) -> dict[str, Tensor]:
        """The tensors with an axis for the image, in the model's precision or float32, whichever is finer.

        Steps along a path are finer than bfloat16. Patches packed into one list (P, D) get the axis.
        """
        tensors = {name: value for name, value in processed.items() if isinstance(value, Tensor)}
        if tensors[self.image_argument].ndim == 2:
            tensors = {name: value[None] for name, value in tensors.items()}
        precision = torch.promote_types(self.model.dtype, torch.float32)
        return {name: value.to(precision) if value.is_floating_point() else value for name, value in tensors.items()}

    def patches(self, image: Any) -> Patches:
        """The patches of a PIL image, and their places in it."""
        return patches(lambda shown: self.image_inputs(shown)[self.image_argument], image, self.patch)


class ImageClassifier(ImageModel):
    """Any `AutoModelForImageClassification`: ViT, DeiT, Swin, ResNet, ConvNeXt.

    A transformer of one scale (ViT) reads patches, which keep their number from layer to layer. In a model of several
    scales (a convolutional one, Swin) each stage has larger and fewer places. There a patch is a square of a size that
    shows a shape: a power of two, so that about PATCHES of them lie along a side.
    """

    @property
    def one_scale(self) -> bool:
        """Does every layer hold the same patches?"""
        config = vision_config(self.model)
        return not hasattr(config, "depths") and bool(getattr(config, "patch_size", None))

    @cached_property
    def patch(self) -> int:
        """Side of a patch in pixels of the processed image."""
        if self.one_scale:
            return super().patch
        return 2 ** max(0, round(math.log2(self.side / PATCHES)))

    @cached_property
    def side(self) -> int:
        """The shorter side of the processed image, in pixels."""
        from PIL import Image

        return min(self.image_inputs(Image.new("RGB", (256, 256)))[self.image_argument].shape[-2:])

    def output(self, inputs: Mapping[str, Tensor]) -> Any:
        """The model's output for R rows. Pixels are rounded to the model's precision here, and not before."""
        pixels = inputs[self.image_argument].to(self.model.dtype)
        return self.model(**{**inputs, self.image_argument: pixels})
