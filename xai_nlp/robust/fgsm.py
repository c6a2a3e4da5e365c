"""The fast gradient sign method: one step along the sign of the loss's gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from xai_nlp.attr.ablation import broadcasts_to
from xai_nlp.attr.problems import Layer, from_layer, layer_points
from xai_nlp.core.captum_types import CaptumAssertion, TensorOrTuple
from xai_nlp.core.forward import Forward, as_tuple, output_tensor, select
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.hooks.interrupts import check_interrupt
from xai_nlp.hooks.onednn import onednn_products
from xai_nlp.robust.perturbation import Perturbation

ROUNDING = 1e-4  # of a probability: a sum of them may be a little above 1


class FGSM(Perturbation):
    """x + ε · sign(∇L), the input that one step takes to a larger loss; or to a smaller one, if the attack is targeted.

    forward_func: the model, or any function of the inputs.
    loss_func: a function of the model's output and of `target` that returns a number, or one for each example. By
        default it is −log of the target's probability. Outputs are probabilities if all of them lie in [0, 1]; others,
        and the `logits` of a HuggingFace model, are logits and go through a softmax over the last axis.
    lower_bound, upper_bound: the bounds of the entries of what moves, numbers or tensors.
    layer: a torch module or a hook point such as `xai_nlp.points(model).word`; the tensors there move instead.
    bound: the function that keeps to the bounds; may be replaced.
    zero_thresh: where the gradient is not above this, the entry stays.

    Raises CaptumAssertion for a lower bound above the upper one, and for several layers.
    Source: Goodfellow, Shlens & Szegedy 2015, sec. 4 (arXiv:1412.6572).

    >>> net = torch.nn.Linear(2, 2)
    >>> net.weight.data, net.bias.data = torch.eye(2), torch.zeros(2)
    >>> FGSM(net).perturb(torch.tensor([[3.0, 1.0]]), epsilon=0.5, target=0)
    tensor([[2.5000, 1.5000]])
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        loss_func: Callable[..., Any] | None = None,
        lower_bound: float = float("-inf"),
        upper_bound: float = float("inf"),
        *,
        layer: Layer | None = None,
    ) -> None:
        if bool((torch.as_tensor(lower_bound) > torch.as_tensor(upper_bound)).any()):
            raise CaptumAssertion(f"lower_bound must not be above upper_bound; got {lower_bound} and {upper_bound}.")
        if layer is not None and len(layer_points(layer)) != 1:
            raise CaptumAssertion("the tensors at one layer move; got several layers.")
        self.forward_func = forward_func
        self.loss_func = loss_func
        self.layer = layer
        self.bound: Callable[[Tensor], Tensor] = partial(torch.clamp, min=lower_bound, max=upper_bound)
        self.zero_thresh = 1e-6

    def perturb(
        self,
        inputs: TensorOrTuple,
        epsilon: float,
        target: Any,
        additional_forward_args: object | None = None,
        targeted: bool = False,
        mask: TensorOrTuple | None = None,
    ) -> Any:
        """The inputs after the step, in their shape: (B, …) each; with a `layer`, the tensors there.

        epsilon: the size of the step in each entry.
        target: the right label of each example, or with `targeted` the wished one: an index for all examples, a list or
            tensor with one for each, a tuple for outputs with several axes; for a `loss_func`, whatever it takes.
        additional_forward_args: further arguments of the forward function, a tuple if there are several.
        targeted: go towards the target instead of away from it.
        mask: zeros where an entry stays, ones where it moves; of a shape that broadcasts to what moves.
        Raises CaptumAssertion for inputs, a mask or a target that do not fit, InvalidInput where there is no gradient.
        """
        bound = self.bind(inputs, additional_forward_args, target)
        with bound.frozen():
            forward = self.entered(bound)
            moved = self.step(forward, forward.inputs, epsilon, target, targeted, masks_of(mask, forward.inputs))
        return forward.like_inputs([self.bound(t) for t in moved])

    def bind(self, inputs: Any, extra: Any, target: Any) -> Forward:
        """The forward function of one call; only the default loss knows what a target looks like."""
        return Forward.bind(self.forward_func, inputs, extra, target if self.loss_func is None else None)

    def entered(self, forward: Forward) -> Forward:
        """The same function, of the tensors that move."""
        return forward if self.layer is None else from_layer(forward, self.layer)

    def step(
        self, forward: Forward, x: Tensors, size: float, target: Any, targeted: bool, masks: tuple[Any, ...]
    ) -> Tensors:
        """The tensors after a step of that size from x: (B, …) each."""
        check_interrupt()
        signed = -size if targeted else size
        slopes = self._gradients(forward, x, target)
        return tuple(
            torch.where(slope.abs() > self.zero_thresh, t + signed * slope.sign() * mask, t).detach()
            for slope, t, mask in zip(slopes, x, masks, strict=True)
        )

    def _gradients(self, forward: Forward, x: Tensors, target: Any) -> Tensors:
        """The gradients of the loss of all examples at x: (B, …) each."""

        def loss(z: Tensors, owner: Tensor) -> Tensor:
            output = forward.func(*z, *forward.extra)
            losses = (self.loss_func or negative_log)(output, target)
            if not isinstance(losses, Tensor) or (losses.ndim and losses[0].numel() != 1):
                what = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
                raise CaptumAssertion(f"the loss must be a number for each example, or one for the batch; got {what}.")
            return losses.reshape(-1, 1)

        with onednn_products():
            problem = Problem(value=loss, x=x, baseline=x)
            return tuple(gradient[:, 0] for gradient in problem.slope(x, problem.everyone).gradients)


def negative_log(output: Any, target: Any) -> Tensor:
    """−log of the target's probability in outputs that are probabilities or logits: (R, …, C) -> (R, 1).

    Raises CaptumAssertion for a target that is not in the output, and for single numbers that have no logarithm.

    >>> negative_log(torch.tensor([[0.5, 0.5]]), 0), negative_log(torch.tensor([[-1.0, -1.0]]), 0)
    (tensor([[0.6931]]), tensor([[0.6931]]))
    """
    values = output_tensor(output)
    if values.ndim == 0:
        raise CaptumAssertion("the default loss needs an output for each example; give a `loss_func`.")
    has_classes = values.ndim > 1 and values.shape[-1] > 1
    if not has_classes and bool((values <= 0).any()):
        raise CaptumAssertion("the output is one number an example and not above 0; give a `loss_func`.")
    are_logits = isinstance(output, dict) and "logits" in output
    are_logits = are_logits or bool(((values < 0) | (values > 1 + ROUNDING)).any())
    losses = -(values.log_softmax(-1) if has_classes and are_logits else values.log())
    chosen = select(losses, target, torch.arange(len(values), device=values.device))
    if chosen.shape[1] != 1:
        raise CaptumAssertion(f"the loss must be one number an example; the target selects {chosen.shape[1]}.")
    return chosen


def masks_of(mask: TensorOrTuple | None, x: Tensors) -> tuple[Any, ...]:
    """A mask for each tensor. Raises CaptumAssertion for another number of them, or one that does not fit."""
    if mask is None:
        return (1,) * len(x)
    masks = as_tuple(mask)
    if len(masks) != len(x):
        raise CaptumAssertion(f"{len(x)} tensors need as many masks; got {len(masks)}.")
    for one, t in zip(masks, x, strict=True):
        if not broadcasts_to(one, t):
            got = tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__
            raise CaptumAssertion(f"a mask has the shape of its tensor, {tuple(t.shape)}; got {got}.")
    return masks
