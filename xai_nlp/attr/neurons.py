"""Captum's names for scores of the inputs, for one neuron of a layer."""

from __future__ import annotations

from typing import Any

from xai_nlp.attr.base import (
    GradientAttribution,
    InternalContributions,
    NeuronAttribution,
    check_grad_kwargs,
    path_options,
)
from xai_nlp.attr.problems import Selector
from xai_nlp.core.captum_types import Baselines, TargetType, TensorOrTuple
from xai_nlp.core.registry import Method
from xai_nlp.methods import gradient, path


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
        return self._neuron_scores(self._method, forward, neuron_selector, attribute_to_neuron_input)


class NeuronGradient(NeuronGradientAttribution):
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
        """Contributions of the inputs' entries to the neuron, in the shape of `inputs` and its unit: (B, …) each."""
        forward = self._bind(inputs, additional_forward_args)
        options = path_options(method, n_steps)
        integral = path.IntegratedGradientsMethod(**options, multiply=self.multiplies_by_inputs)
        point = (neuron_selector, attribute_to_neuron_input)
        return self._neuron_scores(integral, forward, *point, baselines, internal_batch_size)


class NeuronConductance(InternalContributions, NeuronAttribution, GradientAttribution):
    """The part of the target that flows from each input through one neuron: integrated gradients of that part."""

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
        """Contributions of the inputs' entries to the target by way of the neuron, in the shape of `inputs`: (B, …).

        As in Captum the weights of riemann_trapezoid, the default, sum to (n − 1)/n; gausslegendre is more exact.
        """
        check_grad_kwargs(grad_kwargs)
        forward = self._bind(inputs, additional_forward_args, target)
        options = path_options(method, n_steps)
        integral = path.IntegratedGradientsMethod(**options, multiply=self.multiplies_by_inputs)
        point = (neuron_selector, attribute_to_neuron_input)
        return self._neuron_scores(integral, forward, *point, baselines, internal_batch_size, through=True)
