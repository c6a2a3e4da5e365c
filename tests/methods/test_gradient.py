"""Gradients at the input, by hand."""

import torch

from xai_nlp.core.problem import Problem
from xai_nlp.methods import find_method

WEIGHTS = torch.tensor([2.0, -3.0, 0.5])
X = torch.tensor([[1.0, 2.0, -4.0], [0.0, -1.0, 3.0]])


def squares():
    """f = Σ wᵢ xᵢ², with gradient 2wᵢxᵢ."""
    return Problem(value=lambda z, owner: (WEIGHTS * z[0] ** 2).sum(1, keepdim=True), x=(X,), baseline=(0 * X,))


def test_saliency_is_the_gradient_or_its_size():
    scores = find_method("saliency").scores(squares())
    torch.testing.assert_close(scores.tensors[0][:, 0], 2 * WEIGHTS * X)
    torch.testing.assert_close(scores.value[:, 0], (WEIGHTS * X**2).sum(1))
    absolute = find_method("saliency", {"absolute": True}).scores(squares())
    torch.testing.assert_close(absolute.tensors[0][:, 0], (2 * WEIGHTS * X).abs())


def test_input_x_gradient_is_the_gradient_times_the_input():
    scores = find_method("input_x_gradient").scores(squares())
    torch.testing.assert_close(scores.tensors[0][:, 0], 2 * WEIGHTS * X**2)
