"""Captum's names for methods that change how gradients flow. Functions are covered as modules are: `F.relu`, `x + y`.

Captum hooks tensors between modules, and leaves its own rules in these places; here they are kept:
- activations and pooling that touch (ReLU, then MaxPool): its hook sees what comes back before the second one's rule;
- `LayerDeepLift` at the input of an activation: it goes by its slope;
- pooling windows that overlap overwrite each other; where nothing changes the batch's first gradient is used for all;
- the identity rule after a ReLU hands on r/z, not r; a ReLU's hook also changes what comes back past it (x + relu(x));
- functions, products, softmax and norms as functions: it copies relevance, or takes slopes, so nothing adds up;
- a module used twice: it refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from inspect import signature
from typing import Any, TypeAlias

from torch import Tensor, nn

from xai_nlp.attr.base import (
    GradientAttribution,
    LayerAttribution,
    NeuronAttribution,
    check_grad_kwargs,
    like_layers,
    squeezed,
)
from xai_nlp.attr.forward import (
    Baselines,
    Forward,
    Layers,
    Refused,
    Selector,
    TargetType,
    TensorOrTuple,
    as_tuple,
    at_inputs,
    at_neuron,
    sites_of,
)
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.registry import Method
from xai_nlp.core.rows import Rows
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.scope import Site
from xai_nlp.methods import propagation
from xai_nlp.methods.gradient import InputXGradient
from xai_nlp.methods.propagation import PropagationRule, relevant

Custom: TypeAlias = Callable[..., tuple[Tensor, ...]] | None
Distribution: TypeAlias = TensorOrTuple | Callable[..., TensorOrTuple]


class _OfModel(GradientAttribution):
    """What is asked of a module, not of any function."""

    def __init__(self, model: nn.Module) -> None:
        if not isinstance(model, nn.Module):
            raise Refused(f"the model must be a torch module; got {type(model).__name__}.")
        super().__init__(model)
        self.model = model


# ReLU rewired ---------------------------------------------------------------------------------------------------------


class _Rectified(_OfModel):
    _method: Method

    def attribute(
        self, inputs: TensorOrTuple, target: TargetType = None, additional_forward_args: object | None = None
    ) -> Any:
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        return self._of_inputs(self._method, forward, None, None, isinstance(inputs, tuple))


class GuidedBackprop(_Rectified):
    """`methods.propagation.GuidedBackprop` of the inputs."""

    _method = propagation.GuidedBackprop()


class Deconvolution(_Rectified):
    """`methods.propagation.Deconvolution` of the inputs."""

    _method = propagation.Deconvolution()


class _NeuronRectified(NeuronAttribution, GradientAttribution):
    _method: Method

    def __init__(self, model: nn.Module, layer: nn.Module, device_ids: list[int] | None = None) -> None:
        super().__init__(_OfModel(model).model, layer, device_ids)

    def attribute(
        self,
        inputs: TensorOrTuple,
        neuron_selector: Selector,
        additional_forward_args: object | None = None,
        attribute_to_neuron_input: bool = False,
    ) -> Any:
        forward = Forward.of(self.forward_func, inputs, additional_forward_args)
        (site,) = sites_of(self.layer, layer_input=attribute_to_neuron_input)
        with forward.lent():
            tensors = squeezed(self._method.scores(at_neuron(forward, None, site, neuron_selector)).tensors)
        return tensors if isinstance(inputs, tuple) else tensors[0]


class NeuronGuidedBackprop(_NeuronRectified):
    """`methods.propagation.GuidedBackprop` of a neuron."""

    _method = propagation.GuidedBackprop()


class NeuronDeconvolution(_NeuronRectified):
    """`methods.propagation.Deconvolution` of a neuron."""

    _method = propagation.Deconvolution()


# DeepLIFT -------------------------------------------------------------------------------------------------------------


def _distributed(problem: Problem, baselines: Any, inputs: Any) -> tuple[Problem, int]:
    """Each input paired with each baseline of a distribution, as examples of their own; also how many baselines."""
    if callable(baselines):
        baselines = baselines(inputs) if signature(baselines).parameters else baselines()
    drawn = as_tuple(baselines)
    if len(drawn) != len(problem.x) or not all(isinstance(b, Tensor) and b.ndim and len(b) > 1 for b in drawn):
        raise Refused(
            "a distribution of baselines is a tensor of several rows for each input; "
            f"got {[tuple(b.shape) if isinstance(b, Tensor) else b for b in drawn]}. For one baseline use DeepLift."
        )
    for x, b in zip(problem.x, drawn, strict=True):
        if b.shape[1:] != x.shape[1:] or len(b) != len(drawn[0]):
            raise Refused(f"baselines must have the shape of their input's rows {tuple(x.shape[1:])}; got {b.shape}.")
    each = problem.part(problem.everyone.repeat_interleave(len(drawn[0])))
    rows = tuple(b.detach().repeat(problem.examples, *[1] * (b.ndim - 1)) for b in drawn)
    return replace(each, baseline=rows), len(drawn[0])


def _custom(function: Callable[..., tuple[Tensor, ...]], *given: Tensors) -> Tensors:
    """A user's own way from multipliers, inputs and baselines to scores; it may leave out the last, or two."""
    takes = len(signature(function).parameters) if callable(function) else 0
    if takes not in (1, 2, 3):
        raise Refused(f"custom_attribution_func takes multipliers, inputs and baselines; got {function!r}.")
    return function(*given[:takes])


class DeepLift(_OfModel):
    """`methods.propagation.DeepLift` of the inputs, with Captum's rule for `nn.Softmax`."""

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
            tensors, delta = self._lifted(at_inputs(forward, baselines), custom_attribution_func)
        shaped = tensors if isinstance(inputs, tuple) else tensors[0]
        return (shaped, delta) if return_convergence_delta else shaped

    def _lifted(self, problem: Problem, custom: Custom, baselines: int = 1) -> tuple[Tensors, Tensor]:
        """Scores, averaged over so many baselines of each example; and for each pair Σ scores − (f(x) − f(x₀))."""
        problem = replace(problem, rows=Rows(limit=problem.examples))  # at once, as Captum's rule for softmax needs it
        found = propagation.DeepLift(epsilon=self.eps, as_captum=True).multipliers(problem)
        tensors = squeezed(found.tensors)
        if custom is not None:
            tensors = _custom(custom, tensors, found.x, found.baseline)
        elif self._multiply_by_inputs:
            tensors = tuple(m * (x - x0) for m, x, x0 in zip(tensors, found.x, found.baseline, strict=True))
        total = sum(t.reshape(len(t), -1).sum(1) for t in tensors)
        delta = total - (found.values - found.baseline_values).squeeze(1)
        return tuple(t.unflatten(0, (-1, baselines)).mean(1) for t in tensors), delta


class DeepLiftShap(DeepLift):
    """`DeepLift`, averaged over a distribution of baselines. Deltas are given for each pair, baselines in turn."""

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
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        problem, drawn = _distributed(at_inputs(forward, None), baselines, inputs)
        with forward.lent():
            tensors, delta = self._lifted(problem, custom_attribution_func, drawn)
        shaped = tensors if isinstance(inputs, tuple) else tensors[0]
        return (shaped, delta) if return_convergence_delta else shaped


class LayerDeepLift(LayerAttribution, DeepLift):
    """`DeepLift` at a layer: its own difference, times what that makes of the target's."""

    layer: nn.Module

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
        sites = sites_of(self.layer, layer_input=attribute_to_layer_input)
        with forward.lent():
            tensors, delta = self._lifted(at_inputs(forward, baselines, sites=sites), custom_attribution_func)
        shaped = tensors if len(tensors) > 1 else tensors[0]
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
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        sites = sites_of(self.layer, layer_input=attribute_to_layer_input)
        problem, drawn = _distributed(at_inputs(forward, None, sites=sites), baselines, as_tuple(inputs))
        with forward.lent():
            tensors, delta = self._lifted(problem, custom_attribution_func, drawn)
        shaped = tensors if len(tensors) > 1 else tensors[0]
        return (shaped, delta) if return_convergence_delta else shaped


class _NeuronLifted(NeuronAttribution, GradientAttribution):
    def __init__(self, model: nn.Module, layer: nn.Module, multiply_by_inputs: bool = True) -> None:
        super().__init__(model, layer)
        self._multiply_by_inputs = multiply_by_inputs

    def _neuron(
        self, inputs: TensorOrTuple, selector: Selector, baselines: Any, extra: Any, neuron_input: bool, custom: Custom
    ) -> Any:
        """Scores of a neuron, from a baseline or, where there is a `Distribution`, from each of them."""
        forward = Forward.of(self.forward_func, inputs, extra)
        (site,) = sites_of(self.layer, layer_input=neuron_input)
        drawn, spread = 1, isinstance(self, NeuronDeepLiftShap)
        problem = at_neuron(forward, None if spread else baselines, site, selector)
        if spread:
            problem, drawn = _distributed(problem, baselines, inputs)
        lift = DeepLift(self.forward_func, self._multiply_by_inputs)  # type: ignore[arg-type]
        with forward.lent():
            tensors, _ = lift._lifted(problem, custom, drawn)
        return tensors if isinstance(inputs, tuple) else tensors[0]


class NeuronDeepLift(_NeuronLifted):
    """`DeepLift` of a neuron."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        neuron_selector: Selector,
        baselines: Baselines = None,
        additional_forward_args: object | None = None,
        attribute_to_neuron_input: bool = False,
        custom_attribution_func: Custom = None,
    ) -> Any:
        given = (neuron_selector, baselines, additional_forward_args, attribute_to_neuron_input)
        return self._neuron(inputs, *given, custom_attribution_func)


class NeuronDeepLiftShap(_NeuronLifted):
    """`DeepLiftShap` of a neuron."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        neuron_selector: Selector,
        baselines: Distribution,
        additional_forward_args: object | None = None,
        attribute_to_neuron_input: bool = False,
        custom_attribution_func: Custom = None,
    ) -> Any:
        given = (neuron_selector, baselines, additional_forward_args, attribute_to_neuron_input)
        return self._neuron(inputs, *given, custom_attribution_func)


# LRP ------------------------------------------------------------------------------------------------------------------

#: What Captum's LRP takes: on a model made of these alone numbers are Captum's, which let biases absorb relevance.
CAPTUMS = {
    *("MaxPool1d", "MaxPool2d", "MaxPool3d", "Conv2d", "AvgPool2d", "AdaptiveAvgPool2d", "Linear", "BatchNorm2d"),
    *("Addition_Module", "ReLU", "Dropout", "Tanh"),
}


class NotARule(InvalidInput, TypeError):
    """A module's `rule` that is none."""


class LRP(_OfModel):
    """Layer-wise relevance propagation, by the rules in `methods.propagation`: a layer's own in its `rule` attribute.

    On models that Captum's LRP takes, its numbers: biases absorb what they contribute, and the delta says how much. On
    others, where Captum raises TypeError (norms, embeddings, attention, GELU), nothing is lost: `biases="share"`.
    `module.rule` stays on the module, which Captum takes off. Operations without a rule raise TypeError here too.
    """

    _multiply_by_inputs = True

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self._rules()

    def has_convergence_delta(self) -> bool:
        return True

    def compute_convergence_delta(  # type: ignore[override]
        self, attributions: TensorOrTuple, output: Tensor
    ) -> Tensor:
        """f(x) − Σ scores for each example: what biases and ε absorbed. (B,)"""
        total = sum(scores.flatten(1).sum(1) for scores in as_tuple(attributions))
        return output.flatten() - total

    def attribute(
        self,
        inputs: TensorOrTuple,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        return_convergence_delta: bool = False,
        verbose: bool = False,
    ) -> Any:
        tensors, output = self._relevance(inputs, target, additional_forward_args, (), verbose)
        shaped = tensors if isinstance(inputs, tuple) else tensors[0]
        return (shaped, self.compute_convergence_delta(tensors, output)) if return_convergence_delta else shaped

    def _relevance(
        self, inputs: Any, target: TargetType, extra: Any, sites: Sequence[Site], verbose: bool
    ) -> tuple[Tensors, Tensor]:
        """Relevance at the sites, or at the inputs; and the output whose it is: (B, 1)."""
        rules = self._rules()
        leaves = [module for module in self.model.modules() if not next(module.children(), None)]
        known = all(type(module).__name__ in CAPTUMS or module in rules for module in leaves)
        if verbose:
            for module in leaves:
                print(f"{module}: {rules.get(module, 'the usual rule')}")
        forward = Forward.of(self.forward_func, inputs, extra, target)
        problem = relevant(at_inputs(forward, None, sites=sites), "absorb" if known else "share", of_module=rules)
        with forward.lent():
            found = InputXGradient().scores(problem)
        assert found.value is not None
        return squeezed(found.tensors), found.value

    def _rules(self) -> dict[nn.Module, PropagationRule]:
        given = {module: getattr(module, "rule", None) for module in self.model.modules()}
        return {module: _ours(rule, module) for module, rule in given.items() if rule is not None}


def _ours(rule: Any, module: nn.Module) -> PropagationRule:
    """A rule of ours, or Captum's of the same name and options."""
    same = getattr(propagation, type(rule).__name__, None)
    if isinstance(rule, PropagationRule):
        return rule
    if not (isinstance(same, type) and issubclass(same, PropagationRule)):
        raise NotARule(f"the rule of {module} must be one of xai_nlp.methods.propagation; got {rule!r}.")
    named = {"epsilon": "STABILITY_FACTOR"}
    return same(**{f.name: getattr(rule, named.get(f.name, f.name)) for f in fields(same)})


class LayerLRP(LayerAttribution, LRP):
    """`LRP` at a layer, or at several. With deltas it states what is lost between each of them and the output."""

    def __init__(self, model: nn.Module, layer: Layers) -> None:
        super().__init__(model, layer)

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        return_convergence_delta: bool = False,
        attribute_to_layer_input: bool = False,
        verbose: bool = False,
    ) -> Any:
        sites = sites_of(self.layer, layer_input=attribute_to_layer_input)
        tensors, output = self._relevance(inputs, target, additional_forward_args, sites, verbose)
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        shaped = like_layers(tensors, self._counts(forward, sites, len(tensors)), self.layer)
        if not return_convergence_delta:
            return shaped
        of_layer = self.compute_convergence_delta
        delta = [of_layer(s, output) for s in shaped] if isinstance(shaped, list) else of_layer(shaped, output)
        return shaped, delta
