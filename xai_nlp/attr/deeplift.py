"""Captum's names for DeepLIFT. Functions are covered as modules are: `F.relu`, `x + y`.

Captum hooks tensors between modules, and leaves its own rules in these places; here they are kept:
- activations and pooling that touch (ReLU, then MaxPool): its hook sees what comes back before the second one's rule;
- `LayerDeepLift` at the input of an activation: it goes by its slope;
- pooling windows that overlap overwrite each other; where nothing changes the batch's first gradient is used for all;
- functions, products, softmax and norms as functions: it takes slopes, so nothing adds up;
- a module used twice: it refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import Any, TypeAlias

from torch import Tensor, nn

from xai_nlp.attr.base import (
    GradientAttribution,
    LayerAttribution,
    ModelAttribution,
    NeuronAttribution,
    check_grad_kwargs,
    like_layers,
    module,
    squeezed,
)
from xai_nlp.attr.forward import (
    Baselines,
    CaptumAssertion,
    Distribution,
    Forward,
    Selector,
    TargetType,
    TensorOrTuple,
    at_inputs,
    drawn_for,
    sites_of,
)
from xai_nlp.core.batching import Batching
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.methods import propagation

Custom: TypeAlias = Callable[..., tuple[Tensor, ...]] | None


def _distributed(problem: Problem, baselines: Any, inputs: Any) -> tuple[Problem, int]:
    """Each input paired with each baseline of a distribution, as examples of their own; also how many baselines."""
    drawn = drawn_for(inputs, baselines)
    if len(drawn) != len(problem.x) or not all(isinstance(b, Tensor) and b.ndim and len(b) > 1 for b in drawn):
        raise CaptumAssertion(
            "a distribution of baselines is a tensor of several rows for each input; "
            f"got {[tuple(b.shape) if isinstance(b, Tensor) else b for b in drawn]}. For one baseline use DeepLift."
        )
    for x, b in zip(problem.x, drawn, strict=True):
        if b.shape[1:] != x.shape[1:] or len(b) != len(drawn[0]):
            raise CaptumAssertion(
                f"baselines must have the shape of their input's rows {tuple(x.shape[1:])}; got {b.shape}."
            )
    each = problem.part(problem.everyone.repeat_interleave(len(drawn[0])))
    rows = tuple(b.detach().repeat(problem.examples, *[1] * (b.ndim - 1)) for b in drawn)
    return replace(each, baseline=rows), len(drawn[0])


def _custom(function: Callable[..., tuple[Tensor, ...]], *given: Tensors) -> Tensors:
    """A user's own way from multipliers, inputs and baselines to scores; it may leave out the last, or two."""
    takes = len(signature(function).parameters) if callable(function) else 0
    if takes not in (1, 2, 3):
        raise CaptumAssertion(f"custom_attribution_func takes multipliers, inputs and baselines; got {function!r}.")
    return function(*given[:takes])


class _Lifting(GradientAttribution):
    """What the six classes share: DeepLIFT of any problem, from one baseline or from each of several."""

    eps: float = 1e-10
    _several = False  # do baselines come as a `Distribution`?

    def _lifted(
        self,
        bind: Callable[[Any], Problem],
        inputs: TensorOrTuple,
        baselines: Any,
        custom: Custom,
    ) -> tuple[Tensors, Tensor]:
        """Scores, averaged over the baselines of each example; and for each pair Σ scores − (f(x) − f(x₀)).

        bind: from a baseline to the problem.
        """
        problem, each = _distributed(bind(None), baselines, inputs) if self._several else (bind(baselines), 1)
        rows = Batching(limit=2 * problem.examples)  # at once, as Captum's rule for softmax needs it
        problem = replace(problem, rows=rows)
        found = propagation.DeepLiftMethod(epsilon=self.eps, as_captum=True).multipliers(problem)
        tensors = squeezed(found.tensors)
        if custom is not None:
            tensors = _custom(custom, tensors, found.x, found.baseline)
        elif self.multiplies_by_inputs:
            tensors = tuple(m * (x - x0) for m, x, x0 in zip(tensors, found.x, found.baseline, strict=True))
        total = sum(t.reshape(len(t), -1).sum(1) for t in tensors)
        delta = total - (found.values - found.baseline_values).squeeze(1)
        return tuple(t.unflatten(0, (-1, each)).mean(1) for t in tensors), delta


class DeepLift(_Lifting, ModelAttribution):
    """`methods.propagation.DeepLiftMethod` of the inputs, with Captum's rule for `nn.Softmax`."""

    def __init__(self, model: nn.Module, multiply_by_inputs: bool = True, eps: float = 1e-10) -> None:
        super().__init__(model)
        self._multiply_by_inputs = multiply_by_inputs
        self.eps = eps

    def has_convergence_delta(self) -> bool:
        return True

    def attribute(
        self,
        inputs: TensorOrTuple,
        baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        return_convergence_delta: bool = False,
        custom_attribution_func: Custom = None,
    ) -> Any:
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        with forward.lent():
            tensors, delta = self._lifted(partial(at_inputs, forward), inputs, baselines, custom_attribution_func)
        return (forward.shaped(tensors), delta) if return_convergence_delta else forward.shaped(tensors)


class DeepLiftShap(DeepLift):
    """`DeepLift`, averaged over a distribution of baselines. Deltas are given for each pair, baselines in turn."""

    _several = True

    def __init__(self, model: nn.Module, multiply_by_inputs: bool = True) -> None:
        super().__init__(model, multiply_by_inputs)

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        baselines: Distribution,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        return_convergence_delta: bool = False,
        custom_attribution_func: Custom = None,
    ) -> Any:
        given = (target, additional_forward_args, return_convergence_delta, custom_attribution_func)
        return DeepLift.attribute(self, inputs, baselines, *given)  # type: ignore[arg-type]


class LayerDeepLift(LayerAttribution, DeepLift):
    """`DeepLift` at a layer: its own difference, times what that makes of the target's."""

    def __init__(self, model: nn.Module, layer: nn.Module, multiply_by_inputs: bool = True) -> None:
        super().__init__(model, layer)
        self._multiply_by_inputs = multiply_by_inputs

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        return_convergence_delta: bool = False,
        attribute_to_layer_input: bool = False,
        custom_attribution_func: Custom = None,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        check_grad_kwargs(grad_kwargs)
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        bind = partial(at_inputs, forward, sites=sites_of(self.layer, layer_input=attribute_to_layer_input))
        with forward.lent():
            tensors, delta = self._lifted(bind, forward.inputs, baselines, custom_attribution_func)
        shaped = like_layers(tensors, [len(tensors)], self.layer)
        return (shaped, delta) if return_convergence_delta else shaped


class LayerDeepLiftShap(LayerDeepLift, DeepLiftShap):
    """`DeepLiftShap` at a layer."""

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        baselines: Distribution,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        return_convergence_delta: bool = False,
        attribute_to_layer_input: bool = False,
        custom_attribution_func: Custom = None,
    ) -> Any:
        given = (target, additional_forward_args, return_convergence_delta, attribute_to_layer_input)
        return LayerDeepLift.attribute(self, inputs, baselines, *given, custom_attribution_func)  # type: ignore[arg-type]


class NeuronDeepLift(NeuronAttribution, _Lifting):
    """`DeepLift` of a neuron."""

    def __init__(self, model: nn.Module, layer: nn.Module, multiply_by_inputs: bool = True) -> None:
        super().__init__(module(model), layer)
        self._multiply_by_inputs = multiply_by_inputs

    def attribute(
        self,
        inputs: TensorOrTuple,
        neuron_selector: Selector,
        baselines: Baselines = None,
        additional_forward_args: object | None = None,
        attribute_to_neuron_input: bool = False,
        custom_attribution_func: Custom = None,
    ) -> Any:
        forward = Forward.of(self.forward_func, inputs, additional_forward_args)
        bind = partial(self._problem, forward, neuron_selector, attribute_to_neuron_input)
        with forward.lent():
            return forward.shaped(self._lifted(bind, inputs, baselines, custom_attribution_func)[0])


class NeuronDeepLiftShap(NeuronDeepLift):
    """`DeepLiftShap` of a neuron."""

    _several = True

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        neuron_selector: Selector,
        baselines: Distribution,
        additional_forward_args: object | None = None,
        attribute_to_neuron_input: bool = False,
        custom_attribution_func: Custom = None,
    ) -> Any:
        given = (additional_forward_args, attribute_to_neuron_input, custom_attribution_func)
        return super().attribute(inputs, neuron_selector, baselines, *given)  # type: ignore[arg-type]
