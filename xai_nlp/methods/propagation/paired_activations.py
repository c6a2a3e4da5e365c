"""Modules that are one activation: single nodes of a graph whose rows come in pairs, inputs and their baselines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from xai_nlp.core.problem import Tensors
from xai_nlp.hooks.gradient_rules import Call, with_factor
from xai_nlp.methods.propagation.paired_rows import MOST_ENTRIES, Kept, PairedRule, all_change, for_both, is_change


@dataclass(frozen=True, eq=False)
class ActivationRule(PairedRule):
    """`RescaleRule` of modules that are one function of single entries."""

    epsilon: float

    def prepare(self, first: Kept, *tensors: Tensor) -> Tensors:
        (x, x0), (y, y0) = (t.chunk(2, 1) for t in tensors)
        dx = x - x0
        ratio = (y - y0).div_(dx)
        if not all_change(dx, self.epsilon):
            same = (~is_change(dx, self.epsilon)).view(-1).nonzero().squeeze(1)
            slope = self._slope(first.constants[0], x.reshape(-1)[same])
            ratio.view(-1).index_copy_(0, same, slope)
        return (for_both(ratio, 1),)

    def _slope(self, module: nn.Module, x: Tensor) -> Tensor:
        """The module's slope at single entries (N,)."""
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(module.forward(leaf).sum(), leaf)
        return slope


class Activations:
    """The activations of one pass. They are prepared when the gradient comes to the first of their kind."""

    def __init__(self, rule: ActivationRule) -> None:
        self.rule = rule
        self.members: dict[Hashable, list[Kept]] = defaultdict(list)
        self.prepared: dict[Hashable, list[Tensors]] = {}

    def output(self, module: nn.Module, call: Call) -> Tensor:
        """An activation's output, as one node of the graph."""
        x = call.x.detach()
        y = call.run(x).detach()  # without a graph if it runs here: it has no parameters
        own = vars(module).items()
        options = tuple([(name, str(value)) for name, value in own if name[0] != "_" and name != "forward"])
        key = (x.shape, x.dtype, type(module), options)
        members = self.members[key]
        members.append(Kept((x, y), key, (module,)))
        return with_factor(y, call.x, partial(self._ratio, key, len(members) - 1))

    def _ratio(self, key: Hashable, number: int) -> Tensor:
        """Δout / Δin of an activation."""
        members = self.members[key]
        if len(members) * self.rule.entries(members[0].tensors) > MOST_ENTRIES:
            return self.rule.prepare_alone(members[number])[0]
        if len(self.prepared.get(key, ())) <= number:
            self.prepared[key] = self.rule.prepare_together(members)
        return self.prepared[key][number][0]
