"""Quadrature rules against the integrals of polynomials."""

import math

import pytest

from xai_nlp.core.quadrature import HALF_ANGLE, RULES, quadrature
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


@pytest.mark.parametrize(("n", "error"), [(9, 1e-5), (17, 1e-9), (33, 1e-15)])
def test_the_tangent_rule_integrates_the_turn_of_a_direction(n, error):
    """The angle of (1, θ-tangent · (2t − 1)) changes by 2θ from t = 0 to 1: the integral of its derivative."""
    rule, tangent = quadrature("tangent_clenshaw_curtis", n), math.tan(HALF_ANGLE)
    speed = 2 * tangent / (1 + (tangent * (2 * rule.nodes - 1)) ** 2)
    assert abs(float((rule.weights * speed).sum()) - 2 * HALF_ANGLE) < 2 * error
    assert abs(polynomial_error(rule, 0)) < 1e-15 and abs(polynomial_error(rule, 1)) < 1e-15
    assert polynomial_error(rule, 7) < 2e-3 / 8
    assert (rule.nodes[0], rule.nodes[-1]) == (0, 1)
    assert (rule.nodes + rule.nodes.flip(0) - 1).abs().max() < 1e-15


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


@pytest.mark.parametrize("rule", RULES)
def test_more_steps_than_anybody_waits_for_are_refused(rule):
    with pytest.raises(InvalidInput, match="at most"):
        quadrature(rule, 2**70)


def test_gauss_legendre_names_a_rule_for_more_steps():
    with pytest.raises(InvalidInput, match="clenshaw_curtis"):
        quadrature("gauss_legendre", 2**13 + 1)
