"""Captum's names for maps of where a layer saw what it saw."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.attr.base import GradientAttribution, LayerAttribution, check_grad_kwargs
from xai_nlp.attr.relu import GuidedBackprop
from xai_nlp.core.forward import CaptumAssertion, TargetType, TensorOrTuple
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
        check_grad_kwargs(grad_kwargs)
        forward = self._bind(inputs, additional_forward_args, target)
        how = GradCam(positive=relu_attributions, summed=attr_dim_summation)
        return self._at_layer(how, forward, attribute_to_layer_input)


class GuidedGradCam(GradientAttribution):
    """Guided backpropagation where `LayerGradCam` has positive scores, resized to the input.

    An input whose shape the map cannot be resized to gets an empty tensor, with a warning.
    """

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
        cam = self.grad_cam.attribute(
            inputs, target, additional_forward_args, attribute_to_layer_input, relu_attributions=True
        )
        if not isinstance(cam, Tensor):
            raise CaptumAssertion(f"the layer gives out {len(cam)} tensors; choose one that gives out one.")
        tuple_in = isinstance(inputs, tuple)
        given = inputs if isinstance(inputs, tuple) else (inputs,)
        guided = self.guided_backprop.attribute(given, target, additional_forward_args)
        found = tuple(_seen_through(g, cam, interpolate_mode) for g in guided)
        return found if tuple_in else found[0]


def _seen_through(guided: Tensor, cam: Tensor, mode: str) -> Tensor:
    try:
        return guided * LayerAttribution.interpolate(cam, tuple(guided.shape[2:]), mode)
    except (ValueError, RuntimeError, NotImplementedError) as error:
        warnings.warn(f"no map for an input of shape {tuple(guided.shape)}: {error}", stacklevel=3)
        return torch.empty(0)
