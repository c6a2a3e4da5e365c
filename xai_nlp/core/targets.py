"""Targets: which numbers of a model's output are explained. They are fixed before the first perturbed pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: unit -> the function from raw outputs (R, …, C) to outputs in this unit; a regression's raw output counts as a logit.
UNITS: dict[str, Callable[[Tensor], Tensor]] = {
    "logit": lambda outputs: outputs,
    "probability": lambda outputs: outputs.softmax(-1),
    "log-probability": lambda outputs: outputs.log_softmax(-1),
    "independent probability": lambda outputs: outputs.sigmoid(),
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """T numbers of each example, each a weighted sum of the model's outputs in some unit.

    One label is a one-hot row of weights, a contrast "A-B" is +1 and −1, several labels are several rows. Outputs may
    have several axes (start and end of an answer): the unit is taken over the last one, the sum over all.

    >>> target = Target(weights=torch.tensor([[[1.0, -1.0]]]))          # of one example: logit 0 minus logit 1
    >>> target(torch.tensor([[3.0, 1.0], [0.5, 0.0]]), torch.tensor([0, 0]))
    tensor([[2.0000],
            [0.5000]])
    """

    weights: Tensor  # (B, T, *C)
    unit: str = "logit"  # a key of UNITS

    def __call__(self, outputs: Tensor, owner: Tensor) -> Tensor:
        """The targets (R, T), in float32 or wider, of outputs (R, *C) of rows that belong to the examples `owner`."""
        outputs = UNITS[self.unit](outputs.to(torch.promote_types(outputs.dtype, torch.float32)))
        weights = self.weights.to(outputs)[owner]
        terms = outputs[:, None] * weights
        return terms.where(weights != 0, 0).flatten(2).sum(2)  # 0 × −∞ is no part of the sum
