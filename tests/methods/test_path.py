"""Methods that follow the path, against closed forms."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from xai_nlp.core.batching import Batching
from xai_nlp.core.problem import Problem
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.scope import ModulePoint
from xai_nlp.methods import find_method

X = torch.tensor([[2.0, 1.0, -3.0], [0.75, -1.5, 1.0]], dtype=torch.float64)
X0 = torch.tensor([[0.5, -1.0, 0.0]], dtype=torch.float64).expand(2, 3).contiguous()
NAMES = ["integrated_gradients", "internal_influence", "conductance"]


def powers(degree, **more):
    return Problem(value=lambda z, owner: (z[0] ** degree).sum(1, keepdim=True), x=(X,), baseline=(X0,), **more)


@pytest.mark.parametrize("name", ["integrated_gradients", "conductance"])
@pytest.mark.parametrize("steps", [33, "auto"])
def test_of_a_sum_of_powers_each_entry_has_its_own_difference(name, steps):
    scores = find_method(name, {"steps": steps, "tolerance": 1e-10}).scores(powers(3))
    torch.testing.assert_close(scores.tensors[0][:, 0], X**3 - X0**3, atol=1e-10, rtol=0)
    assert scores.steps.tolist() == [33, 33]


def test_without_the_displacement_it_is_the_mean_gradient():
    mean = find_method("integrated_gradients", {"steps": 3, "multiply": False}).scores(powers(3)).tensors[0][:, 0]
    torch.testing.assert_close(mean * (X - X0), X**3 - X0**3, atol=1e-12, rtol=0)


def test_internal_influence_is_the_mean_gradient_at_a_site():
    """y = 2x passes the site and f = Σ y³: ∂f/∂y = 3y² = 12x², whose mean over the path is 4(x³ − x₀³)/(x − x₀)."""
    site = nn.Identity()
    problem = replace(
        powers(3), value=lambda z, o: (site(2 * z[0]) ** 3).sum(1, keepdim=True), sites=(ModulePoint(site),)
    )
    influence = find_method("internal_influence", {"steps": 4}).scores(problem).tensors[0][:, 0]
    torch.testing.assert_close(influence, 4 * (X**3 - X0**3) / (X - X0), atol=1e-11, rtol=0)


@pytest.mark.parametrize("steps", [1, 2, 33])
@pytest.mark.parametrize("rule", ["left", "trapezoid"])
def test_conductance_by_another_rule_is_captums_first_order_sum(steps, rule):
    """At the inputs themselves: steps nodes make steps + 1 points."""
    scores = find_method("conductance", {"steps": steps, "rule": rule}).scores(powers(2))
    t = torch.linspace(0, 1, steps + 1).double() if rule == "trapezoid" else torch.arange(steps + 1) / (steps + 1)
    z = X0[..., None] + (X - X0)[..., None] * t
    expected = (2 * z[..., :-1] * z.diff(dim=2)).sum(2)
    torch.testing.assert_close(scores.tensors[0][:, 0], expected, atol=1e-6, rtol=0)
    assert scores.steps.tolist() == [steps + 1] * 2


@pytest.mark.parametrize("name", NAMES)
def test_what_is_refused(name):
    with pytest.raises(UnknownName, match="quadrature rule"):
        find_method(name, {"steps": 3, "rule": "simpson"}).scores(powers(2))
    for options in ({"steps": 0}, {"tolerance": 0.0}, {"max_steps": 8}):
        with pytest.raises(InvalidInput):
            find_method(name, options).scores(powers(2))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("steps", [7, "auto"])
def test_no_pass_is_larger_than_the_limit(name, steps):
    sizes = []

    def value(z, owner):
        sizes.append(len(owner))
        return (z[0] ** 3).sum(1, keepdim=True)

    problem = replace(powers(3), value=value, rows=Batching(limit=4))
    find_method(name, {"steps": steps}).scores(problem)
    assert max(sizes) == 4
