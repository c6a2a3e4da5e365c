"""Projected gradient descent: many steps of FGSM, each brought back into a ball around the input."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from xai_nlp.attr.base import check_count
from xai_nlp.attr.problems import Layer
from xai_nlp.core.captum_types import CaptumAssertion, TensorOrTuple, UnknownChoice
from xai_nlp.robust.fgsm import FGSM, masks_of
from xai_nlp.robust.perturbation import Perturbation


def random_in_box(center: Tensor, radius: float) -> Tensor:
    """For each row a difference from it, all in [−radius, radius] equally likely: (B, …)."""
    return (torch.rand_like(center) * 2 - 1) * radius


def random_in_ball(center: Tensor, radius: float) -> Tensor:
    """For each row a difference from it, all of a length up to radius equally likely: (B, …)."""
    directions = torch.nn.functional.normalize(torch.randn_like(center).reshape(len(center), -1))
    lengths = torch.rand(len(center), device=center.device) ** (1 / center[0].numel()) * radius
    return (lengths[:, None].to(center) * directions).view_as(center)


def onto_ball(difference: Tensor, radius: float) -> Tensor:
    """Rows (B, …) that are longer than radius, shortened to it."""
    return torch.renorm(difference.reshape(len(difference), -1), 2, 0, radius).view_as(difference)


#: norm -> a random difference in the ball of that norm, and the projection of a difference onto it.
BALLS: dict[str, tuple[Callable[[Tensor, float], Tensor], Callable[[Tensor, float], Tensor]]] = {
    "Linf": (random_in_box, lambda difference, radius: difference.clamp(-radius, radius)),
    "L2": (random_in_ball, onto_ball),
}


class PGD(Perturbation):
    """The input that repeated steps of `FGSM` lead to, none of them further than a radius from the original.

    forward_func, loss_func, lower_bound, upper_bound, layer: as in `FGSM`.
    bound: the function that keeps to the bounds; may be replaced.

    Source: Madry et al. 2018, sec. 2.1 (arXiv:1706.06083).

    >>> net = torch.nn.Linear(2, 2)
    >>> net.weight.data, net.bias.data = torch.eye(2), torch.zeros(2)
    >>> PGD(net).perturb(torch.tensor([[3.0, 1.0]]), radius=1.2, step_size=0.5, step_num=4, target=0)
    tensor([[1.8000, 2.2000]])
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
        self.forward_func = forward_func
        self.fgsm = FGSM(forward_func, loss_func, lower_bound, upper_bound, layer=layer)
        self.bound = self.fgsm.bound
        self.layer = layer

    def perturb(
        self,
        inputs: TensorOrTuple,
        radius: float,
        step_size: float,
        step_num: int,
        target: Any,
        additional_forward_args: object | None = None,
        targeted: bool = False,
        random_start: bool = False,
        norm: str = "Linf",
        mask: TensorOrTuple | None = None,
    ) -> Any:
        """The inputs after the steps, in their shape: (B, …) each; with a `layer`, the tensors there.

        radius: the largest distance of each example, and of each of its tensors, from the original.
        step_size: the size of a step in each entry. step_num: the number of steps.
        target, additional_forward_args, targeted, mask: as in `FGSM.perturb`.
        random_start: start from a random point of the ball, from torch's global generator.
        norm: Linf or L2, the norm that distances have.
        Raises UnknownChoice for another norm, CaptumAssertion for arguments that do not fit.
        """
        if norm not in BALLS:
            raise UnknownChoice("norm", norm, BALLS)
        if radius < 0:
            raise CaptumAssertion(f"radius must be 0 or more; got {radius}.")
        check_count("step_num", step_num, least=0)
        draw, project = BALLS[norm]
        bound = self.fgsm.bind(inputs, additional_forward_args, target)
        with bound.frozen():
            forward = self.fgsm.entered(bound)
            x, masks = forward.inputs, masks_of(mask, forward.inputs)
            z = tuple(t.detach() for t in x)
            if random_start:
                z = tuple(self.bound(t + draw(t, radius) * m) for t, m in zip(z, masks, strict=True))
            step = partial(self.fgsm.step, forward, size=step_size, target=target, targeted=targeted, masks=masks)
            for _ in range(step_num):
                pairs = zip(x, step(x=z), strict=True)
                z = tuple(self.bound(t + project(moved - t, radius)).detach() for t, moved in pairs)
        return forward.like_inputs(z)
