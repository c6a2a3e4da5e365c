"""Guided backpropagation and deconvolution, by hand."""

import pytest
import torch
from torch import Tensor

import xai_nlp
from tests.methods.propagation.problems import TEXT
from tests.models.tiny import tiny
from xai_nlp.core.problem import Problem
from xai_nlp.methods import find_method
from xai_nlp.methods.propagation.relu import DeconvolutionMethod, GuidedBackpropMethod


def test_guided_and_deconvolved_by_hand():
    """f = 2·relu(x₁) − 3·relu(x₂) + 5·relu(x₃) at (1, 1, −1)."""
    weights, x = torch.tensor([2.0, -3.0, 5.0]), torch.tensor([[1.0, 1.0, -1.0]])
    problem = Problem(value=lambda z, owner: (torch.relu(z[0]) * weights).sum(1, keepdim=True), x=(x,), baseline=(x,))
    assert GuidedBackpropMethod().scores(problem).tensors[0].flatten().tolist() == [2, 0, 0]
    assert DeconvolutionMethod().scores(problem).tensors[0].flatten().tolist() == [2, 0, 5]


def test_only_what_passes_through_the_relu_is_rectified():
    """Captum's hook is on the tensor that goes in, and rectifies what comes back past the ReLU too."""
    x = torch.tensor([[1.0]])
    problem = Problem(value=lambda z, owner: torch.relu(z[0] * 1) - 3 * (z[0] * 1), x=(x,), baseline=(x,))
    assert GuidedBackpropMethod().scores(problem).tensors[0].item() == 1 - 3

    def joined(z: tuple[Tensor, ...], owner: Tensor) -> Tensor:
        inner = z[0] * 1
        return torch.relu(inner) - 3 * inner

    problem = Problem(value=joined, x=(x,), baseline=(x,))
    assert GuidedBackpropMethod().scores(problem).tensors[0].item() == 1 - 3


@pytest.mark.parametrize("name", ["guided_backprop", "deconvolution"])
def test_registered_methods_explain_texts(name):
    why = xai_nlp.load(*tiny("distilbert")).explain(TEXT, method=name)  # ReLU in its head
    assert len(why.scores) == len(why.tokens)
    assert any(score > 0 for score in why.scores)
    assert find_method(name).needs_baseline is False
