"""Integrated Jacobians: against whole Jacobians, and against the change that their columns add up to."""

import pytest
import torch

from xai_nlp.core.batching import Batching
from xai_nlp.core.integrated_jacobians import integrated_jacobian, nested_jacobians
from xai_nlp.core.problem import Problem
from xai_nlp.core.quadrature import gauss_legendre

POSITIONS, WIDTH, NUMBERS = 5, 3, 4


@pytest.fixture
def problem():
    """Four smooth numbers of five positions."""
    generator = torch.Generator().manual_seed(0)
    x, x0 = (torch.randn(1, POSITIONS, WIDTH, dtype=torch.float64, generator=generator) for _ in range(2))
    mix = torch.randn(POSITIONS * WIDTH, NUMBERS, dtype=torch.float64, generator=generator)
    return Problem(value=lambda z, owner: (z[0].flatten(1).tanh() @ mix).sin(), x=(x,), baseline=(x0,))


def test_columns_are_those_of_whole_jacobians(problem):
    parts = torch.eye(POSITIONS, dtype=torch.bool)
    (x,), (x0,) = problem.x, problem.baseline
    rule = gauss_legendre(6)
    expected = torch.zeros(POSITIONS, NUMBERS, dtype=torch.float64)
    for node, weight in zip(rule.nodes, rule.weights, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda z: problem.value((z,), None)[0], x0 + node * (x - x0))
        expected += weight * (jacobian[:, 0] * (x - x0)).sum(-1).T
    assert torch.allclose(integrated_jacobian(problem, parts, rule), expected, atol=1e-12)


def test_columns_add_up_to_the_change(problem):
    change = (problem.value(problem.x, None) - problem.value(problem.baseline, None))[0]
    parts = torch.tensor([[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]], dtype=torch.bool)
    columns = integrated_jacobian(problem, parts, gauss_legendre(60))
    assert torch.allclose(columns.sum(0), change, atol=1e-10)
    single = integrated_jacobian(problem, torch.eye(POSITIONS, dtype=torch.bool), gauss_legendre(60))
    assert torch.allclose(columns[0], single[:2].sum(0), atol=1e-12)


def test_nested_rules_evaluate_each_node_once(problem):
    nodes = []

    def value(z, owner):
        nodes.append(1)
        return problem.value(z, owner)

    parts = torch.eye(POSITIONS, dtype=torch.bool)
    counted = Problem(value=value, x=problem.x, baseline=problem.baseline)
    change = (problem.value(problem.x, None) - problem.value(problem.baseline, None))[0]
    errors, levels = [], (5, 9, 17, 33)
    for count, columns in zip(levels, nested_jacobians(counted, parts, levels), strict=True):
        errors.append(float((columns.sum(0) - change).abs().max()))
        assert len(nodes) == count
    assert errors[0] > errors[1] > errors[2] > errors[3] < 1e-9


def test_rows_bound_the_parts_of_a_pass_and_change_nothing(problem):
    parts = torch.eye(POSITIONS, dtype=torch.bool)
    passes = []

    def value(z, owner):
        passes.append(1)
        return problem.value(z, owner)

    narrow = Problem(value=value, x=problem.x, baseline=problem.baseline, rows=Batching(limit=2))
    columns = integrated_jacobian(narrow, parts, gauss_legendre(2))
    assert len(passes) == 2 * 3  # two nodes; five parts, two at a time
    assert torch.allclose(columns, integrated_jacobian(problem, parts, gauss_legendre(2)), atol=1e-14)
