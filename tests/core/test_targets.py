"""Targets: weighted sums of outputs in a unit."""

import pytest
import torch

from xai_nlp.core.targets import UNITS, Target

OUTPUTS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0], [1.0, 1.0, 1.0]])


def test_units():
    assert UNITS["logit"](OUTPUTS) is OUTPUTS
    torch.testing.assert_close(UNITS["probability"](OUTPUTS).sum(1), torch.ones(3))
    torch.testing.assert_close(UNITS["log-probability"](OUTPUTS).exp(), OUTPUTS.softmax(1))
    torch.testing.assert_close(UNITS["independent probability"](OUTPUTS), 1 / (1 + (-OUTPUTS).exp()))


@pytest.mark.parametrize("unit", sorted(UNITS))
def test_each_row_has_the_weights_of_its_example(unit):
    """Two targets: one label, and a contrast; the second example has others."""
    weights = torch.tensor([[[1.0, 0, 0], [0, 1, -1]], [[0, 0, 1], [1, -1, 0]]])
    owner = torch.tensor([1, 0, 1])
    z = UNITS[unit](OUTPUTS)
    expected = torch.stack([z[[0, 1, 2], [2, 0, 2]], z[[0, 1, 2], [0, 1, 0]] - z[[0, 1, 2], [1, 2, 1]]], 1)
    torch.testing.assert_close(Target(weights=weights, unit=unit)(OUTPUTS, owner), expected)


def test_outputs_of_several_axes_are_summed_and_half_precision_is_widened():
    """Start and end of an answer: the unit is taken over the places of each."""
    outputs = torch.randn(2, 2, 5, generator=torch.Generator().manual_seed(0)).bfloat16()
    weights = torch.zeros(1, 1, 2, 5)
    weights[0, 0, 0, 1] = weights[0, 0, 1, 3] = 1
    values = Target(weights=weights, unit="log-probability")(outputs, torch.tensor([0, 0]))
    logs = outputs.float().log_softmax(-1)
    assert values.dtype == torch.float32
    torch.testing.assert_close(values[:, 0], logs[:, 0, 1] + logs[:, 1, 3])
