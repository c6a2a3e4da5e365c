"""Borrowing: what is changed, and that it comes back."""

import threading
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from xai_nlp.hooks.model_state import fingerprint, frozen_model


@pytest.fixture
def net():
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.BatchNorm1d(2))
    net[0].bias.requires_grad_(False)
    net[1].eval()
    net.config, net[0].config = SimpleNamespace(_attn_implementation="sdpa"), SimpleNamespace(vision=True)
    return net


def test_borrowed_and_handed_back(net):
    before = fingerprint(net)
    with frozen_model(net, evaluate=True):
        assert not any(p.requires_grad for p in net.parameters())
        assert not any(m.training for m in net.modules())
    assert fingerprint(net) == before


def test_modes_stay_if_not_asked(net):
    with frozen_model(net):
        assert net.training


def test_modes_and_gradients_stay_while_a_nested_loan_that_asked_for_more_is_over(net):
    before = fingerprint(net)
    with frozen_model(net):
        with frozen_model(net, evaluate=True):
            assert not net.training
        assert not net[0].weight.requires_grad
    assert fingerprint(net) == before


def nested(net):
    with frozen_model(net):
        pass
    assert not net[0].weight.requires_grad
    raise ZeroDivisionError


def test_nested_and_failing(net):
    before = fingerprint(net)
    with pytest.raises(ZeroDivisionError), frozen_model(net, evaluate=True):
        nested(net)
    assert fingerprint(net) == before


def test_the_last_of_several_threads_restores(net):
    before, inside, leave = fingerprint(net), threading.Event(), threading.Event()

    def hold():
        with frozen_model(net, evaluate=True):
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=hold)
    with frozen_model(net):
        thread.start()
        inside.wait(5)
    assert not net[0].weight.requires_grad
    leave.set()
    thread.join()
    assert fingerprint(net) == before


DAMAGE = {
    "hook": lambda net: net[0].register_forward_hook(lambda *_: None),
    "pre-hook": lambda net: net[1].register_forward_pre_hook(lambda *_: None),
    "attribute": lambda net: setattr(net[0], "note", 1),
    "mode": lambda net: net.eval(),
    "requires_grad": lambda net: net[0].weight.requires_grad_(False),
    "grad": lambda net: setattr(net[0].weight, "grad", torch.zeros(2, 2)),
    "weight": lambda net: net[0].weight.detach().add_(1),
    "buffer": lambda net: net[2].running_mean.add_(1),
    "dtype": lambda net: setattr(net[2], "running_mean", net[2].running_mean.view(torch.int32)),  # the same memory
    "cast": lambda net: net.double(),
    "forward": lambda net: setattr(net[0], "forward", lambda x: x),
    "implementation": lambda net: setattr(net.config, "_attn_implementation", "eager"),
    "a part's implementation": lambda net: setattr(net[0].config, "_attn_implementation", "eager"),
    "config": lambda net: setattr(net.config, "output_attentions", True),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_fingerprints_see(kind, net):
    before = fingerprint(net)
    assert fingerprint(net) == before
    DAMAGE[kind](net)
    assert fingerprint(net) != before
