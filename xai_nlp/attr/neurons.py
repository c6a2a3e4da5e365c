"""Captum's names for scores of the inputs, for one neuron of a layer."""

from __future__ import annotations

from typing import Any

from xai_nlp.attr.base import GradientAttribution, InternalContributions, NeuronAttribution, check_grad_kwargs, path_of
from xai_nlp.attr.problems import Selector
from xai_nlp.core.forward import Baselines, TargetType, TensorOrTuple
from xai_nlp.core.registry import Method
from xai_nlp.methods import gradient, path


class NeuronOfOneGradient(NeuronAttribution, GradientAttribution):
    """A method of a neuron that has no options."""

    _method: Method

    def attribute(
        self,
        inputs: TensorOrTuple,
        neuron_selector: Selector,
        additional_forward_args: object | None = None,
        attribute_to_neuron_input: bool = False,
    ) -> Any:
        forward = self._bind(inputs, additional_forward_args)
        return self._of_neuron(self._method, forward, neuron_selector, attribute_to_neuron_input)


class NeuronGradient(NeuronOfOneGradient):
    """`methods.gradient.SaliencyMethod`, signed, of a neuron."""

    _method = gradient.SaliencyMethod()


class NeuronIntegratedGradients(InternalContributions, NeuronAttribution, GradientAttribution):
    """`methods.path.IntegratedGradientsMethod` of a neuron."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        neuron_selector: Selector,
        baselines: Baselines = None,
        additional_forward_args: object | None = None,
        n_steps: int = 50,
        method: str = "gausslegendre",
        internal_batch_size: int | None = None,
        attribute_to_neuron_input: bool = False,
    ) -> Any:
        forward = self._bind(inputs, additional_forward_args)
        how = path.IntegratedGradientsMethod(**path_of(method, n_steps), multiply=self.multiplies_by_inputs)
        where = (neuron_selector, attribute_to_neuron_input)
        return self._of_neuron(how, forward, *where, baselines, internal_batch_size)


class NeuronConductance(InternalContributions, NeuronAttribution, GradientAttribution):
    """How much of the target flows from each input through one neuron: integrated gradients of that part of it."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        neuron_selector: Selector,
        baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        n_steps: int = 50,
        method: str = "riemann_trapezoid",
        internal_batch_size: int | None = None,
        attribute_to_neuron_input: bool = False,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        check_grad_kwargs(grad_kwargs)
        forward = self._bind(inputs, additional_forward_args, target)
        how = path.IntegratedGradientsMethod(**path_of(method, n_steps), multiply=self.multiplies_by_inputs)
        where = (neuron_selector, attribute_to_neuron_input)
        return self._of_neuron(how, forward, *where, baselines, internal_batch_size, through=True)
