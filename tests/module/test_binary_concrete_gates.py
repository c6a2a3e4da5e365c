"""BinaryConcreteStochasticGates against Captum's on random settings, with the same draws."""

import random

import pytest
import torch

from tests.module.test_stochastic_gates import BOTH
from xai_nlp.module import BinaryConcreteStochasticGates


def settings(draw):
    """A number of gates and options, and an input of a shape that goes with them."""
    shape = draw.choice([(3,), (2, 3), (2, 2, 2)])
    gates = torch.Size(shape).numel()
    how = {"reg_weight": draw.choice([1.0, 0.1]), "reg_reduction": draw.choice(["sum", "mean"])}
    if draw.random() < 0.5:
        gates = 3
        how["mask"] = (torch.arange(torch.Size(shape).numel()) % gates).view(shape)
    how |= {"temperature": draw.choice([0.3, 2 / 3]), "lower_bound": draw.choice([-0.1, -0.5]), "upper_bound": 1.2}
    return gates, how, torch.randn(draw.randint(1, 4), *shape)


def trained(lib, gates, how, x, training, seed):
    """What comes out of gates in this mode, and the gradient of its sum."""
    torch.manual_seed(seed)
    module = lib.BinaryConcreteStochasticGates(gates, **how).train(training)
    gated, penalty = module(x)
    (gated.sum() + penalty.sum()).backward()
    return gated, penalty, module.get_gate_values(), module.get_gate_values(clamp=False), module.log_alpha_param.grad


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
        module = lib.BinaryConcreteStochasticGates._from_pretrained(values, reg_weight=0.5)
        assert torch.equal(module.log_alpha_param.data, values) and module.reg_weight == 0.5
    own, reference = (lib.BinaryConcreteStochasticGates._from_pretrained(values) for lib in BOTH)
    torch.testing.assert_close(own.get_gate_active_probs(), reference.get_gate_active_probs())


def test_values_are_stretched_by_hand():
    """sigmoid(0) = 1/2 in the middle of (−0.5, 1.5); far out the ends are reached, and clamped."""
    module = BinaryConcreteStochasticGates._from_pretrained(
        torch.tensor([0.0, 50.0, -50.0]), lower_bound=-0.5, upper_bound=1.5
    )
    torch.testing.assert_close(module.get_gate_values(), torch.tensor([0.5, 1.0, 0.0]))
    torch.testing.assert_close(module.get_gate_values(clamp=False), torch.tensor([0.5, 1.5, -0.5]))


@pytest.mark.parametrize("how", [{"temperature": 1.0}, {"temperature": 0}, {"lower_bound": 0.0}, {"upper_bound": 1.0}])
def test_refuses_what_captum_refuses(how):
    for lib in BOTH:
        with pytest.raises(AssertionError):
            lib.BinaryConcreteStochasticGates(3, **how)
    for lib in BOTH:
        with pytest.raises(AssertionError):
            lib.BinaryConcreteStochasticGates._from_pretrained(torch.zeros(2, 2))


def test_the_penalty_of_each_gate_has_a_gradient():
    """Captum weighs the chances in place, after which they have none."""
    torch.manual_seed(0)
    x = torch.ones(2, 3)
    own, reference = (lib.BinaryConcreteStochasticGates(3, reg_weight=0.1, reg_reduction="none") for lib in BOTH)
    own.load_state_dict(reference.state_dict())
    penalty, captum_value = own(x)[1], reference(x)[1]
    torch.testing.assert_close(penalty, captum_value)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        captum_value.sum().backward()
    penalty.sum().backward()
    chances = own.get_gate_active_probs()
    torch.testing.assert_close(own.log_alpha_param.grad, 0.1 * chances * (1 - chances))
