"""Captum's names for layer-wise relevance propagation. Functions are covered as modules are: `F.relu`, `x + y`.

Captum hooks tensors between modules, and leaves its own rules in these places; here they are kept:
- the identity rule after a ReLU hands on r/z, not r;
- functions, products, softmax and norms as functions: it copies relevance, so nothing adds up;
- a module used twice: it refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from torch import Tensor, nn

from xai_nlp.attr.base import LayerAttribution, ModelAttribution, like_layers, squeezed
from xai_nlp.attr.forward import Forward, Layers, TargetType, TensorOrTuple, as_tuple, at_inputs, sites_of
from xai_nlp.core.problem import Tensors
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.scope import ModulePoint
from xai_nlp.methods import propagation
from xai_nlp.methods.gradient import InputXGradientMethod
from xai_nlp.methods.propagation import PropagationRule, lrp_problem

#: What Captum's LRP takes: on a model made of these alone numbers are Captum's, which let biases absorb relevance.
CAPTUMS = {
    *("MaxPool1d", "MaxPool2d", "MaxPool3d", "Conv2d", "AvgPool2d", "AdaptiveAvgPool2d", "Linear", "BatchNorm2d"),
    *("Addition_Module", "ReLU", "Dropout", "Tanh"),
}


class NotARule(InvalidInput, TypeError):
    """A module's `rule` that is none."""


class LRP(ModelAttribution):
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
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        tensors, output = self._relevance(forward, (), verbose)
        shaped = forward.shaped(tensors)
        return (shaped, self.compute_convergence_delta(shaped, output)) if return_convergence_delta else shaped

    def _relevance(self, forward: Forward, sites: Sequence[ModulePoint], verbose: bool) -> tuple[Tensors, Tensor]:
        """Relevance at the sites, or at the inputs; and the output whose it is: (B, 1)."""
        rules = self._rules()
        leaves = [module for module in self.model.modules() if not next(module.children(), None)]
        known = all(type(module).__name__ in CAPTUMS or module in rules for module in leaves)
        if verbose:
            for module in leaves:
                print(f"{module}: {rules.get(module, 'the usual rule')}")
        problem = lrp_problem(at_inputs(forward, None, sites=sites), "absorb" if known else "share", of_module=rules)
        with forward.lent():
            found = InputXGradientMethod().scores(problem)
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
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        tensors, output = self._relevance(forward, sites, verbose)
        shaped = like_layers(tensors, self._counts(forward, sites, len(tensors)), self.layer)
        if not return_convergence_delta:
            return shaped
        of_layer = self.compute_convergence_delta
        delta = [of_layer(s, output) for s in shaped] if isinstance(shaped, list) else of_layer(shaped, output)
        return shaped, delta
