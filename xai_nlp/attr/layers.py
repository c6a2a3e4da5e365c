"""Captum's names for scores of what passes at a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from xai_nlp.attr.base import InternalContributions, LayerAttribution, Path, check_grad_kwargs, like_layers, path_of
from xai_nlp.attr.problems import Layers, layer_points, site_tensors
from xai_nlp.core.forward import Baselines, TargetType, TensorOrTuple
from xai_nlp.core.registry import Method
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
        forward = self._bind(inputs, additional_forward_args)
        with forward.frozen():
            found = site_tensors(
                forward, forward.inputs, layer_points(self.layer, layer_input=attribute_to_layer_input)
            )
        return like_layers([t for tensors in found for t in tensors], [len(tensors) for tensors in found], self.layer)


class _AlongThePath(LayerAttribution):
    """A method of the path from baseline to input whose scores add up."""

    _moving = False  # is it the layer's tensors that move, or the inputs?

    def has_convergence_delta(self) -> bool:
        return True

    def _how(self, walk: Path) -> Method:
        raise NotImplementedError

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
        forward = self._bind(inputs, additional_forward_args, target)
        given = (attribute_to_layer_input, baselines, internal_batch_size)
        scores = self._at_layer(self._how(path_of(method, n_steps)), forward, *given, moving=self._moving)
        return self._with_delta(return_convergence_delta, scores, forward, baselines)


class LayerIntegratedGradients(InternalContributions, _AlongThePath):
    """`methods.path.IntegratedGradientsMethod` with the layer's tensors as what moves from baseline to input.

    Several layers move together; none should depend on another's output.
    """

    _moving = True

    def _how(self, walk: Path) -> Method:
        return path.IntegratedGradientsMethod(**walk, multiply=self.multiplies_by_inputs)


class LayerConductance(_AlongThePath):
    """Conductance by Captum's sum: the gradient at the left end of each of n_steps steps, times the layer's change.

    First-order, and blind to what lies before the first node and after the last; `methods.path.Conductance` is neither
    by its own rule.
    """

    _multiply_by_inputs = True

    def _how(self, walk: Path) -> Method:
        return path.Conductance(**walk)


class InternalInfluence(LayerAttribution):
    """`methods.path.InternalInfluenceMethod` at a layer."""

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
        forward = self._bind(inputs, additional_forward_args, target)
        how = path.InternalInfluenceMethod(**path_of(method, n_steps))
        return self._at_layer(how, forward, attribute_to_layer_input, baselines, internal_batch_size)


class LayerGradientXActivation(InternalContributions, LayerAttribution):
    """`methods.gradient.InputXGradientMethod` at a layer, or with `multiply_by_inputs=False` the gradient there.

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
        check_grad_kwargs(grad_kwargs)
        forward = self._bind(inputs, additional_forward_args, target)
        how = gradient.InputXGradientMethod() if self.multiplies_by_inputs else gradient.SaliencyMethod()
        scores = self._at_layer(how, forward, attribute_to_layer_input)
        return _on_cpu(scores) if self._memory_efficient else scores


def _on_cpu(scores: Any) -> Any:
    return scores.cpu() if isinstance(scores, Tensor) else type(scores)(map(_on_cpu, scores))
