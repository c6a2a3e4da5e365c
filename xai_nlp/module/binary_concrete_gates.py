"""Stochastic gates with the hard concrete distribution."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.module.stochastic_gates import StochasticGatesBase


class BinaryConcreteStochasticGates(StochasticGatesBase):
    """Gates with a binary concrete distribution, stretched beyond 0 and 1 and clamped, so that both have a chance.

    n_gates, mask, reg_weight, reg_reduction: as in `StochasticGatesBase`.
    temperature: between 0 and 1; near 0 gates are hardly ever between open and shut.
    lower_bound, upper_bound: where the distribution is stretched to, below 0 and above 1.
    eps: the distance of the uniform draws from 0 and 1.
    Its parameter `log_alpha_param` (n_gates,) is the logit of each gate.

    Source: Louizos, Welling & Kingma 2018, eq. 10 to 13 (arXiv:1712.01312).

    >>> gates = BinaryConcreteStochasticGates(3).eval()
    >>> gated, penalty = gates(torch.ones(2, 3))
    >>> gated.shape, 0 < penalty < 3
    (torch.Size([2, 3]), tensor(True))
    """

    def __init__(
        self,
        n_gates: int,
        mask: Tensor | None = None,
        reg_weight: float = 1.0,
        temperature: float = 2 / 3,
        lower_bound: float = -0.1,
        upper_bound: float = 1.1,
        eps: float = 1e-8,
        reg_reduction: str = "sum",
    ) -> None:
        super().__init__(n_gates, mask, reg_weight, reg_reduction)
        if not 0 < temperature < 1:
            raise CaptumAssertion(f"temperature must be between 0 and 1; got {temperature}.")
        if not lower_bound < 0 or not upper_bound > 1:
            raise CaptumAssertion(
                f"lower_bound must be below 0 and upper_bound above 1; got {lower_bound} and {upper_bound}."
            )
        self.log_alpha_param = nn.Parameter(nn.init.normal_(torch.empty(n_gates), std=0.01))
        self.temperature = temperature
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound
        self.eps = eps
        self.active_prob_offset = temperature * math.log(-lower_bound / upper_bound)

    def _sample_gate_values(self, batch_size: int) -> Tensor:
        if not self.training:
            return self._get_gate_values().expand(batch_size, self.n_gates)
        draws = torch.empty(batch_size, self.n_gates, device=self.log_alpha_param.device)
        logits = draws.uniform_(self.eps, 1 - self.eps).logit_() + self.log_alpha_param
        return self._stretched(logits.div_(self.temperature).sigmoid_())  # in place: as many numbers as the input has

    def _get_gate_values(self) -> Tensor:
        return self._stretched(torch.sigmoid(self.log_alpha_param))

    def _get_gate_active_probs(self) -> Tensor:
        return torch.sigmoid(self.log_alpha_param - self.active_prob_offset)

    def _stretched(self, values: Tensor) -> Tensor:
        return (values * (self.upper_bound - self.lower_bound)).add_(self.lower_bound)

    @classmethod
    def _from_pretrained(cls, log_alpha_param: Tensor, *args: Any, **kwargs: Any) -> BinaryConcreteStochasticGates:
        """Gates with these logits (n_gates,); further arguments are those of the class."""
        if log_alpha_param.ndim != 1:
            raise CaptumAssertion(f"log_alpha_param is (n_gates,); got the shape {tuple(log_alpha_param.shape)}.")
        gates = cls(len(log_alpha_param), *args, **kwargs)
        gates.load_state_dict({"log_alpha_param": log_alpha_param}, strict=False)
        return gates
