"""Captum's names for scores of what passes at a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from xai_nlp.attr.base import LayerAttribution, check_grad_kwargs, like_layers, rule
from xai_nlp.attr.forward import Baselines, Forward, Layers, TargetType, TensorOrTuple, site_tensors, sites_of
from xai_nlp.core.path import left_conductance, quadrature
from xai_nlp.methods import gradient, path


class LayerActivation(LayerAttribution):
    """What passes at a layer: its output, or its input."""

    _multiply_by_inputs = True

    def attribute(
        self,
        inputs: TensorOrTuple,
        additional_forward_args: object | None = None,
        attribute_to_layer_input: bool = False,
    ) -> Any:
        forward = Forward.of(self.forward_func, inputs, additional_forward_args)
        with forward.lent():
            found = site_tensors(forward, forward.inputs, sites_of(self.layer, layer_input=attribute_to_layer_input))
        return like_layers([t for tensors in found for t in tensors], [len(tensors) for tensors in found], self.layer)


class LayerIntegratedGradients(LayerAttribution):
    """`methods.path.IntegratedGradients` with the layer's tensors as what moves from baseline to input.

    Several layers move together; none should depend on another's output.
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        layer: Layers,
        device_ids: list[int] | None = None,
        multiply_by_inputs: bool = True,
    ) -> None:
        super().__init__(forward_func, layer, device_ids)
        self._multiply_by_inputs = multiply_by_inputs

    def has_convergence_delta(self) -> bool:
        return True

    def attribute(
        self,
        inputs: TensorOrTuple,
        baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        n_steps: int = 50,
        method: str = "gausslegendre",
        internal_batch_size: int | None = None,
        return_convergence_delta: bool = False,
        attribute_to_layer_input: bool = False,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        check_grad_kwargs(grad_kwargs)
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        how = path.IntegratedGradients(steps=n_steps, rule=rule(method), multiply=self._multiply_by_inputs)
        shaped, flat = self._moving_layer(how, forward, baselines, attribute_to_layer_input, internal_batch_size)
        return self._with_delta(return_convergence_delta, shaped, flat, forward, baselines)


class LayerConductance(LayerAttribution):
    """Conductance by Captum's sum: the gradient at the left end of each of n_steps steps, times the layer's change.

    First-order, and blind to what lies before the first node and after the last; `methods.path.Conductance` is neither.
    """

    layer: nn.Module
    _multiply_by_inputs = True

    def __init__(self, forward_func: Callable[..., Any], layer: nn.Module, device_ids: list[int] | None = None) -> None:
        super().__init__(forward_func, layer, device_ids)

    def has_convergence_delta(self) -> bool:
        return True

    def attribute(
        self,
        inputs: TensorOrTuple,
        baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        n_steps: int = 50,
        method: str = "gausslegendre",
        internal_batch_size: int | None = None,
        return_convergence_delta: bool = False,
        attribute_to_layer_input: bool = False,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        check_grad_kwargs(grad_kwargs)
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        nodes = quadrature(rule(method), n_steps + 1)
        shaped, flat = self._inside(
            lambda problem: left_conductance(problem, nodes),
            forward,
            baselines,
            attribute_to_layer_input,
            internal_batch_size,
        )
        return self._with_delta(return_convergence_delta, shaped, flat, forward, baselines)


class InternalInfluence(LayerAttribution):
    """`methods.path.InternalInfluence` at a layer."""

    def __init__(self, forward_func: Callable[..., Any], layer: nn.Module, device_ids: list[int] | None = None) -> None:
        super().__init__(forward_func, layer, device_ids)

    def attribute(
        self,
        inputs: TensorOrTuple,
        baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        n_steps: int = 50,
        method: str = "gausslegendre",
        internal_batch_size: int | None = None,
        attribute_to_layer_input: bool = False,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        check_grad_kwargs(grad_kwargs)
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        how = path.InternalInfluence(steps=n_steps, rule=rule(method))
        scores = lambda problem: how.scores(problem).tensors  # noqa: E731
        return self._inside(scores, forward, baselines, attribute_to_layer_input, internal_batch_size)[0]


class LayerGradientXActivation(LayerAttribution):
    """`methods.gradient.InputXGradient` at a layer, or with `multiply_by_inputs=False` the gradient there.

    memory_efficient: scores are handed back on the CPU.
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        layer: Layers,
        device_ids: list[int] | None = None,
        multiply_by_inputs: bool = True,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__(forward_func, layer, device_ids)
        self._multiply_by_inputs = multiply_by_inputs
        self._memory_efficient = memory_efficient

    def attribute(
        self,
        inputs: TensorOrTuple,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        attribute_to_layer_input: bool = False,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        check_grad_kwargs(grad_kwargs)
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        how = gradient.InputXGradient() if self._multiply_by_inputs else gradient.Saliency()

        def scores(problem: Any) -> tuple[Tensor, ...]:
            tensors = how.scores(problem).tensors
            return tuple(t.cpu() for t in tensors) if self._memory_efficient else tensors

        return self._inside(scores, forward, None, attribute_to_layer_input)[0]
