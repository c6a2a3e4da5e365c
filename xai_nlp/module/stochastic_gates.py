"""The base of stochastic gates: each entry of the input times a random gate in [0, 1], whose chances are learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from xai_nlp.core.captum_types import CaptumAssertion, UnknownChoice

REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda chances: chances,
    "mean": torch.mean,
    "sum": torch.sum,
}


class StochasticGatesBase(nn.Module, ABC):
    """Gates for the entries of an input, and a penalty for those that are likely to be open.

    A subclass has the distribution: it draws gate values, and knows their means and their chances to be above 0.

    n_gates: the number of gates.
    mask: the gate of each entry, whole numbers from 0 to n_gates − 1 of a shape that broadcasts to the input's; entries
        may share a gate. None gives each entry of an example its own.
    reg_weight: what the penalty is multiplied by.
    reg_reduction: none, mean or sum over the gates.
    Raises CaptumAssertion for a mask that does not use the gates, UnknownChoice for another reduction.
    """

    mask: Tensor | None

    def __init__(
        self, n_gates: int, mask: Tensor | None = None, reg_weight: float = 1.0, reg_reduction: str = "sum"
    ) -> None:
        super().__init__()
        if mask is not None:
            if mask.is_floating_point() or int(mask.min()) < 0 or int(mask.max()) != n_gates - 1:
                raise CaptumAssertion(
                    f"a mask holds whole numbers from 0 to n_gates − 1 = {n_gates - 1}, the last included; got "
                    f"{mask.dtype} from {mask.min()} to {mask.max()}."
                )
            mask = mask.detach().clone()
        if reg_reduction not in REDUCTIONS:
            raise UnknownChoice("reg_reduction", reg_reduction, REDUCTIONS)
        self.n_gates = n_gates
        self.reg_weight = reg_weight
        self.reg_reduction = reg_reduction
        self.register_buffer("mask", mask)

    def forward(self, input_tensor: Tensor) -> tuple[Tensor, Tensor]:
        """The input times its gates, in its shape (B, …), and the penalty: a number, or (n_gates,) without reduction.

        In training mode gates are drawn for each example, from torch's global generator; else they are the means.
        Raises CaptumAssertion for an input without a batch axis, or with another number of entries than gates.
        """
        if self.mask is None:
            self._check_entries(input_tensor)
        gates = self._sample_gate_values(len(input_tensor)).clamp(0, 1)
        if self.mask is not None:
            gates = gates.gather(1, self.mask.expand_as(input_tensor).reshape(len(input_tensor), -1))
        penalty = REDUCTIONS[self.reg_reduction](self._get_gate_active_probs()) * self.reg_weight
        return input_tensor * gates.reshape(input_tensor.shape), penalty

    def get_gate_values(self, clamp: bool = True) -> Tensor:
        """The means of the gates: (n_gates,). clamp: into [0, 1]."""
        values = self._get_gate_values().detach()
        return values.clamp(0, 1) if clamp else values

    def get_gate_active_probs(self) -> Tensor:
        """The chance of each gate to be above 0: (n_gates,)."""
        return self._get_gate_active_probs().detach()

    @abstractmethod
    def _get_gate_values(self) -> Tensor:
        """The means of the gates: (n_gates,)."""

    @abstractmethod
    def _sample_gate_values(self, batch_size: int) -> Tensor:
        """Gates of each example, before they are clamped into [0, 1]: (B, n_gates)."""

    @abstractmethod
    def _get_gate_active_probs(self) -> Tensor:
        """The chance of each gate to be above 0, differentiable: (n_gates,)."""

    def _check_entries(self, input_tensor: Tensor) -> None:
        if input_tensor.ndim < 2:
            raise CaptumAssertion(f"gates take a batch of examples, (B, …); got the shape {tuple(input_tensor.shape)}.")
        entries = input_tensor[0].numel()
        if entries != self.n_gates:
            raise CaptumAssertion(
                f"without a mask each entry has a gate; got {entries} entries for {self.n_gates} gates."
            )
