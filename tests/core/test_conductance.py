"""Conductance against closed forms."""

import math

import pytest
import torch
from torch import nn

from xai_nlp.core.batching import Batching
from xai_nlp.core.conductance import conductance, differentiation_matrix, left_conductance
from xai_nlp.core.problem import Problem
from xai_nlp.core.quadrature import PathRule, clenshaw_curtis, closed_patterson, quadrature
from xai_nlp.hooks.scope import ModulePoint


def test_differentiation_matrix_differentiates():
    t = quadrature("clenshaw_curtis", 17).nodes
    torch.testing.assert_close(differentiation_matrix(t) @ torch.exp(t), torch.exp(t), atol=1e-11, rtol=0)


@pytest.mark.parametrize("in_s", [clenshaw_curtis, closed_patterson])
def test_conductance_of_polynomials(in_s):
    """y = t², ∂f/∂y = 3t, for two targets and in blocks: ∫ 3t · 2t dt = 2."""
    rule = PathRule(in_s, under_tangent=False)
    t = rule(9).nodes
    y, gradient = (t**2)[:, None].expand(9, 5), torch.stack([3 * t, -t], 1)[:, :, None].expand(9, 2, 5)
    expected = torch.tensor([2.0, -2 / 3], dtype=torch.float64)[:, None].expand(2, 5)
    torch.testing.assert_close(conductance(y, gradient, rule), expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize("in_s", [clenshaw_curtis, closed_patterson])
@pytest.mark.parametrize("n", [5, 9, 17])
def test_what_moves_along_a_line_gets_its_integrated_gradients(in_s, n):
    """Under the tangent, where no polynomial in s is a line in t; few nodes are enough."""
    rule = PathRule(in_s, under_tangent=True)
    t, weights = rule(n)
    y, gradient = (3 * t - 2)[:, None], t.exp()[:, None, None]
    expected = 3 * (weights * t.exp()).sum()
    torch.testing.assert_close(conductance(y, gradient, rule)[0, 0], expected, atol=1e-14, rtol=0)


def test_conductance_under_the_tangent_converges():
    """y = eᵗ, ∂f/∂y = sin y: ∫ sin(eᵗ) eᵗ dt = cos 1 − cos e."""
    rule = PathRule(closed_patterson, under_tangent=True)
    expected = math.cos(1) - math.cos(math.e)
    errors = []
    for n in (9, 17, 33):
        y = rule(n).nodes.exp()[:, None]
        errors.append(abs(float(conductance(y, y.sin()[:, None], rule)) - expected))
    assert errors[0] < 3e-3 and errors[1] < 1e-5 and errors[2] < 1e-10


def test_the_first_order_sum_by_hand_at_sites_and_inputs():
    """y = x³ passes the site and f = y², so Σ 2yᵢ (yᵢ₊₁ − yᵢ); steps do not lead from one example to the next."""
    site, x = nn.Identity(), torch.tensor([[2.0], [-1.0], [0.5]]).double()
    problem = Problem(
        value=lambda z, owner: site(z[0] ** 3) ** 2,
        x=(x,),
        baseline=(0 * x,),
        sites=(ModulePoint(site),),
        also_inputs=True,
    )
    rule = quadrature("left", 6)
    y = (x * rule.nodes) ** 3  # (3, 6)
    expected = (2 * y[:, :-1] * y.diff(dim=1)).sum(1)
    slope = (6 * (x * rule.nodes) ** 5 * rule.weights).sum(1)
    for rows in (1, 4, 5, 100):
        at_site, at_inputs = left_conductance(_with_rows(problem, rows), rule)
        torch.testing.assert_close(at_site[:, 0, 0], expected, atol=1e-12, rtol=0)
        torch.testing.assert_close(at_inputs[:, 0, 0], slope * x[:, 0], atol=1e-12, rtol=0)


def _with_rows(problem, rows):
    return Problem(**{**vars(problem), "rows": Batching(limit=rows)})
