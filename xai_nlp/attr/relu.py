"""Captum's names for methods that let only some gradients through a ReLU, whether it is a module or a function.

Captum hooks modules; so a ReLU's hook also changes what comes back past it (x + relu(x)). Here it does not.
"""

from __future__ import annotations

from torch import nn

from xai_nlp.attr.base import ModelAttribution, module
from xai_nlp.attr.inputs import OfOneGradient
from xai_nlp.attr.neurons import NeuronOfOneGradient
from xai_nlp.methods import propagation


class GuidedBackprop(ModelAttribution, OfOneGradient):
    """`methods.propagation.GuidedBackpropMethod` of the inputs."""

    _method = propagation.GuidedBackpropMethod()


class Deconvolution(ModelAttribution, OfOneGradient):
    """`methods.propagation.DeconvolutionMethod` of the inputs."""

    _method = propagation.DeconvolutionMethod()


class _OfNeuron(NeuronOfOneGradient):
    def __init__(self, model: nn.Module, layer: nn.Module, device_ids: list[int] | None = None) -> None:
        super().__init__(module(model), layer, device_ids)


class NeuronGuidedBackprop(_OfNeuron):
    """`methods.propagation.GuidedBackpropMethod` of a neuron."""

    _method = propagation.GuidedBackpropMethod()


class NeuronDeconvolution(_OfNeuron):
    """`methods.propagation.DeconvolutionMethod` of a neuron."""

    _method = propagation.DeconvolutionMethod()
