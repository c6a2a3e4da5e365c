"""Operations that are made of others."""

import pytest
import torch
from torch import Tensor, nn
from transformers.activations import NewGELUActivation

from tests.methods.propagation.problems import problem_of
from xai_nlp.core.problem import Problem
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.methods.propagation.deeplift import DeepLiftMethod
from xai_nlp.methods.propagation.lrp import LRPMethod, conservation_error


@pytest.mark.parametrize("method", [LRPMethod(), LRPMethod(biases="absorb"), DeepLiftMethod()])
def test_an_activation_that_is_written_out_is_one_operation(method):
    torch.manual_seed(0)
    first, last = nn.Linear(3, 4), nn.Linear(4, 1)
    x = (torch.randn(2, 3),)
    formula, built_in = (nn.Sequential(first, act, last) for act in (NewGELUActivation(), nn.GELU("tanh")))
    with frozen_model(formula):
        got, expected = (method.scores(problem_of(net, *x)).tensors for net in (formula, built_in))
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: torch.baddbmm(a[:, None], a[:, None], b[:, :, None] * torch.ones(4)).flatten(1),
        lambda a, b: torch.baddbmm(torch.ones(1, 1, 1), a[:, None], b[:, :, None]).flatten(1),
        lambda a, b: torch.addmm(a, a, torch.ones(4, 4)),
    ],
)
def test_products_in_whatever_operation(function):
    torch.manual_seed(0)
    x, x0 = (tuple(torch.randn(2, 4) for _ in range(2)) for _ in range(2))
    problem = Problem(value=lambda z, owner: function(*z).sum(1, keepdim=True), x=x, baseline=x0)
    result = LRPMethod().scores(problem)
    torch.testing.assert_close(sum(t.sum(2) for t in result.tensors), result.value)
    result = DeepLiftMethod().scores(problem)
    total = sum(t.sum(2) for t in result.tensors)
    torch.testing.assert_close(total, result.value - result.baseline_value, atol=1e-5, rtol=1e-5)


def test_torchs_attention_with_a_mask_and_its_weights():
    torch.manual_seed(0)
    layer, mask = nn.MultiheadAttention(8, 2, batch_first=True), torch.zeros(3, 3)
    mask[0, 2] = -torch.inf

    class Masked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return layer(x, x, x, attn_mask=mask)[0].flatten(1)[:, :1]

    x, x0 = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    with frozen_model(layer):
        assert conservation_error(problem_of(Masked(), x)).abs().max() < 1e-4
        result = DeepLiftMethod().scores(problem_of(Masked(), x, x0=(x0,)))
    total = result.tensors[0].flatten(2).sum(2)
    torch.testing.assert_close(total, result.value - result.baseline_value, atol=1e-5, rtol=1e-4)
