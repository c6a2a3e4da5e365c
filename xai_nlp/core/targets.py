"""Which number is explained: fixed before the first perturbed pass, and never taken again along the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: From a model's raw outputs (R, C) to what is weighed. Units: logit is also a regression's raw output.
LINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "logit": lambda outputs: outputs,
    "probability": lambda outputs: outputs.softmax(-1),
    "log-probability": lambda outputs: outputs.log_softmax(-1),
    "independent probability": lambda outputs: outputs.sigmoid(),
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """T numbers an example, each a weighted sum of the model's outputs.

    One label is a one-hot row, a contrast "A-B" is +1 and −1, several labels are several rows. Outputs may have several
    axes (start and end of an answer): the link is taken over the last, the sum over all.
    """

    weights: Tensor  # (B, T, *C)
    unit: str = "logit"  # a key of LINKS

    def __call__(self, outputs: Tensor, owner: Tensor) -> Tensor:
        """(R, *C) outputs of rows that belong to examples `owner` (R,) -> (R, T)."""
        outputs = LINKS[self.unit](outputs.to(torch.promote_types(outputs.dtype, torch.float32)))
        return (outputs[:, None] * self.weights.to(outputs)[owner]).flatten(2).sum(2)
