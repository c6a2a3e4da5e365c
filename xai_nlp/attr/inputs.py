"""Captum's names for scores of the inputs."""

from __future__ import annotations

from typing import Any

from xai_nlp.attr.base import Contributions, GradientAttribution, path_of
from xai_nlp.core.forward import Baselines, TargetType, TensorOrTuple
from xai_nlp.core.registry import Method
from xai_nlp.methods import gradient, path


class IntegratedGradients(Contributions):
    """`methods.path.IntegratedGradientsMethod` of the inputs.

    >>> import torch
    >>> ig = IntegratedGradients(lambda x: (x ** 2).sum(1))
    >>> ig.attribute(torch.tensor([[3.0, 4.0]]), n_steps=2)
    tensor([[ 9., 16.]])
    """

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
    ) -> Any:
        forward = self._bind(inputs, additional_forward_args, target)
        how = path.IntegratedGradientsMethod(**path_of(method, n_steps), multiply=self.multiplies_by_inputs)
        scores = self._of_inputs(how, forward, baselines, internal_batch_size)
        return self._with_delta(return_convergence_delta, scores, forward, baselines)


class Saliency(GradientAttribution):
    """`methods.gradient.SaliencyMethod` of the inputs: the gradient's size, or with `abs=False` the gradient."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        target: TargetType = None,
        abs: bool = True,
        additional_forward_args: object | None = None,
    ) -> Any:
        forward = self._bind(inputs, additional_forward_args, target)
        return self._of_inputs(gradient.SaliencyMethod(absolute=abs), forward)


class OfOneGradient(GradientAttribution):
    """A method of the inputs that has no options."""

    _method: Method

    def attribute(
        self, inputs: TensorOrTuple, target: TargetType = None, additional_forward_args: object | None = None
    ) -> Any:
        return self._of_inputs(self._method, self._bind(inputs, additional_forward_args, target))


class InputXGradient(OfOneGradient):
    """`methods.gradient.InputXGradientMethod` of the inputs."""

    _multiply_by_inputs = True
    _method = gradient.InputXGradientMethod()
