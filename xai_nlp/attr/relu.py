"""Captum's names for methods that let only some gradients through a ReLU, whether it is a module or a function.

Captum hooks modules, so a ReLU's hook also changes the gradient that goes past it (x + relu(x)). Here it does not.
"""

from __future__ import annotations

from torch import nn

from xai_nlp.attr.base import ModelAttribution
from xai_nlp.attr.gradient import InputGradientAttribution, NeuronGradientAttribution
from xai_nlp.methods.propagation.relu import DeconvolutionMethod, GuidedBackpropMethod


class GuidedBackprop(ModelAttribution, InputGradientAttribution):
    """`methods.propagation.relu.GuidedBackpropMethod` of the inputs."""

    _method: DeconvolutionMethod | GuidedBackpropMethod = GuidedBackpropMethod()


class Deconvolution(ModelAttribution, InputGradientAttribution):
    """`methods.propagation.relu.DeconvolutionMethod` of the inputs."""

    _method = DeconvolutionMethod()


class NeuronGuidedBackprop(NeuronGradientAttribution):
    """`methods.propagation.relu.GuidedBackpropMethod` of a neuron."""

    _needs_module = True
    _method: DeconvolutionMethod | GuidedBackpropMethod = GuidedBackpropMethod()

    def __init__(self, model: nn.Module, layer: nn.Module, device_ids: list[int] | None = None) -> None:
        super().__init__(model, layer, device_ids)


class NeuronDeconvolution(NeuronGuidedBackprop):
    """`methods.propagation.relu.DeconvolutionMethod` of a neuron."""

    _method = DeconvolutionMethod()
