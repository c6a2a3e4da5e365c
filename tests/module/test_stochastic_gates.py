"""What both kinds of gates share: masks, penalties, means, errors, and what is saved."""

import captum.module as captum
import pytest
import torch

import xai_nlp.module as ours
from xai_nlp.errors import InvalidInput, XaiError

BOTH = (ours, captum)
KINDS = ("BinaryConcreteStochasticGates", "GaussianStochasticGates")


@pytest.mark.parametrize("kind", KINDS)
def test_entries_of_a_mask_share_a_gate(kind):
    mask = torch.tensor([[0, 0, 1], [2, 1, 1]])
    gates = getattr(ours, kind)(3, mask)
    gated, _ = gates(torch.ones(5, 2, 3))
    for entry, gate in (((0, 1), (0, 0)), ((1, 1), (0, 2)), ((1, 2), (0, 2))):
        assert torch.equal(gated[:, entry[0], entry[1]], gated[:, gate[0], gate[1]])
    assert gated.min() >= 0 and gated.max() <= 1
    assert len(gated[:, 0, 0].unique()) > 1  # each example draws its own


@pytest.mark.parametrize("kind", KINDS)
def test_in_evaluation_gates_are_their_means(kind):
    gates = getattr(ours, kind)(4).eval()
    x = torch.randn(3, 4)
    gated, _ = gates(x)
    torch.testing.assert_close(gated, x * gates.get_gate_values())
    assert not gates.get_gate_values().requires_grad and not gates.get_gate_active_probs().requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_penalty_is_differentiable_and_reduced_as_asked(kind):
    gates = {how: getattr(ours, kind)(4, reg_weight=0.5, reg_reduction=how) for how in ("none", "mean", "sum")}
    for one in gates.values():
        one.load_state_dict(gates["none"].state_dict())
    penalties = {how: one(torch.ones(2, 4))[1] for how, one in gates.items()}
    torch.testing.assert_close(penalties["none"], 0.5 * gates["none"].get_gate_active_probs())
    torch.testing.assert_close(penalties["sum"], penalties["none"].sum())
    torch.testing.assert_close(penalties["mean"], penalties["none"].mean())
    penalties["sum"].backward()
    (parameter,) = gates["sum"].parameters()
    assert (parameter.grad > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_chances_are_shares_of_draws_above_zero(kind):
    torch.manual_seed(0)
    gates = getattr(ours, kind)(3)
    with torch.no_grad():
        next(gates.parameters()).copy_(torch.tensor([-1.0, 0.2, 1.5]))
    gated, _ = gates(torch.ones(20000, 3))
    shares = (gated > 0).double().mean(0)
    assert (shares - gates.get_gate_active_probs()).abs().max() < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_saved_under_captums_names(kind):
    for mask in (None, torch.tensor([0, 1, 1])):
        own, reference = (getattr(lib, kind)(3 if mask is None else 2, mask) for lib in BOTH)
        assert list(own.state_dict()) == list(reference.state_dict())
        own.load_state_dict(reference.state_dict())
        assert torch.equal(own.get_gate_values(), reference.get_gate_values())


REFUSED = {
    "a mask that leaves gates out": lambda lib, kind: getattr(lib, kind)(3, torch.tensor([0, 1])),
    "a mask with a gate too many": lambda lib, kind: getattr(lib, kind)(3, torch.tensor([0, 3])),
    "reduction": lambda lib, kind: getattr(lib, kind)(3, reg_reduction="max"),
    "entries": lambda lib, kind: getattr(lib, kind)(3)(torch.ones(2, 4)),
    "no batch": lambda lib, kind: getattr(lib, kind)(3)(torch.ones(3)),
}


@pytest.mark.parametrize("why", REFUSED)
@pytest.mark.parametrize("kind", KINDS)
def test_refuses_what_captum_refuses(why, kind):
    for lib in BOTH:
        with pytest.raises(AssertionError) as error:
            REFUSED[why](lib, kind)
    with pytest.raises(XaiError):
        REFUSED[why](ours, kind)
    assert str(error.value)


def test_a_mask_of_other_numbers_is_refused():
    for mask in (torch.tensor([-1, 0, 1]), torch.tensor([0.0, 1.0])):
        with pytest.raises(InvalidInput, match="whole numbers"):
            ours.GaussianStochasticGates(2, mask)


def test_the_base_is_abstract():
    for lib in BOTH:
        with pytest.raises(TypeError, match="abstract"):
            lib.StochasticGatesBase(3)


def test_gates_learn_which_inputs_matter():
    torch.manual_seed(0)
    x = torch.randn(200, 4)
    y = x[:, 0] * 3
    gates, linear = ours.GaussianStochasticGates(4, reg_weight=0.3), torch.nn.Linear(4, 1)
    optimizer = torch.optim.Adam([*gates.parameters(), *linear.parameters()], lr=0.05)
    for _ in range(300):
        gated, penalty = gates(x)
        loss = (linear(gated)[:, 0] - y).square().mean() + penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    chances = gates.get_gate_active_probs()
    assert chances[0] > 0.9 and chances[1:].max() < 0.2
