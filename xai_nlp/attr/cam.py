"""Captum's names for Grad-CAM: maps of where a convolutional layer drives the target."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.attr.base import GradientAttribution, LayerAttribution
from xai_nlp.attr.gradient import GuidedBackprop
from xai_nlp.core.captum_types import CaptumAssertion, TargetType, TensorOrTuple
from xai_nlp.core.forward import as_tuple
from xai_nlp.methods.cam import GradCam


class LayerGradCam(LayerAttribution):
    """`methods.cam.GradCam` at a layer."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        attribute_to_layer_input: bool = False,
        relu_attributions: bool = False,
        attr_dim_summation: bool = True,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Scores of the layer's positions, (B, 1, …): its activations, each channel weighted by its mean gradient.

        relu_attributions: replace negative scores by 0.
        attr_dim_summation: sum over channels; otherwise scores are (B, C, …).
        """
        forward = self._bind(inputs, additional_forward_args, target, grad_kwargs)
        method = GradCam(positive=relu_attributions, summed=attr_dim_summation)
        return self._scores(method, forward, attribute_to_layer_input)


class GuidedGradCam(GradientAttribution):
    """Guided backpropagation, times the positive scores of `LayerGradCam` resized to the input."""

    def __init__(self, model: nn.Module, layer: nn.Module, device_ids: list[int] | None = None) -> None:
        super().__init__(model)
        self.grad_cam = LayerGradCam(model, layer, device_ids)
        self.guided_backprop = GuidedBackprop(model)

    def attribute(
        self,
        inputs: TensorOrTuple,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        interpolate_mode: str = "nearest",
        attribute_to_layer_input: bool = False,
    ) -> Any:
        """Scores of the inputs' entries, in the shape of `inputs`: (B, C, …) each.

        interpolate_mode: how the map is resized, a mode of torch.nn.functional.interpolate.

        An input whose shape the map cannot be resized to gets an empty tensor, with a warning.
        """
        cam = self.grad_cam.attribute(
            inputs, target, additional_forward_args, attribute_to_layer_input, relu_attributions=True
        )
        if not isinstance(cam, Tensor):
            raise CaptumAssertion(f"the layer gives out {len(cam)} tensors; choose one that gives out one.")
        guided = self.guided_backprop.attribute(as_tuple(inputs), target, additional_forward_args)
        scores = tuple(_masked_by_map(gradient, cam, interpolate_mode) for gradient in guided)
        return scores if isinstance(inputs, tuple) else scores[0]


def _masked_by_map(gradient: Tensor, cam: Tensor, mode: str) -> Tensor:
    try:
        return gradient * LayerAttribution.interpolate(cam, tuple(gradient.shape[2:]), mode)
    except (ValueError, RuntimeError, NotImplementedError) as error:
        warnings.warn(f"no map for an input of shape {tuple(gradient.shape)}: {error}", stacklevel=3)
        return torch.empty(0)
