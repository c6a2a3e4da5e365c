"""Rules of single operations, by hand."""

import pytest
import torch
from torch import Tensor, nn

from tests.methods.propagation.problems import problem_of
from xai_nlp.core.problem import Problem
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.methods.propagation.lrp import LRPMethod
from xai_nlp.methods.propagation.rules import NoRule


@pytest.mark.parametrize("lowest", [-torch.inf, torch.finfo(torch.float32).min])
def test_a_mask_that_is_added_is_no_bias(lowest):
    torch.manual_seed(0)
    x, mask = torch.randn(2, 4), torch.tensor([0, 0, 0, lowest])
    problem = Problem(value=lambda z, owner: torch.softmax(z[0] + mask, -1) @ torch.ones(4, 1), x=(x,), baseline=(x,))
    scores = LRPMethod().scores(problem).tensors[0]
    assert (scores[..., 3] == 0).all()
    torch.testing.assert_close(scores.sum(2), torch.ones(2, 1))


def test_shared_biases_by_hand():
    """z = 1·2 + 1·(−3) + 4 = 3: of the bias, inputs of sizes 2 and 3 get 2/5 and 3/5."""
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight[:], layer.bias[:] = torch.tensor([[2.0, -3.0]]), 4.0
    with frozen_model(layer):
        result = LRPMethod().scores(problem_of(layer, torch.ones(1, 2)))
    torch.testing.assert_close(result.tensors[0], torch.tensor([[[2 + 1.6, -3 + 2.4]]]))


def test_operations_without_a_rule_are_refused():
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.i0(x)

    with pytest.raises(NoRule, match="'special_i0' in Odd"):
        LRPMethod().scores(problem_of(Odd(), torch.ones(1, 2)))
    with pytest.raises(TypeError):
        LRPMethod().scores(problem_of(Odd(), torch.ones(1, 2)))

    class Beside(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            self.loss = torch.special.i0(x).sum()  # that no relevance comes to
            return x * 2

    assert LRPMethod().scores(problem_of(Beside(), torch.ones(1, 2))).tensors[0].sum() == 4
