"""Captum's names for scores of the tensors at a layer, from gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from xai_nlp.attr.base import InternalContributions, LayerAttribution, check_grad_kwargs, like_layers, path_options
from xai_nlp.attr.problems import Layers, layer_points, subject_of
from xai_nlp.core.captum_types import Baselines, TargetType, TensorOrTuple
from xai_nlp.core.forward import Forward
from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method
from xai_nlp.hooks.attention import AttentionPoint
from xai_nlp.methods import gradient, path


class LayerActivation(LayerAttribution):
    """The tensors at a layer: its output, or its input."""

    _multiply_by_inputs = True

    def attribute(
        self,
        inputs: TensorOrTuple,
        additional_forward_args: object | None = None,
        attribute_to_layer_input: bool = False,
    ) -> Any:
        """Activations of the layer, in its shape: (B, …) for each tensor."""
        forward = self._bind(inputs, additional_forward_args)
        sites = layer_points(self.layer, layer_input=attribute_to_layer_input)
        with forward.frozen():
            by_site = subject_of(forward).tensors(sites)
        return like_layers([t for tensors in by_site for t in tensors], list(map(len, by_site)), self.layer)


class LayerPathAttribution(LayerAttribution):
    """Scores of a layer that are integrals along the path from baseline to input."""

    _layer_moves = False  # True: the layer's own tensors go from their baseline to their value, and not the inputs

    def has_convergence_delta(self) -> bool:
        return True

    def _method(self, **options: Any) -> Method:
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
        """Contributions of the layer's entries, in its shape and the unit of the target: (B, …) for each tensor."""
        check_grad_kwargs(grad_kwargs)
        forward = self._bind(inputs, additional_forward_args, target)
        integral = self._method(**path_options(method, n_steps))
        options = (attribute_to_layer_input, baselines, internal_batch_size)
        scores = self._layer_scores(integral, forward, *options, moving=self._layer_moves)
        return self._with_delta(return_convergence_delta, scores, forward, baselines, internal_batch_size)


class LayerIntegratedGradients(InternalContributions, LayerPathAttribution):
    """`methods.path.IntegratedGradientsMethod`, with the layer's tensors moving from baseline to input.

    Several layers move together; none should depend on another's output. Attention matrices (`points.attention[k]`)
    move from A₀, what they are for the baselines, to A: their scores add up to F(A) − F(A₀), the model run on the
    inputs with A₀ in their place, and the convergence delta compares with that.
    """

    _layer_moves = True

    def _ends(self, forward: Forward, baselines: Baselines, rows: int | None) -> Problem:
        points = layer_points(self.layer)
        if not any(isinstance(point, AttentionPoint) for point in points):
            return super()._ends(forward, baselines, rows)
        return subject_of(forward, baselines, rows).at(points).problem()

    def _method(self, **options: Any) -> Method:
        return path.IntegratedGradientsMethod(**options, multiply=self.multiplies_by_inputs)


class LayerConductance(LayerPathAttribution):
    """Conductance by Captum's sum: the gradient at the left end of each of n_steps steps, times the layer's change.

    It is first-order, and leaves out the path before the first node and after the last. `methods.path.Conductance` with
    its own rule does neither.
    """

    _multiply_by_inputs = True

    def _method(self, **options: Any) -> Method:
        return path.Conductance(**options)


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
        """Mean gradients of the target with respect to the layer, in its shape: (B, …) for each tensor."""
        check_grad_kwargs(grad_kwargs)
        forward = self._bind(inputs, additional_forward_args, target)
        influence = path.InternalInfluenceMethod(**path_options(method, n_steps))
        return self._layer_scores(influence, forward, attribute_to_layer_input, baselines, internal_batch_size)


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
        check_grad_kwargs(grad_kwargs)
        forward = self._bind(inputs, additional_forward_args, target)
        method = gradient.InputXGradientMethod() if self.multiplies_by_inputs else gradient.SaliencyMethod()
        scores = self._layer_scores(method, forward, attribute_to_layer_input)
        return _on_cpu(scores) if self._memory_efficient else scores


def _on_cpu(scores: Any) -> Any:
    return scores.cpu() if isinstance(scores, Tensor) else type(scores)(map(_on_cpu, scores))
