"""Captum's names for scores of the inputs, for one neuron of a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from xai_nlp.attr.base import GradientAttribution, NeuronAttribution, check_grad_kwargs, rule, squeezed
from xai_nlp.attr.forward import Baselines, Forward, Selector, TargetType, TensorOrTuple, at_neuron, sites_of
from xai_nlp.core.registry import Method
from xai_nlp.methods import gradient, path


class _Neuron(NeuronAttribution, GradientAttribution):
    def _of_neuron(
        self,
        method: Method,
        forward: Forward,
        selector: Selector,
        baselines: Baselines,
        neuron_input: bool,
        *,
        through: bool = False,
        rows: int | None = None,
        tuple_in: bool,
    ) -> Any:
        (site,) = sites_of(self.layer, layer_input=neuron_input)
        with forward.lent():
            problem = at_neuron(forward, baselines, site, selector, through=through, rows=rows)
            tensors = squeezed(method.scores(problem).tensors)
        return tensors if tuple_in else tensors[0]


class NeuronGradient(_Neuron):
    """`methods.gradient.Saliency`, signed, of a neuron."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        neuron_selector: Selector,
        additional_forward_args: object | None = None,
        attribute_to_neuron_input: bool = False,
    ) -> Any:
        forward = Forward.of(self.forward_func, inputs, additional_forward_args)
        how = gradient.Saliency()
        tuple_in = isinstance(inputs, tuple)
        return self._of_neuron(how, forward, neuron_selector, None, attribute_to_neuron_input, tuple_in=tuple_in)


class NeuronIntegratedGradients(_Neuron):
    """`methods.path.IntegratedGradients` of a neuron."""

    def __init__(
        self,
        forward_func: Callable[..., Any],
        layer: nn.Module,
        device_ids: list[int] | None = None,
        multiply_by_inputs: bool = True,
    ) -> None:
        super().__init__(forward_func, layer, device_ids)
        self._multiply_by_inputs = multiply_by_inputs

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
        forward = Forward.of(self.forward_func, inputs, additional_forward_args)
        how = path.IntegratedGradients(steps=n_steps, rule=rule(method), multiply=self._multiply_by_inputs)
        return self._of_neuron(
            how,
            forward,
            neuron_selector,
            baselines,
            attribute_to_neuron_input,
            rows=internal_batch_size,
            tuple_in=isinstance(inputs, tuple),
        )


class NeuronConductance(_Neuron):
    """How much of the target flows from each input through one neuron: integrated gradients of that part of it."""

    def __init__(
        self,
        forward_func: Callable[..., Any],
        layer: nn.Module,
        device_ids: list[int] | None = None,
        multiply_by_inputs: bool = True,
    ) -> None:
        super().__init__(forward_func, layer, device_ids)
        self._multiply_by_inputs = multiply_by_inputs

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
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        how = path.IntegratedGradients(steps=n_steps, rule=rule(method), multiply=self._multiply_by_inputs)
        return self._of_neuron(
            how,
            forward,
            neuron_selector,
            baselines,
            attribute_to_neuron_input,
            through=True,
            rows=internal_batch_size,
            tuple_in=isinstance(inputs, tuple),
        )
