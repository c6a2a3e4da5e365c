"""Refinement of the path against closed forms, and its limits."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xai_nlp.core.adaptive_quadrature import (
    PATH_LEVELS,
    PATH_RULE,
    PIECE_RULE,
    adaptive_quadrature,
    nested_quadrature,
    nested_rules,
)
from xai_nlp.core.problem import Problem
from xai_nlp.core.quadrature import clenshaw_curtis, closed_patterson, tangent
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.scope import ModulePoint
from xai_nlp.methods import find_method


def test_the_ladder_nests():
    nodes, weights, places = nested_rules(PATH_LEVELS, PATH_RULE)
    observed = set()
    for level, n in enumerate(PATH_LEVELS):
        fresh = places[level].tolist()
        assert not observed & set(fresh)
        observed |= set(fresh)
        assert len(observed) == n
        own = sorted(observed)
        torch.testing.assert_close(nodes[own], tangent(closed_patterson(n)).nodes, atol=1e-15, rtol=0)
        assert weights[level].nonzero()[:, 0].tolist() == own[1:-1]


def test_pieces_go_without_the_tangent():
    nodes, weights, _ = nested_rules((9, 17), PIECE_RULE)
    torch.testing.assert_close(nodes, clenshaw_curtis(17).nodes, atol=0, rtol=0)
    torch.testing.assert_close(weights[1], clenshaw_curtis(17).weights, atol=0, rtol=0)
    x = torch.ones(1, 1, dtype=torch.float64)
    seen = []

    def value(z, owner):
        seen.extend(z[0][:, 0].tolist())
        return (z[0] - 0.3).abs() ** 0.5  # a cusp

    adaptive_quadrature(Problem(value=value, x=(x,), baseline=(0 * x,)), tolerance=1e-4, max_steps=150)
    whole = nested_rules(PATH_LEVELS, PATH_RULE).nodes.tolist()
    halves = [t for t in seen if min(abs(t - node) for node in whole) > 1e-9]
    expected = [node / 2 for node in clenshaw_curtis(9).nodes.tolist()[1:-1]]  # of the left half
    assert all(min(abs(t - one) for t in halves) < 1e-12 for one in expected if min(abs(one - n) for n in whole) > 1e-9)


def wave(frequency, observed=None):
    """f = sin(k x): needs more steps the larger k is."""

    def value(z, owner):
        if observed is not None:
            observed.append(len(owner))
        return torch.sin(frequency[owner] * z[0][:, 0])[:, None]

    x = torch.ones(len(frequency), 1, dtype=torch.float64)
    return Problem(value=value, x=(x,), baseline=(torch.zeros_like(x),))


def test_refinement_stops_for_each_example_by_itself_and_reuses_its_points():
    observed = []
    frequency = torch.tensor([0.5, 8.3, 31.5, 75.5], dtype=torch.float64)
    integral = adaptive_quadrature(wave(frequency, observed), tolerance=1e-4)
    assert integral.steps.tolist() == list(PATH_LEVELS)
    assert sum(observed) == int(integral.steps.sum())  # each point once, the ends among them
    torch.testing.assert_close(integral.value[:, 0], torch.sin(frequency), atol=1e-12, rtol=0)
    torch.testing.assert_close(integral.sites[0][:, 0, 0], torch.sin(frequency), atol=1e-4, rtol=0)


@pytest.mark.parametrize("through", [False, True])
def test_a_kink_is_closed_in_on(through):
    """f = relu(x − 0.3) + relu(0.61 − x): no rule of a fixed number of nodes gets to 1e-9."""
    x = torch.tensor([[1.0], [2.0]], dtype=torch.float64)

    def value(z, owner):
        return torch.relu(z[0] - 0.3) + torch.relu(0.61 - z[0]) * 3

    problem = Problem(value=value, x=(x,), baseline=(torch.zeros_like(x),))
    integral = adaptive_quadrature(problem, tolerance=1e-9, max_steps=4000, through=through)
    expected = torch.tensor([[0.7 - 1.83], [1.7 - 1.83]], dtype=torch.float64)
    scores = integral.sites[0][:, 0] if through else integral.sites[0][:, 0] * x
    torch.testing.assert_close(scores, expected, atol=1e-8, rtol=0)
    torch.testing.assert_close(integral.residual, torch.zeros(2, 1, dtype=torch.float64), atol=1e-8, rtol=0)
    assert (integral.steps < 4000).all()


@pytest.mark.parametrize("rule", [PATH_RULE, PIECE_RULE])
def test_ends_that_are_known_are_left_out_where_they_have_no_weight(rule):
    passed, alone = [], []
    frequency = torch.tensor([0.5, 3.0], dtype=torch.float64)
    problem = wave(frequency, passed)
    known = nested_quadrature(problem, (9,), through=False, rule=rule, ends=problem.ends())
    plain = nested_quadrature(wave(frequency, alone), (9,), through=False, rule=rule)
    for one, other in ((known.slope, plain.slope), (known.value, plain.value), (known.sites[0], plain.sites[0])):
        torch.testing.assert_close(one, other, atol=1e-15, rtol=0)
    torch.testing.assert_close(known.baseline_value, plain.baseline_value, atol=1e-15, rtol=0)
    assert (sum(alone), sum(passed)) == (2 * 9, 2 * (9 if rule is PATH_RULE else 9 + 2))


def test_refinement_ends_at_max_steps():
    integral = adaptive_quadrature(wave(torch.tensor([5000.0], dtype=torch.float64)), tolerance=1e-9, max_steps=33)
    assert integral.steps.tolist() == [33]
    further = adaptive_quadrature(wave(torch.tensor([5000.0], dtype=torch.float64)), tolerance=1e-9, max_steps=300)
    assert 250 < further.steps.item() <= 300


def kinks(points):
    """f of three examples with kinks and steep places, two targets; `points` counts what each example evaluates."""
    site = nn.Identity()
    x = torch.tensor([[1.0, -2.0], [3.0, 0.4], [0.2, 0.1]], dtype=torch.float64)

    def value(z, owner):
        points.update(owner.tolist())
        hidden = site(torch.relu(z[0] * 7 - 0.3))
        return torch.stack([torch.sin(40 * hidden).sum(1), (hidden - 1).abs().prod(1)], 1)

    return Problem(value=value, x=(x,), baseline=(torch.zeros_like(x),), sites=(ModulePoint(site),))


@given(max_steps=st.integers(9, 300), tolerance=st.sampled_from([1e-9, 1e-3, 0.3]), through=st.booleans())
@settings(max_examples=40, deadline=None)
def test_no_example_evaluates_more_points_than_max_steps(max_steps, tolerance, through):
    points = Counter()
    integral = adaptive_quadrature(kinks(points), tolerance=tolerance, max_steps=max_steps, through=through)
    assert [points[e] for e in range(3)] == integral.steps.tolist()
    assert max(points.values()) <= max_steps


@pytest.mark.parametrize("name", ["integrated_gradients", "internal_influence", "conductance"])
@pytest.mark.parametrize("max_steps", [9, 16, 17, 50, 51, 100])
def test_max_steps_is_a_hard_limit_of_every_path_method(name, max_steps):
    points = Counter()
    problem = kinks(points)
    if name == "integrated_gradients":
        problem = Problem(value=problem.value, x=problem.x, baseline=problem.baseline)
    scores = find_method(name, {"max_steps": max_steps, "tolerance": 1e-9}).scores(problem)
    assert [points[e] for e in range(3)] == scores.steps.tolist()
    assert max(points.values()) <= max_steps


@pytest.mark.parametrize("bad", [{"tolerance": 0}, {"tolerance": -1}, {"max_steps": 4}])
def test_goals_that_make_no_sense(bad):
    with pytest.raises(InvalidInput, match=f"{next(iter(bad))} must be"):
        adaptive_quadrature(wave(torch.ones(1)), **bad)
