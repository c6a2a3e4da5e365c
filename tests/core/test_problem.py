"""What a problem asks of a model."""

import torch
from torch import nn

from xai_nlp.core.problem import Problem
from xai_nlp.hooks.scope import Site, attached


def test_what_lies_before_the_sites_gets_no_graph():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).requires_grad_(False)
    x, x0 = torch.randn(2, 2, 3)
    seen = []

    def note(module, args, output):
        seen.append(output.requires_grad)

    problem = Problem(value=lambda z, owner: net(z[0]), x=(x,), baseline=(x0,), sites=(Site(net[1]),))
    with attached([lambda: net[0].register_forward_hook(note), lambda: net[2].register_forward_hook(note)]):
        (slope,) = problem.slope_at_x().gradients
        problem.slope(problem.x, problem.everyone, inputs_too=True)
    assert seen == [False, True, True, True]
    torch.testing.assert_close(slope[:, 0], net[2].weight.expand(2, 4))
