"""Modules that are one activation: Δout / Δin of each entry, and the slope where nothing changes."""

import pytest
import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from xai_nlp.core.problem import Problem
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.methods.propagation.deeplift import DeepLiftMethod
from xai_nlp.methods.propagation.operations import is_activation

MODULES = {
    "several of one kind": [nn.Tanh(), nn.Tanh(), nn.Tanh()],
    "one kind with other options": [nn.LeakyReLU(0.5), nn.LeakyReLU(0.1), nn.ELU(0.5), nn.ELU(2.0)],
    "formulas": [ACT2FN["gelu_new"], ACT2FN["gelu"], ACT2FN["quick_gelu"], ACT2FN["relu2"]],
    "in place": [nn.ReLU(inplace=True), nn.SiLU(inplace=True), nn.Hardtanh(inplace=True)],
}


@pytest.mark.parametrize("name", MODULES)
def test_multipliers_are_ratios_of_differences(name):
    modules = MODULES[name]
    net = nn.ModuleList(modules)
    generator = torch.Generator().manual_seed(0)
    x, x0 = torch.randn(2, 3, len(modules), 4, generator=generator, dtype=torch.double)
    x0[:, :, 0] = x[:, :, 0]

    def outputs(z: Tensor) -> Tensor:
        return torch.stack([module(part + 0) for module, part in zip(net, z.unbind(1), strict=True)], 1)

    problem = Problem(value=lambda z, owner: outputs(z[0]).flatten(1).sum(1, keepdim=True), x=(x,), baseline=(x0,))
    ratio = (outputs(x) - outputs(x0)) / (x - x0)
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(outputs(leaf).sum(), leaf)
    expected = torch.where(x == x0, slope, ratio)
    for _ in range(2):  # looked up, then remembered
        with frozen_model(net):
            got = DeepLiftMethod(multiply=False).scores(problem).tensors[0][:, 0]
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


def test_which_modules_are_one_activation():
    assert all(map(is_activation, (nn.ReLU(), nn.GELU(), nn.Tanh(), ACT2FN["gelu_new"])))
    others = (nn.Softmax(-1), nn.GLU(), nn.PReLU(), nn.ReLU(inplace=True), nn.MultiheadAttention(2, 1), nn.Linear(2, 2))
    assert not any(map(is_activation, others))
