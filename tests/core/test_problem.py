"""What a problem asks of a model."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from xai_nlp.core.problem import Problem
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.scope import ModulePoint, attached


def test_what_lies_before_the_sites_gets_no_graph():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).requires_grad_(False)
    x, x0 = torch.randn(2, 2, 3)
    seen = []

    def note(module, args, output):
        seen.append(output.requires_grad)

    problem = Problem(value=lambda z, owner: net(z[0]), x=(x,), baseline=(x0,), sites=(ModulePoint(net[1]),))
    with attached([lambda: net[0].register_forward_hook(note), lambda: net[2].register_forward_hook(note)]):
        (slope,) = problem.slope_at_x().gradients
        problem.slope(problem.x, problem.everyone, inputs_too=True)
    assert seen == [False, True, True, True]
    torch.testing.assert_close(slope[:, 0], net[2].weight.expand(2, 4))


class Recorded(nn.Module):
    """Keeps what its layer gives out before anybody else sees it, and goes on with that."""

    def __init__(self):
        super().__init__()
        self.layer, self.kept = nn.Linear(3, 4), []
        self.layer.register_forward_hook(lambda module, args, output: self.kept.append(output))

    def forward(self, x):
        self.kept.clear()
        self.layer(x)
        return self.kept.pop().sum(1, keepdim=True)


def test_what_somebody_else_kept_is_the_node_too():
    x = torch.randn(2, 3)
    net = Recorded().requires_grad_(False)
    (slope,) = (
        Problem(value=lambda z, owner: net(z[0]), x=(x,), baseline=(x,), sites=(ModulePoint(net.layer),))
        .slope_at_x()
        .gradients
    )
    torch.testing.assert_close(slope, torch.ones(2, 1, 4))


def test_a_tensor_that_passes_is_left_as_it_was():
    passing = torch.randn(2, 3)
    gate = nn.Identity()
    problem = Problem(
        value=lambda z, owner: (gate(passing) * z[0]).sum(1, keepdim=True),
        x=(torch.ones(2, 3),),
        baseline=(torch.zeros(2, 3),),
        sites=(ModulePoint(gate),),
    )
    (slope,) = problem.slope_at_x().gradients
    torch.testing.assert_close(slope, torch.ones(2, 1, 3))
    assert not passing.requires_grad
    with pytest.raises(ZeroDivisionError):
        replace(problem, value=lambda z, owner: gate(passing) / (1 // 0)).slope_at_x()
    assert not passing.requires_grad


def test_a_target_that_does_not_depend_on_the_layer():
    net = nn.Linear(3, 1).requires_grad_(False)
    problem = Problem(
        value=lambda z, owner: net(z[0]).detach(),
        x=(torch.ones(2, 3),),
        baseline=(torch.ones(2, 3),),
        sites=(ModulePoint(net),),
    )
    with pytest.raises(InvalidInput, match="does not depend on the layer"):
        problem.slope_at_x()


def test_a_layer_that_the_target_does_not_use_has_no_gradient():
    unused, x = nn.Linear(3, 2).requires_grad_(False), torch.ones(2, 3)

    def value(z, owner):
        unused(z[0])
        return z[0].square().sum(1, keepdim=True)

    slope = Problem(value=value, x=(x,), baseline=(x,), sites=(ModulePoint(unused),)).slope_at_x()
    assert torch.equal(slope.gradients[0], torch.zeros(2, 1, 2))
    assert torch.equal(slope.values, torch.full((2, 1), 3.0))


def test_examples_against_several_baselines():
    x, baselines = torch.tensor([[1.0], [2.0]]), torch.tensor([[5.0], [6.0], [7.0]])
    scale = torch.tensor([10.0, 100.0])
    problem = Problem(value=lambda z, owner: z[0] * scale[owner, None], x=(x,), baseline=(0 * x,))
    pairs = problem.against((baselines,))
    assert pairs.x[0].flatten().tolist() == [1, 1, 1, 2, 2, 2]
    assert pairs.baseline[0].flatten().tolist() == [5, 6, 7, 5, 6, 7]
    assert pairs.values(pairs.x, pairs.everyone).flatten().tolist() == [10, 10, 10, 200, 200, 200]


def test_integer_inputs_are_refused_with_the_way_out():
    x = torch.ones(1, 2, dtype=torch.long)
    with pytest.raises(InvalidInput, match="explained at a layer"):
        Problem(value=lambda z, o: z[0].float(), x=(x,), baseline=(x,)).slope((x,), torch.zeros(1, dtype=torch.long))


def test_a_target_without_gradient_is_refused():
    x = torch.ones(1, 2)
    with pytest.raises(InvalidInput, match="no_grad"):
        Problem(value=lambda z, o: z[0].detach(), x=(x,), baseline=(x,)).slope((x,), torch.zeros(1, dtype=torch.long))


def test_each_of_several_targets_has_its_own_gradient():
    x = torch.tensor([[1.0, 2.0], [3.0, 5.0]])

    def values(z, owner):
        return torch.stack([z[0].prod(1), (z[0] ** 2).sum(1)], 1)

    problem = Problem(value=values, x=(x,), baseline=(0 * x,))
    (gradients,) = problem.slope_at_x().gradients  # (R, T, 2): of x·y and of x² + y²
    assert gradients.tolist() == [[[2.0, 1.0], [2.0, 4.0]], [[5.0, 3.0], [6.0, 10.0]]]
