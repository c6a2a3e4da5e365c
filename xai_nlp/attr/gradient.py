"""Captum's names for activations, and for gradients at the input alone: of the inputs, a layer or a neuron."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from xai_nlp.attr.base import (
    GradientAttribution,
    InternalContributions,
    LayerAttribution,
    ModelAttribution,
    NeuronAttribution,
)
from xai_nlp.attr.problems import Layers, Selector, layer_points, subject_of
from xai_nlp.core.captum_types import TargetType, TensorOrTuple
from xai_nlp.core.registry import Method
from xai_nlp.methods.gradient import InputXGradientMethod, SaliencyMethod
from xai_nlp.methods.propagation.relu import DeconvolutionMethod, GuidedBackpropMethod


class Saliency(GradientAttribution):
    """`methods.gradient.SaliencyMethod` of the inputs: the gradient's size, or with `abs=False` the gradient."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        target: TargetType = None,
        abs: bool = True,
        additional_forward_args: object | None = None,
    ) -> Any:
        """Gradients of the target with respect to the inputs, in their shape: (B, …) each.

        abs: return absolute values.
        """
        return self._scores(SaliencyMethod(absolute=abs), self._bind(inputs, additional_forward_args, target))


class InputGradientAttribution(GradientAttribution):
    """Scores of the inputs by a method without options."""

    _method: Method

    def attribute(
        self, inputs: TensorOrTuple, target: TargetType = None, additional_forward_args: object | None = None
    ) -> Any:
        """Scores of the inputs' entries, in the shape of `inputs`: (B, …) each."""
        return self._scores(self._method, self._bind(inputs, additional_forward_args, target))


class InputXGradient(InputGradientAttribution):
    """`methods.gradient.InputXGradientMethod` of the inputs."""

    multiplies_by_inputs = True
    _method = InputXGradientMethod()


class LayerActivation(LayerAttribution):
    """The tensors at a layer: its output, or its input."""

    multiplies_by_inputs = True

    def attribute(
        self,
        inputs: TensorOrTuple,
        additional_forward_args: object | None = None,
        attribute_to_layer_input: bool = False,
    ) -> Any:
        """Activations of the layer, in its shape: (B, …) for each tensor."""
        forward = self._bind(inputs, additional_forward_args)
        points = layer_points(self.layer, layer_input=attribute_to_layer_input)
        with forward.frozen():
            return self._grouped(subject_of(forward).tensors(points))


class LayerGradientXActivation(InternalContributions, LayerAttribution):
    """`methods.gradient.InputXGradientMethod` at a layer, or with `multiply_by_inputs=False` the gradient there.

    memory_efficient: return scores on the CPU.
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        layer: Layers,
        device_ids: list[int] | None = None,
        multiply_by_inputs: bool = True,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__(forward_func, layer, device_ids, multiply_by_inputs)
        self._memory_efficient = memory_efficient

    def attribute(
        self,
        inputs: TensorOrTuple,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        attribute_to_layer_input: bool = False,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Scores of the layer's entries, in its shape: (B, …) for each tensor."""
        forward = self._bind(inputs, additional_forward_args, target, grad_kwargs)
        method = InputXGradientMethod() if self.multiplies_by_inputs else SaliencyMethod()
        scores = self._scores(method, forward, attribute_to_layer_input)
        return _on_cpu(scores) if self._memory_efficient else scores


def _on_cpu(scores: Any) -> Any:
    return scores.cpu() if isinstance(scores, Tensor) else type(scores)(map(_on_cpu, scores))


class NeuronGradientAttribution(NeuronAttribution, GradientAttribution):
    """Scores of the inputs for a neuron, by a method without options."""

    _method: Method

    def attribute(
        self,
        inputs: TensorOrTuple,
        neuron_selector: Selector,
        additional_forward_args: object | None = None,
        attribute_to_neuron_input: bool = False,
    ) -> Any:
        """Scores of the inputs' entries for the neuron, in the shape of `inputs`: (B, …) each."""
        forward = self._bind(inputs, additional_forward_args)
        return self._scores(self._method, forward, (neuron_selector, attribute_to_neuron_input))


class NeuronGradient(NeuronGradientAttribution):
    """`methods.gradient.SaliencyMethod`, signed, of a neuron."""

    _method = SaliencyMethod()


class GuidedBackprop(ModelAttribution, InputGradientAttribution):
    """`methods.propagation.relu.GuidedBackpropMethod` of the inputs, whether a ReLU is a module or a function.

    Captum hooks modules, so a ReLU's hook also changes the gradient that goes past it (x + relu(x)). Here it does not.
    """

    _method = GuidedBackpropMethod()


class Deconvolution(ModelAttribution, InputGradientAttribution):
    """`methods.propagation.relu.DeconvolutionMethod` of the inputs."""

    _method = DeconvolutionMethod()


class NeuronGuidedBackprop(NeuronGradientAttribution):
    """`methods.propagation.relu.GuidedBackpropMethod` of a neuron."""

    _needs_module = True
    _method: Method = GuidedBackpropMethod()

    def __init__(self, model: nn.Module, layer: nn.Module, device_ids: list[int] | None = None) -> None:
        super().__init__(model, layer, device_ids)


class NeuronDeconvolution(NeuronGuidedBackprop):
    """`methods.propagation.relu.DeconvolutionMethod` of a neuron."""

    _method = DeconvolutionMethod()
