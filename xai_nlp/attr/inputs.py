"""Captum's names for scores of the inputs, from gradients."""

from __future__ import annotations

from typing import Any

from xai_nlp.attr.base import Contributions, GradientAttribution, path_options
from xai_nlp.core.captum_types import Baselines, TargetType, TensorOrTuple
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
        """Contributions of the inputs' entries, in the shape of `inputs` and the unit of the target: (B, …) each."""
        forward = self._bind(inputs, additional_forward_args, target)
        options = path_options(method, n_steps)
        integral = path.IntegratedGradientsMethod(**options, multiply=self.multiplies_by_inputs)
        scores = self._input_scores(integral, forward, baselines, internal_batch_size)
        return self._with_delta(return_convergence_delta, scores, forward, baselines, internal_batch_size)


class Saliency(GradientAttribution):
    """`methods.gradient.SaliencyMethod` of the inputs: the gradient's size, or with `abs=False` the gradient."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        target: TargetType = None,
        abs: bool = True,
        additional_forward_args: object | None = None,
    ) -> Any:
        """Gradients of the target with respect to the inputs, in their shape: (B, …) each.

        abs: return absolute values.
        """
        forward = self._bind(inputs, additional_forward_args, target)
        return self._input_scores(gradient.SaliencyMethod(absolute=abs), forward)


class InputGradientAttribution(GradientAttribution):
    """Scores of the inputs by a method without options."""

    _method: Method

    def attribute(
        self, inputs: TensorOrTuple, target: TargetType = None, additional_forward_args: object | None = None
    ) -> Any:
        """Scores of the inputs' entries, in the shape of `inputs`: (B, …) each."""
        return self._input_scores(self._method, self._bind(inputs, additional_forward_args, target))


class InputXGradient(InputGradientAttribution):
    """`methods.gradient.InputXGradientMethod` of the inputs."""

    _multiply_by_inputs = True
    _method = gradient.InputXGradientMethod()
