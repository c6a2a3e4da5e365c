"""The Hessian of a loss with respect to parameters, whole or times a vector, and the root of its inverse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from xai_nlp.errors import XaiError
from xai_nlp.hooks.interrupts import check_interrupt
from xai_nlp.influence.batches import Batch, Loss
from xai_nlp.influence.data_influence import progress
from xai_nlp.influence.example_gradients import GradientFunction


class NoPositiveEigenvalue(XaiError, ArithmeticError):
    """A Hessian without an eigenvalue above the tolerance: it has no inverse to take the root of."""


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """All numbers in one row: (P,)."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


class HessianOfLoss:
    """The Hessian of the summed loss of batches, at the weights that the model has now.

    title: of a bar over the batches, None for none.
    """

    def __init__(self, gradients: GradientFunction, loss: Loss, batches: Iterable[Any], title: str | None) -> None:
        self.gradients, self.loss, self.batches, self.title = gradients, loss, batches, title

    def times(self, vector: Tensor) -> Tensor:
        """The product with a vector: (P,)."""
        return self._sum(lambda slope, inputs: _second(slope, inputs, vector))

    def matrix(self) -> Tensor:
        """The whole of it: (P, P), symmetric."""
        matrix = self._sum(lambda slope, inputs: torch.stack([_second(slope, inputs, e) for e in _units(slope)]))
        return (matrix + matrix.T) / 2

    def _sum(self, second: Callable[[Tensor, Mapping[str, nn.Parameter]], Tensor]) -> Tensor:
        total: Tensor | None = None
        for data in progress(self.batches, self.title is not None, self.title or ""):
            with self._slope(data) as (slope, inputs):
                part = second(slope, inputs)
            total = part if total is None else total + part
        if total is None:
            raise NoPositiveEigenvalue("there is no batch to compute the Hessian from.")
        return total

    @contextmanager
    def _slope(self, data: Any) -> Iterator[tuple[Tensor, Mapping[str, nn.Parameter]]]:
        """The gradient of a batch's loss, which can be differentiated again, and the parameters."""
        own = self.loss.is_models_own(data)
        model = self.gradients.model
        batch = Batch.of(data, next(model.parameters()).device, own_loss=own)
        # Fused attention has no second derivative.
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), self.gradients.trainable() as parameters:
            size = len(batch.tensors[0])
            batches = batch.rows(size) if own else [batch]
            loss = torch.cat([self.gradients.losses(one, self.loss, own) for one in batches]).sum()
            found = torch.autograd.grad(loss, list(parameters.values()), create_graph=True, allow_unused=True)
            pairs = zip(found, parameters.values(), strict=True)
            yield flat(torch.zeros_like(p) if g is None else g for g, p in pairs), parameters


def _second(slope: Tensor, parameters: Mapping[str, nn.Parameter], vector: Tensor) -> Tensor:
    if not slope.requires_grad:  # the loss is linear in the parameters
        return torch.zeros_like(slope)
    check_interrupt()
    values = list(parameters.values())
    found = torch.autograd.grad(slope, values, vector.to(slope), retain_graph=True, allow_unused=True)
    return flat(torch.zeros_like(p) if g is None else g for g, p in zip(found, values, strict=True)).detach()


def _units(slope: Tensor) -> Iterator[Tensor]:
    for i in range(len(slope)):
        unit = torch.zeros_like(slope)
        unit[i] = 1
        yield unit


def inverse_root(matrix: Tensor, count: int | None, regularization: float, tolerance: float) -> Tensor:
    """R (n, r) such that R Rᵀ is about the inverse of a symmetric matrix (n, n): its largest eigenvalues alone.

    count: how many of them, None for all. regularization: added to each. tolerance: smaller ones are left out.
    Raises NoPositiveEigenvalue if none is left.
    """
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    values = values + regularization
    keep = values > tolerance
    values, vectors = values[keep], vectors[:, keep]
    if not len(values):
        raise NoPositiveEigenvalue(
            f"the Hessian has no eigenvalue above {tolerance}; raise hessian_reg, or take a better checkpoint."
        )
    if count is not None:
        values, vectors = values[-count:], vectors[:, -count:]
    return vectors / values.sqrt()


def krylov(times: Callable[[Tensor], Tensor], start: Tensor, dimension: int, tolerance: float) -> tuple[Tensor, Tensor]:
    """An orthonormal basis (P, m) of the span of b, Hb, H²b, …, and the symmetric H restricted to it: (m, m).

    It has dimension − 1 vectors, or fewer where the next would be shorter than the tolerance: H then maps the span to
    itself, and the restriction is exact there. (Captum leaves one vector of an exact basis out.)

    Source: Schioppa et al. 2022, algorithm 1 (arXiv:2112.03052).
    """
    basis = [start / start.norm()]
    columns: list[Tensor] = []
    for _ in range(max(1, dimension - 1)):
        image = times(basis[-1])
        column = []
        for vector in basis:
            column.append(vector @ image)
            image = image - column[-1] * vector
        columns.append(torch.stack([*column, image.norm()]))
        if image.norm() < tolerance or len(columns) == max(1, dimension - 1):
            break
        basis.append(image / image.norm())
    size = len(columns)
    restricted = start.new_zeros(size, size)
    for j, column_j in enumerate(columns):
        rows = min(len(column_j), size)
        restricted[:rows, j] = column_j[:rows]
    return torch.stack(basis, 1), restricted
