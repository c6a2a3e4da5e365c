"""The path sweep against closed forms."""

import numpy as np
import torch

from xai_nlp.core.path import mean_gradient
from xai_nlp.core.problem import Problem
from xai_nlp.core.quadrature import quadrature


def cubic():
    """f(z) = Σ z³ + z₀ z₁: mean gradient and completeness in closed form."""

    def value(z, owner):
        return ((z[0] ** 3).sum(1) + z[0][:, 0] * z[0][:, 1])[:, None]

    x = torch.tensor([[1.0, 2.0, -1.0], [0.5, -2.0, 3.0]], dtype=torch.float64)
    return Problem(value=value, x=(x,), baseline=(torch.zeros_like(x),))


def test_mean_gradient_of_a_cubic():
    (mean,) = mean_gradient(cubic(), quadrature("gauss_legendre", 2))
    x = cubic().x[0]
    cross = torch.stack([x[:, 1], x[:, 0], torch.zeros(2)], 1) / 2
    torch.testing.assert_close(mean[:, 0], x**2 + cross, atol=1e-13, rtol=0)  # ∫ 3t²x² = x², ∫ t x₁ = x₁/2


def test_accumulates_half_precision_in_float32():
    x = torch.full((1, 4), 0.1, dtype=torch.bfloat16)
    problem = Problem(value=lambda z, o: (z[0] ** 2).sum(1, keepdim=True), x=(x,), baseline=(torch.zeros_like(x),))
    (mean,) = mean_gradient(problem, quadrature("gauss_legendre", 20))
    assert mean.dtype == torch.float32
    assert abs(float(mean.mean()) - 0.1) < 2e-3
    assert np.isfinite(mean.numpy()).all()
