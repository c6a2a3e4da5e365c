"""Captum's names for DeepLIFT. Functions have rules as modules have: `F.relu`, `x + y`.

Captum hooks the tensors between modules, which breaks DeepLIFT's rules in these places; here they hold:
- activations and pooling that touch (ReLU, then MaxPool): its hook gets the gradient before the second one's rule;
- `LayerDeepLift` at the input of an activation: it uses the activation's slope;
- overlapping pooling windows overwrite each other; where nothing changes, the batch's first gradient is used for all;
- functions, products, softmax and norms as functions: it uses slopes, so that scores do not add up;
- a module used twice: it refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from typing import Any, TypeAlias

from torch import Tensor, nn

from xai_nlp.attr.base import (
    GradientAttribution,
    InternalAttribution,
    LayerAttribution,
    ModelAttribution,
    NeuronAttribution,
)
from xai_nlp.attr.problems import Selector
from xai_nlp.core.batching import Batching
from xai_nlp.core.captum_types import BaselineDistribution, Baselines, CaptumAssertion, TargetType, TensorOrTuple
from xai_nlp.core.features import by_row
from xai_nlp.core.forward import Forward, baseline_distribution
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.methods.propagation.deeplift import DeepLiftMethod

CustomScores: TypeAlias = Callable[..., tuple[Tensor, ...]] | None


def _paired(problem: Problem, baselines: Any, inputs: Any) -> tuple[Problem, int]:
    """Each input with each of N baselines, as B · N examples; and N."""
    rows = baseline_distribution(inputs, baselines)
    if len(rows) != len(problem.x) or not all(isinstance(b, Tensor) and b.ndim and len(b) > 1 for b in rows):
        raise CaptumAssertion(
            "a distribution of baselines is a tensor of several rows for each input; "
            f"got {[tuple(b.shape) if isinstance(b, Tensor) else b for b in rows]}. For one baseline use DeepLift."
        )
    for x, b in zip(problem.x, rows, strict=True):
        if b.shape[1:] != x.shape[1:] or len(b) != len(rows[0]):
            raise CaptumAssertion(
                f"baselines must have the shape of their input's rows {tuple(x.shape[1:])}; got {b.shape}."
            )
    return problem.against(rows), len(rows[0])


def _custom_scores(function: Callable[..., tuple[Tensor, ...]], *arguments: Tensors) -> Tensors:
    """Scores by the user's function of multipliers, inputs and baselines; it may take only the first one or two."""
    count = len(signature(function).parameters) if callable(function) else 0
    if count not in (1, 2, 3):
        raise CaptumAssertion(f"custom_attribution_func takes multipliers, inputs and baselines; got {function!r}.")
    return function(*arguments[:count])


class DeepLiftAttribution(GradientAttribution):
    """DeepLIFT of any problem, from one baseline for each example or from each of a distribution."""

    eps: float = 1e-10
    _from_distribution = False

    def _deep_lift(
        self, forward: Forward, place: Any, baselines: Any, custom: CustomScores, with_delta: bool = False
    ) -> Any:
        """Scores, averaged over each example's baselines; with Σ scores − (f(x) − f(x₀)) of each pair on request."""
        with forward.frozen():
            if self._from_distribution:
                always_tuple = isinstance(self, LayerAttribution)  # what Captum calls a function of the inputs with
                inputs = forward.inputs if always_tuple else forward.like_inputs(forward.inputs)
                problem, count = _paired(self._problem(forward, place), baselines, inputs)
            else:
                problem, count = self._problem(forward, place, baselines), 1
            rows = Batching(limit=2 * problem.examples)  # one chunk: Captum's rule for softmax needs all rows
            result = DeepLiftMethod(epsilon=self.eps, as_captum=True).multipliers(replace(problem, rows=rows))
        tensors = tuple(t.squeeze(1) for t in result.tensors)
        if custom is not None:
            tensors = _custom_scores(custom, tensors, result.x, result.baseline)
        elif self.multiplies_by_inputs:
            tensors = tuple(m * (x - x0) for m, x, x0 in zip(tensors, result.x, result.baseline, strict=True))
        scores = self._shaped(tuple(t.unflatten(0, (-1, count)).mean(1) for t in tensors), forward, place)
        if not with_delta:
            return scores
        total = sum(by_row(t).sum(1) for t in tensors)
        return scores, total - (result.values - result.baseline_values).squeeze(1)


class DeepLift(DeepLiftAttribution, ModelAttribution):
    """`methods.propagation.deeplift.DeepLiftMethod` of the inputs, with Captum's rule for `nn.Softmax`."""

    _has_delta = True

    def __init__(self, model: nn.Module, multiply_by_inputs: bool = True, eps: float = 1e-10) -> None:
        super().__init__(model)
        self.multiplies_by_inputs = multiply_by_inputs
        self.eps = eps

    def attribute(
        self,
        inputs: TensorOrTuple,
        baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        return_convergence_delta: bool = False,
        custom_attribution_func: CustomScores = None,
    ) -> Any:
        """Contributions of the inputs' entries, in the shape of `inputs` and the unit of the target: (B, …) each."""
        forward = self._bind(inputs, additional_forward_args, target)
        return self._deep_lift(forward, None, baselines, custom_attribution_func, return_convergence_delta)


class DeepLiftShap(DeepLift):
    """`DeepLift`, averaged over a distribution of baselines."""

    _from_distribution = True

    def __init__(self, model: nn.Module, multiply_by_inputs: bool = True) -> None:
        super().__init__(model, multiply_by_inputs)

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        baselines: BaselineDistribution,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        return_convergence_delta: bool = False,
        custom_attribution_func: CustomScores = None,
    ) -> Any:
        """Contributions of the inputs' entries, in the shape of `inputs` and the unit of the target: (B, …) each.

        return_convergence_delta: also return Σ scores − (f(x) − f(x₀)) of each pair of an input and one of N baselines,
            (B · N,), the baselines in turn.
        """
        options = (target, additional_forward_args, return_convergence_delta, custom_attribution_func)
        return super().attribute(inputs, baselines, *options)  # type: ignore[arg-type]


class InternalDeepLift(InternalAttribution):
    """The constructor of `LayerDeepLift` and `NeuronDeepLift`."""

    _needs_module = True

    def __init__(self, model: nn.Module, layer: nn.Module, multiply_by_inputs: bool = True) -> None:
        super().__init__(model, layer)
        self.multiplies_by_inputs = multiply_by_inputs


class LayerDeepLift(InternalDeepLift, LayerAttribution, DeepLift):
    """`DeepLift` at a layer: its own difference, times the multipliers from there to the target."""

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        return_convergence_delta: bool = False,
        attribute_to_layer_input: bool = False,
        custom_attribution_func: CustomScores = None,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Contributions of the layer's entries, in its shape and the unit of the target: (B, …) for each tensor."""
        forward = self._bind(inputs, additional_forward_args, target, grad_kwargs)
        options = (baselines, custom_attribution_func, return_convergence_delta)
        return self._deep_lift(forward, attribute_to_layer_input, *options)


class LayerDeepLiftShap(LayerDeepLift, DeepLiftShap):
    """`DeepLiftShap` at a layer."""

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        baselines: BaselineDistribution,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        return_convergence_delta: bool = False,
        attribute_to_layer_input: bool = False,
        custom_attribution_func: CustomScores = None,
    ) -> Any:
        """Contributions of the layer's entries, in its shape and the unit of the target: (B, …) for each tensor.

        return_convergence_delta: also return Σ scores − (f(x) − f(x₀)) of each pair of an input and one of N baselines,
            (B · N,), the baselines in turn.
        """
        options = (target, additional_forward_args, return_convergence_delta, attribute_to_layer_input)
        return super().attribute(inputs, baselines, *options, custom_attribution_func)  # type: ignore[arg-type]


class NeuronDeepLift(InternalDeepLift, NeuronAttribution, DeepLiftAttribution):
    """`DeepLift` of a neuron."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        neuron_selector: Selector,
        baselines: Baselines = None,
        additional_forward_args: object | None = None,
        attribute_to_neuron_input: bool = False,
        custom_attribution_func: CustomScores = None,
    ) -> Any:
        """Contributions of the inputs' entries to the neuron, in the shape of `inputs` and its unit: (B, …) each."""
        forward = self._bind(inputs, additional_forward_args)
        neuron = (neuron_selector, attribute_to_neuron_input)
        return self._deep_lift(forward, neuron, baselines, custom_attribution_func)


class NeuronDeepLiftShap(NeuronDeepLift):
    """`DeepLiftShap` of a neuron."""

    _from_distribution = True

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        neuron_selector: Selector,
        baselines: BaselineDistribution,
        additional_forward_args: object | None = None,
        attribute_to_neuron_input: bool = False,
        custom_attribution_func: CustomScores = None,
    ) -> Any:
        """Contributions of the inputs' entries to the neuron, in the shape of `inputs` and its unit: (B, …) each."""
        options = (additional_forward_args, attribute_to_neuron_input, custom_attribution_func)
        return super().attribute(inputs, neuron_selector, baselines, *options)  # type: ignore[arg-type]
