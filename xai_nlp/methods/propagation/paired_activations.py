"""Modules that are one activation: single nodes of a graph whose rows come in pairs, inputs and their baselines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.core.problem import Tensors
from xai_nlp.hooks.graph_rules import Gradients
from xai_nlp.methods.propagation.paired_rows import MOST_ENTRIES, Kept, PairedRule, for_both, is_change


@dataclass(frozen=True, eq=False)
class ActivationRule(PairedRule):
    """`RescaleRule` of modules that are one function of single entries."""

    epsilon: float

    def run(self, module: nn.Module, forward: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Kept]:
        """The module's output, and what the rule needs of it."""
        y = forward(x).detach()  # a module may give out its input
        own = vars(module).items()
        options = tuple([(name, str(value)) for name, value in own if name[0] != "_" and name != "forward"])
        return y, Kept((x, y.detach()), (x.shape, x.dtype, type(module), options), (module,))

    def prepare(self, first: Kept, *tensors: Tensor) -> Tensors:
        (x, x0), (y, y0) = (t.chunk(2, 1) for t in tensors)
        dx = x - x0
        ratio, changes = (y - y0) / dx, is_change(dx, self.epsilon)
        if not changes.all():
            (module,), leaf = first.constants, x.detach()
            with torch.enable_grad():
                (slope,) = torch.autograd.grad(module.forward(leaf.requires_grad_()).sum(), leaf)
            ratio = torch.where(changes, ratio, slope)
        return (for_both(ratio, 1),)

    def multipliers(self, gradient: Tensor, to_inputs: Gradients, constants: tuple[Any, ...], *prepared: Any) -> Any:
        return (gradient * prepared[0],)


class Activations:
    """The activations of one pass. They are prepared when the gradient comes to the first of their kind."""

    def __init__(self, rule: ActivationRule) -> None:
        self.rule = rule
        self.members: dict[Hashable, list[Kept]] = defaultdict(list)
        self.prepared: dict[Hashable, list[Tensors]] = {}

    def add(self, kept: Kept) -> tuple[Hashable, int]:
        """The activation's place."""
        members = self.members[kept.key]
        members.append(kept)
        self.prepared.pop(kept.key, None)
        return kept.key, len(members) - 1

    def gradient(self, place: tuple[Hashable, int], gradient: Tensor) -> Tensor:
        """The gradient of an activation's input."""
        key, number = place
        members = self.members[key]
        if len(members) * self.rule.entries(members[0].tensors) > MOST_ENTRIES:
            own = self.rule.prepare_together([members[number]])[0]
        else:
            if key not in self.prepared:
                self.prepared[key] = self.rule.prepare_together(members)
            own = self.prepared[key][number]
        return self.rule.multipliers(gradient, (), (), *own)[0]


class ActivationNode(torch.autograd.Function):
    """A module as one node. run: input -> output, and what the rule needs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, run: Callable[[Tensor], tuple[Tensor, Kept]], activations: Activations) -> Tensor:
        y, kept = run(x.detach())
        ctx.activations, ctx.place = activations, activations.add(kept)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return ctx.activations.gradient(ctx.place, gradients[0]), None, None
