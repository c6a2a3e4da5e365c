"""Captum's names for integrals along the path from baseline to input: of the inputs, a layer or a neuron."""

from __future__ import annotations

from typing import Any

from xai_nlp.attr.base import (
    Contributions,
    GradientAttribution,
    InternalContributions,
    LayerAttribution,
    NeuronAttribution,
    check_count,
)
from xai_nlp.attr.problems import Selector, flow_subject, layer_points, subject_of, zero_where_unused
from xai_nlp.core.captum_types import Baselines, TargetType, TensorOrTuple, UnknownChoice
from xai_nlp.core.forward import Forward
from xai_nlp.core.problem import Problem
from xai_nlp.hooks.attention import AttentionPoint
from xai_nlp.methods.path import Conductance, IntegratedGradientsMethod, PathMethod

#: Captum's names for the quadrature rules. Its trapezoid is kept as it is, since it is NeuronConductance's default and
#: a user who swaps the import expects the same numbers; `core.quadrature.trapezoid` is the right one.
RULES = {
    "gausslegendre": "gauss_legendre",
    "riemann_trapezoid": "captum_trapezoid",
    "riemann_left": "left",
    "riemann_middle": "middle",
    "riemann_right": "right",
}


class PathAttribution(GradientAttribution):
    """Scores that are integrals along the path from baseline to input."""

    _method: type[PathMethod] = IntegratedGradientsMethod

    def _integral(self, rule: str, steps: int) -> PathMethod:
        """The method over so many steps, by Captum's name for the rule. Raises UnknownChoice or CaptumAssertion."""
        if rule not in RULES:
            raise UnknownChoice("integration method", rule, RULES)
        check_count(f"n_steps of {rule}", steps, 2 if rule == "riemann_trapezoid" else 1)
        options = {} if self.multiplies_by_inputs else {"multiply": False}
        return self._method(rule=RULES[rule], steps=steps, **options)


class IntegratedGradients(Contributions, PathAttribution):
    """`methods.path.IntegratedGradientsMethod` of the inputs.

    >>> import torch
    >>> ig = IntegratedGradients(lambda x: (x ** 2).sum(1))
    >>> ig.attribute(torch.tensor([[3.0, 4.0]]), n_steps=2)
    tensor([[ 9., 16.]])
    """

    _has_delta = True

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
    ) -> Any:
        """Contributions of the inputs' entries, in the shape of `inputs` and the unit of the target: (B, …) each."""
        forward = self._bind(inputs, additional_forward_args, target)
        options = (baselines, internal_batch_size, return_convergence_delta)
        return self._scores(self._integral(method, n_steps), forward, None, *options)


# At a layer ----------------------------------------------------------------------------------------------------------


class LayerPathAttribution(LayerAttribution, PathAttribution):
    """Contributions of a layer's entries."""

    _has_delta = True

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
        forward = self._bind(inputs, additional_forward_args, target, grad_kwargs)
        options = (attribute_to_layer_input, baselines, internal_batch_size, return_convergence_delta)
        return self._scores(self._integral(method, n_steps), forward, *options)


class LayerIntegratedGradients(InternalContributions, LayerPathAttribution):
    """`methods.path.IntegratedGradientsMethod`, with the layer's tensors moving from baseline to input.

    Several layers move together; none should depend on another's output. Attention matrices (`points.attention[k]`)
    move from A₀, what they are for the baselines, to A: their scores add up to F(A) − F(A₀), the model run on the
    inputs with A₀ in their place, and the convergence delta compares with that.
    """

    def _problem(
        self, forward: Forward, place: Any = None, baselines: Baselines = None, rows: int | None = None
    ) -> Problem:
        subject = subject_of(forward, baselines, rows)
        return zero_where_unused(subject.at(layer_points(self.layer, layer_input=place)).problem(), subject.problem())

    def _ends(self, forward: Forward, baselines: Baselines, rows: int | None) -> Problem:
        if any(isinstance(point, AttentionPoint) for point in layer_points(self.layer)):
            return self._problem(forward, False, baselines, rows)
        return super()._ends(forward, baselines, rows)


class LayerConductance(LayerPathAttribution):
    """Conductance by Captum's sum: the gradient at the left end of each of n_steps steps, times the layer's change.

    It is first-order, and leaves out the path before the first node and after the last. `methods.path.Conductance` with
    its own rule does neither.
    """

    multiplies_by_inputs = True
    _method = Conductance


class InternalInfluence(LayerAttribution, PathAttribution):
    """`methods.path.InternalInfluenceMethod` at a layer: integrated gradients without the displacement."""

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
        forward = self._bind(inputs, additional_forward_args, target, grad_kwargs)
        options = (attribute_to_layer_input, baselines, internal_batch_size)
        return self._scores(self._integral(method, n_steps), forward, *options)


# Of a neuron ---------------------------------------------------------------------------------------------------------


class NeuronIntegratedGradients(InternalContributions, NeuronAttribution, PathAttribution):
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
        neuron = (neuron_selector, attribute_to_neuron_input)
        return self._scores(self._integral(method, n_steps), forward, neuron, baselines, internal_batch_size)


class NeuronConductance(InternalContributions, NeuronAttribution, PathAttribution):
    """The part of the target that flows from each input through one neuron: integrated gradients of that part."""

    _neuron_subject = staticmethod(flow_subject)

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
        forward = self._bind(inputs, additional_forward_args, target, grad_kwargs)
        neuron = (neuron_selector, attribute_to_neuron_input)
        return self._scores(self._integral(method, n_steps), forward, neuron, baselines, internal_batch_size)
