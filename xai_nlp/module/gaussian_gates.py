"""Stochastic gates with a normal distribution."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.module.stochastic_gates import StochasticGatesBase


class GaussianStochasticGates(StochasticGatesBase):
    """Gates with a normal distribution, clamped into [0, 1].

    n_gates, mask, reg_weight, reg_reduction: as in `StochasticGatesBase`.
    std: the standard deviation of each gate, above 0; it is not learned.
    Its parameter `mu` (n_gates,) is the mean of each gate.

    Source: Yamada et al. 2020, sec. 4.1 (arXiv:1810.04247).

    >>> gates = GaussianStochasticGates._from_pretrained(torch.tensor([0.0, 5.0])).eval()
    >>> gates(torch.ones(1, 2))
    (tensor([[0., 1.]], grad_fn=<MulBackward0>), tensor(1.5000, grad_fn=<MulBackward0>))
    """

    def __init__(
        self,
        n_gates: int,
        mask: Tensor | None = None,
        reg_weight: float = 1.0,
        std: float = 0.5,
        reg_reduction: str = "sum",
    ) -> None:
        super().__init__(n_gates, mask, reg_weight, reg_reduction)
        if not std > 0:
            raise CaptumAssertion(f"std must be above 0; got {std}.")
        self.mu = nn.Parameter(nn.init.normal_(torch.empty(n_gates), mean=0.5, std=0.01))
        self.std = std

    def _sample_gate_values(self, batch_size: int) -> Tensor:
        if not self.training:
            return self.mu.expand(batch_size, self.n_gates)
        noise = torch.empty(batch_size, self.n_gates, device=self.mu.device)
        return self.mu + noise.normal_(std=self.std)

    def _get_gate_values(self) -> Tensor:
        return self.mu

    def _get_gate_active_probs(self) -> Tensor:
        return 0.5 * (1 + torch.erf(self.mu / (self.std * math.sqrt(2))))

    @classmethod
    def _from_pretrained(cls, mu: Tensor, *args: Any, **kwargs: Any) -> GaussianStochasticGates:
        """Gates with these means (n_gates,); further arguments are those of the class."""
        gates = cls(len(mu), *args, **kwargs)
        gates.load_state_dict({"mu": mu}, strict=False)
        return gates
