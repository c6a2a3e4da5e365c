"""GaussianStochasticGates against Captum's on random settings, with the same draws."""

import random

import pytest
import torch

from tests.module.test_stochastic_gates import BOTH
from xai_nlp.module import GaussianStochasticGates


def settings(draw):
    """A number of gates and options, and an input of a shape that goes with them."""
    shape = draw.choice([(3,), (2, 3), (2, 2, 2)])
    gates = torch.Size(shape).numel()
    how = {"reg_weight": draw.choice([1.0, 0.1]), "reg_reduction": draw.choice(["sum", "mean", "none"])}
    if draw.random() < 0.5:
        gates = 3
        how["mask"] = (torch.arange(torch.Size(shape).numel()) % gates).view(shape)
    how["std"] = draw.choice([0.1, 0.5, 2.0])
    return gates, how, torch.randn(draw.randint(1, 4), *shape)


def trained(lib, gates, how, x, training, seed):
    """What comes out of gates in this mode, and the gradient of its sum."""
    torch.manual_seed(seed)
    module = lib.GaussianStochasticGates(gates, **how).train(training)
    gated, penalty = module(x)
    (gated.sum() + penalty.sum()).backward()
    return gated, penalty, module.get_gate_values(), module.get_gate_values(clamp=False), module.mu.grad


@pytest.mark.parametrize("training", [False, True])
def test_is_captums(training):
    for number in range(40):
        draw = random.Random(f"gates {number}")
        torch.manual_seed(number)
        gates, how, x = settings(draw)
        got, expected = (trained(lib, gates, how, x, training, number) for lib in BOTH)
        for own_value, captum_value in zip(got, expected, strict=True):
            torch.testing.assert_close(own_value, captum_value, atol=1e-6, rtol=1e-5)


def test_from_pretrained():
    values = torch.tensor([-2.0, 0.0, 3.0])
    for lib in BOTH:
        module = lib.GaussianStochasticGates._from_pretrained(values, reg_weight=0.5)
        assert torch.equal(module.mu.data, values) and module.reg_weight == 0.5
    own, reference = (lib.GaussianStochasticGates._from_pretrained(values) for lib in BOTH)
    torch.testing.assert_close(own.get_gate_active_probs(), reference.get_gate_active_probs())


def test_chances_by_hand():
    """A normal number with mean 0 is above 0 half the time, one with mean 2 std 97.7 %."""
    module = GaussianStochasticGates._from_pretrained(torch.tensor([0.0, 1.0]), std=0.5)
    torch.testing.assert_close(module.get_gate_active_probs(), torch.tensor([0.5, 0.97725]), atol=1e-5, rtol=0)


def test_refuses_what_captum_refuses():
    for lib in BOTH:
        with pytest.raises(AssertionError):
            lib.GaussianStochasticGates(3, std=0.0)
