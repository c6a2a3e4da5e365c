"""Quadrature, the path sweep and its refinement, against closed forms."""

import numpy as np
import pytest
import torch

from xai_nlp.core.adaptive_quadrature import LADDER, Tolerance, adaptive_quadrature, nested
from xai_nlp.core.path import RULES, differentiation, mean_gradient, quadrature
from xai_nlp.core.problem import Problem
from xai_nlp.errors import InvalidInput, UnknownName


def polynomial_error(rule, degree):
    return abs(float((rule.weights * rule.nodes**degree).sum()) - 1 / (degree + 1))


@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_gauss_legendre_is_exact_to_degree_2n_minus_1_and_no_further(n):
    rule = quadrature("gauss_legendre", n)
    assert max(polynomial_error(rule, d) for d in range(2 * n)) < 1e-14
    assert polynomial_error(rule, 2 * n) > 1e-13


@pytest.mark.parametrize("n", [3, 5, 9, 17, 129])
def test_clenshaw_curtis_is_exact_to_degree_n_minus_1(n):
    rule = quadrature("clenshaw_curtis", n)
    assert max(polynomial_error(rule, d) for d in range(n)) < 1e-13
    assert (rule.weights > 0).all()
    assert rule.nodes[0] == 0
    assert rule.nodes[-1] == 1


def test_riemann_rules_by_hand():
    def pairs(name, n):
        return [v.tolist() for v in quadrature(name, n)]

    assert pairs("left", 2) == [[0, 0.5], [0.5, 0.5]]
    assert pairs("right", 2) == [[0.5, 1], [0.5, 0.5]]
    assert pairs("middle", 2) == [[0.25, 0.75], [0.5, 0.5]]
    assert pairs("trapezoid", 3) == [[0, 0.5, 1], [0.25, 0.5, 0.25]]


@pytest.mark.parametrize("name", sorted(set(RULES) - {"captum_trapezoid"}))
def test_weights_sum_to_one(name):
    assert abs(float(quadrature(name, 8).weights.sum()) - 1) < 1e-14


def test_captums_trapezoid_falls_short_as_captums_does():
    assert abs(float(quadrature("captum_trapezoid", 8).weights.sum()) - 7 / 8) < 1e-14


def test_unknown_rule_and_steps():
    with pytest.raises(UnknownName, match="Did you mean 'middle'"):
        quadrature("midle", 4)
    for steps in (0, -1, 2.5, "many"):
        with pytest.raises(InvalidInput, match="steps"):
            quadrature("left", steps)


def cubic(seen=None):
    """f(z) = Σ z³ + z₀ z₁: mean gradient and completeness in closed form."""

    def value(z, owner):
        if seen is not None:
            seen.extend(z[0].detach().tolist())
        return ((z[0] ** 3).sum(1) + z[0][:, 0] * z[0][:, 1])[:, None]

    x = torch.tensor([[1.0, 2.0, -1.0], [0.5, -2.0, 3.0]], dtype=torch.float64)
    return Problem(value=value, x=(x,), baseline=(torch.zeros_like(x),))


def test_mean_gradient_of_a_cubic():
    (mean,) = mean_gradient(cubic(), quadrature("gauss_legendre", 2))
    x = cubic().x[0]
    cross = torch.stack([x[:, 1], x[:, 0], torch.zeros(2)], 1) / 2
    torch.testing.assert_close(mean[:, 0], x**2 + cross, atol=1e-13, rtol=0)  # ∫ 3t²x² = x², ∫ t x₁ = x₁/2


def test_the_ladder_nests():
    nodes, weights, places = nested((9, 17, 33, 65))
    seen = set()
    for level, n in enumerate((9, 17, 33, 65)):
        fresh = places[level].tolist()
        assert not seen & set(fresh)
        seen |= set(fresh)
        assert len(seen) == n
        own = sorted(seen)
        torch.testing.assert_close(nodes[own], quadrature("clenshaw_curtis", n).nodes, atol=1e-15, rtol=0)
        assert weights[level].nonzero()[:, 0].tolist() == own


def wave(frequency, seen=None):
    """f = sin(k x): needs more steps the larger k is."""

    def value(z, owner):
        if seen is not None:
            seen.append(len(owner))
        return torch.sin(frequency[owner] * z[0][:, 0])[:, None]

    x = torch.ones(len(frequency), 1, dtype=torch.float64)
    return Problem(value=value, x=(x,), baseline=(torch.zeros_like(x),))


def test_refinement_stops_for_each_example_by_itself_and_reuses_its_points():
    seen = []
    frequency = torch.tensor([0.5, 12.3, 20.5], dtype=torch.float64)
    found = adaptive_quadrature(wave(frequency, seen), Tolerance(tolerance=1e-6))
    assert found.steps.tolist() == list(LADDER)
    assert sum(seen) == int(found.steps.sum())  # each point once, the ends among them
    torch.testing.assert_close(found.value[:, 0], torch.sin(frequency), atol=1e-12, rtol=0)
    torch.testing.assert_close(found.parts[0][:, 0, 0], torch.sin(frequency), atol=1e-5, rtol=0)


@pytest.mark.parametrize("through", [False, True])
def test_a_kink_is_closed_in_on(through):
    """f = relu(x − 0.3) + relu(0.61 − x): no rule of a fixed number of nodes gets to 1e-9."""
    x = torch.tensor([[1.0], [2.0]], dtype=torch.float64)

    def value(z, owner):
        return torch.relu(z[0] - 0.3) + torch.relu(0.61 - z[0]) * 3

    problem = Problem(value=value, x=(x,), baseline=(torch.zeros_like(x),))
    found = adaptive_quadrature(problem, Tolerance(tolerance=1e-9, max_steps=4000), through=through)
    expected = torch.tensor([[0.7 - 1.83], [1.7 - 1.83]], dtype=torch.float64)
    scores = found.parts[0][:, 0] if through else found.parts[0][:, 0] * x
    torch.testing.assert_close(scores, expected, atol=1e-8, rtol=0)
    torch.testing.assert_close(found.residual, torch.zeros(2, 1, dtype=torch.float64), atol=1e-8, rtol=0)
    assert (found.steps < 4000).all()


def test_refinement_ends_at_max_steps():
    found = adaptive_quadrature(
        wave(torch.tensor([5000.0], dtype=torch.float64)), Tolerance(tolerance=1e-9, max_steps=33)
    )
    assert found.steps.tolist() == [33]
    further = adaptive_quadrature(
        wave(torch.tensor([5000.0], dtype=torch.float64)), Tolerance(tolerance=1e-9, max_steps=300)
    )
    assert 300 <= further.steps.item() < 600


@pytest.mark.parametrize("bad", [{"tolerance": 0}, {"tolerance": -1}, {"max_steps": 4}])
def test_goals_that_make_no_sense(bad):
    with pytest.raises(InvalidInput):
        Tolerance(**bad)


def test_differentiation_matrix_differentiates():
    t = quadrature("clenshaw_curtis", 17).nodes
    torch.testing.assert_close(differentiation(t) @ torch.exp(t), torch.exp(t), atol=1e-11, rtol=0)


def test_integer_inputs_are_refused_with_the_way_out():
    x = torch.ones(1, 2, dtype=torch.long)
    with pytest.raises(InvalidInput, match="explained at a layer"):
        Problem(value=lambda z, o: z[0].float(), x=(x,), baseline=(x,)).slope((x,), torch.zeros(1, dtype=torch.long))


def test_a_target_without_gradient_is_refused():
    x = torch.ones(1, 2)
    with pytest.raises(InvalidInput, match="no_grad"):
        Problem(value=lambda z, o: z[0].detach(), x=(x,), baseline=(x,)).slope((x,), torch.zeros(1, dtype=torch.long))


def test_accumulates_half_precision_in_float32():
    x = torch.full((1, 4), 0.1, dtype=torch.bfloat16)
    problem = Problem(value=lambda z, o: (z[0] ** 2).sum(1, keepdim=True), x=(x,), baseline=(torch.zeros_like(x),))
    (mean,) = mean_gradient(problem, quadrature("gauss_legendre", 20))
    assert mean.dtype == torch.float32
    assert abs(float(mean.mean()) - 0.1) < 2e-3
    assert np.isfinite(mean.numpy()).all()
