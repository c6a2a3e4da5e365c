"""A Hessian in float64 against torch's own, and the basis of Krylov."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from xai_nlp.hooks.lent_weights import lent_weights
from xai_nlp.influence.batches import Loss
from xai_nlp.influence.example_gradients import GradientFunction
from xai_nlp.influence.hessian import HessianOfLoss, NoPositiveEigenvalue, inverse_root, krylov


def squares(output: Tensor, labels: Tensor) -> Tensor:
    return (output - labels).square().sum(1)


def test_is_torchs_and_adds_batches():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    batches = [(torch.randn(n, 2).double(), torch.randn(n, 2).double()) for n in (2, 3)]
    names, shapes = zip(*((name, p.shape) for name, p in net.named_parameters()), strict=True)

    def total(numbers: Tensor) -> Tensor:
        parts = numbers.split([shape.numel() for shape in shapes])
        weights = {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        return sum(squares(functional_call(net, weights, (x,)), y).sum() for x, y in batches)  # type: ignore[return-value]

    point = torch.cat([p.detach().flatten() for p in net.parameters()])
    expected = torch.autograd.functional.hessian(total, point)
    with lent_weights(net):
        hessian = HessianOfLoss(GradientFunction(net, list(net)), Loss(squares, "none"), batches, None)
        torch.testing.assert_close(hessian.matrix(), expected)
        vector = torch.randn(len(point)).double()
        torch.testing.assert_close(hessian.times(vector), expected @ vector)


def test_a_linear_loss_has_none():
    net = nn.Linear(2, 1).double()
    with lent_weights(net):
        hessian = HessianOfLoss(
            GradientFunction(net, [net]), Loss(None, "sum"), [(torch.ones(1, 2).double(), None)], None
        )
        assert not hessian.matrix().any()
        with pytest.raises(NoPositiveEigenvalue):
            inverse_root(hessian.matrix(), 5, 0.0, 1e-5)


def test_root_of_the_inverse():
    torch.manual_seed(0)
    a = torch.randn(5, 5).double()
    matrix = a @ a.T + torch.eye(5)
    root = inverse_root(matrix, None, 0.5, 1e-9)
    torch.testing.assert_close(root @ root.T, torch.linalg.inv(matrix + 0.5 * torch.eye(5)))
    values, vectors = torch.linalg.eigh(matrix)
    top = inverse_root(matrix, 2, 0.0, 1e-9)
    torch.testing.assert_close(top @ top.T, vectors[:, -2:] @ torch.diag(1 / values[-2:]) @ vectors[:, -2:].T)


def test_krylov_spans_all_and_stops():
    torch.manual_seed(0)
    a = torch.randn(4, 4).double()
    matrix = a + a.T
    basis, restricted = krylov(lambda v: matrix @ v, torch.randn(4).double(), 100, 1e-9)
    torch.testing.assert_close(basis @ restricted @ basis.T, matrix)
    torch.testing.assert_close(basis.T @ basis, torch.eye(4).double())
    basis, restricted = krylov(lambda v: matrix @ v, torch.randn(4).double(), 3, 1e-9)
    assert basis.shape == (4, 2)
    torch.testing.assert_close(restricted, basis.T @ matrix @ basis)
