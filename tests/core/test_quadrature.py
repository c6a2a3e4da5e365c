"""Quadrature rules against the integrals of polynomials."""

import itertools
import math

import pytest

from xai_nlp.core.quadrature import HALF_ANGLE, PATTERSON, RULES, closed_patterson, quadrature, tangent
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


def is_symmetric_from_0_to_1(rule):
    ends = float(rule.nodes[0]), float(rule.nodes[-1])
    return ends == (0, 1) and (rule.nodes + rule.nodes.flip(0) - 1).abs().max() < 1e-15


@pytest.mark.parametrize("n", [5, 9, 17, 33])
def test_pattersons_rule_is_exact_to_its_degree_and_no_further(n):
    """Odd powers of 2t − 1 integrate to zero by symmetry, so the first that fails is even."""
    rule, degree = closed_patterson(n), (3 * n - 5) // 2

    def error(power):
        return abs(float((rule.weights * (2 * rule.nodes - 1) ** power).sum()) - (power % 2 == 0) / (power + 1))

    assert max(map(error, range(degree + 1))) < 1e-14
    assert n == 33 or error(degree + 1) > 1e-10
    assert is_symmetric_from_0_to_1(rule)
    assert (rule.weights[1:-1] > 0).all() and (rule.weights[[0, -1]] == 0).all()


def test_pattersons_rule_of_15_nodes_is_the_published_one():
    """Patterson 1968, table 1: the outer nodes and the weight of the outermost, on [−1, 1]."""
    rule = closed_patterson(17)
    published = [0.993831963212755022, 0.960491268708020283, 0.888459232872256998]
    assert (2 * rule.nodes.flip(0)[1:4] - 1).tolist() == pytest.approx(published, abs=1e-15)
    assert 2 * float(rule.weights[-2]) == pytest.approx(0.0170017196299402603, abs=1e-15)


def test_pattersons_rules_nest():
    for n, finer in itertools.pairwise(PATTERSON):
        assert (closed_patterson(finer).nodes[::2] - closed_patterson(n).nodes).abs().max() < 1e-15


def test_pattersons_rules_have_fixed_numbers_of_nodes():
    with pytest.raises(InvalidInput, match="3, 5, 9, 17, 33, 65 nodes with both ends; got 8"):
        closed_patterson(8)


@pytest.mark.parametrize(
    ("in_s", "n", "error"),
    [(RULES["clenshaw_curtis"], 9, 4e-4), (RULES["clenshaw_curtis"], 33, 2e-14), (closed_patterson, 17, 1e-9)],
)
def test_under_the_tangent_a_rule_integrates_the_turn_of_a_direction(in_s, n, error):
    """The angle of (1, θ-tangent · (2t − 1)) changes by 2θ from t = 0 to 1: the integral of its derivative."""
    rule, slope = tangent(in_s(n)), math.tan(HALF_ANGLE)
    speed = 2 * slope / (1 + (slope * (2 * rule.nodes - 1)) ** 2)
    assert abs(float((rule.weights * speed).sum()) - 2 * HALF_ANGLE) < error
    assert abs(polynomial_error(rule, 0)) < 1e-15 and abs(polynomial_error(rule, 1)) < 1e-15
    assert polynomial_error(rule, 7) < 0.02 / 8
    assert is_symmetric_from_0_to_1(rule)
    assert (quadrature("tangent_clenshaw_curtis", n).nodes == tangent(RULES["clenshaw_curtis"](n)).nodes).all()


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
