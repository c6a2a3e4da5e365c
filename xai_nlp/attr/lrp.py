"""Captum's names for layer-wise relevance propagation. Functions have rules as modules have: `F.relu`, `x + y`.

Captum hooks the tensors between modules, which breaks its rules in these places; here they hold:
- the identity rule after a ReLU passes on r/z, not r;
- functions, products, softmax and norms as functions: it copies relevance, so that scores do not add up;
- a module used twice: it refuses.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from torch import Tensor, nn

from xai_nlp.attr.base import LayerAttribution, ModelAttribution
from xai_nlp.attr.problems import Layers
from xai_nlp.core.captum_types import TargetType, TensorOrTuple
from xai_nlp.core.features import by_row
from xai_nlp.core.forward import Forward, as_tuple
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.scope import modules_of
from xai_nlp.methods.gradient import InputXGradientMethod
from xai_nlp.methods.propagation import rules as propagation_rules
from xai_nlp.methods.propagation.rules import PropagationRule, lrp_problem

#: The modules that Captum's LRP takes. On a model of these alone our numbers are Captum's: biases absorb relevance.
CAPTUM_MODULES = {
    *("MaxPool1d", "MaxPool2d", "MaxPool3d", "Conv2d", "AvgPool2d", "AdaptiveAvgPool2d", "Linear", "BatchNorm2d"),
    *("Addition_Module", "ReLU", "Dropout", "Tanh"),
}


class NotARule(InvalidInput, TypeError):
    """A module's `rule` that is not a propagation rule."""


class LRP(ModelAttribution):
    """Layer-wise relevance propagation, by the rules in `methods.propagation`: a layer's own in its `rule` attribute.

    On models that Captum's LRP takes, its numbers: biases absorb what they contribute, and the delta says how much. On
    others, where Captum raises TypeError (norms, embeddings, attention, GELU), nothing is lost: `biases="share"`.
    `module.rule` stays on the module, which Captum removes. Operations without a rule raise TypeError here too.
    """

    multiplies_by_inputs = True
    _has_delta = True

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self._rules()

    def compute_convergence_delta(  # type: ignore[override]
        self, attributions: TensorOrTuple, output: Tensor
    ) -> Tensor:
        """f(x) − Σ scores for each example: the relevance that biases and ε absorbed. (B,)

        attributions: scores, one tensor or several, (B, …) each. output: f(x), (B,) or (B, 1).
        """
        total = sum(by_row(scores).sum(1) for scores in as_tuple(attributions))
        return output.flatten() - total

    def attribute(
        self,
        inputs: TensorOrTuple,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        return_convergence_delta: bool = False,
        verbose: bool = False,
    ) -> Any:
        """Relevance of the inputs' entries, in the shape of `inputs` and the unit of the target: (B, …) each.

        return_convergence_delta: also return f(x) − Σ scores of each example, (B,), as in a pair.
        """
        forward = self._bind(inputs, additional_forward_args, target)
        return self._relevance(forward, None, verbose, return_convergence_delta)

    def _relevance(self, forward: Forward, place: Any, verbose: bool, with_delta: bool) -> Any:
        """Relevance at the place; with the delta of each layer, if it is requested."""
        rules = self._rules()
        leaves = [
            module for module in modules_of(self.model) if all(child is None for child in module._modules.values())
        ]
        as_captum = all(type(module).__name__ in CAPTUM_MODULES or module in rules for module in leaves)
        if verbose:
            for module in leaves:
                print(f"{module}: {rules.get(module, 'the usual rule')}")
        problem = lrp_problem(self._problem(forward, place), "absorb" if as_captum else "share", of_module=rules)
        with forward.frozen():
            relevance = InputXGradientMethod().scores(problem)
            scores = self._shaped(tuple(t.squeeze(1) for t in relevance.tensors), forward, place)
        if not with_delta:
            return scores
        assert relevance.value is not None
        if isinstance(scores, list):
            return scores, [self.compute_convergence_delta(of_layer, relevance.value) for of_layer in scores]
        return scores, self.compute_convergence_delta(scores, relevance.value)

    def _rules(self) -> dict[nn.Module, PropagationRule]:
        """The rules that modules name themselves. Raises NotARule."""
        rules = {module: getattr(module, "rule", None) for module in modules_of(self.model)}
        return {module: _our_rule(rule, module) for module, rule in rules.items() if rule is not None}


def _our_rule(rule: Any, module: nn.Module) -> PropagationRule:
    """A rule of ours; for one of Captum's, ours of the same name and options."""
    same_name = getattr(propagation_rules, type(rule).__name__, None)
    if isinstance(rule, PropagationRule):
        return rule
    if not (isinstance(same_name, type) and issubclass(same_name, PropagationRule)):
        raise NotARule(f"the rule of {module} must be one of xai_nlp.methods.propagation.rules; got {rule!r}.")
    captum_names = {"epsilon": "STABILITY_FACTOR"}
    return same_name(**{f.name: getattr(rule, captum_names.get(f.name, f.name)) for f in fields(same_name)})


class LayerLRP(LayerAttribution, LRP):
    """`LRP` at a layer, or at several."""

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
        """Relevance of the layer's entries, in its shape and the unit of the target: (B, …) for each tensor.

        return_convergence_delta: also return f(x) − Σ scores of each example, (B,), or a list of them for several
            layers: the relevance lost between each of them and the output.
        """
        forward = self._bind(inputs, additional_forward_args, target)
        return self._relevance(forward, attribute_to_layer_input, verbose, return_convergence_delta)
