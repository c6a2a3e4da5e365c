"""Weights of the targets of several windows, side by side."""

import torch

from xai_nlp.tasks.example_target import padded_weights


def test_shorter_weights_are_filled_up_with_zeros():
    short, long = torch.ones(2, 3), torch.full((2, 5), 2.0)
    padded = padded_weights([short, long])
    assert padded.shape == (2, 2, 5)
    assert padded[0].tolist() == [[1, 1, 1, 0, 0]] * 2 and padded[1].tolist() == [[2] * 5] * 2


def test_equal_shapes_are_stacked():
    assert padded_weights([torch.zeros(1, 4), torch.ones(1, 4)]).shape == (2, 1, 4)
