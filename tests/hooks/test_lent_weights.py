"""The model has its own weights back, whatever was done to the copies."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xai_nlp.hooks.lent_weights import lent_weights
from xai_nlp.hooks.model_state import fingerprint


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.norm = nn.Embedding(3, 2), nn.BatchNorm1d(2)
        self.head = nn.Linear(2, 3, bias=False)
        self.head.weight = self.words.weight


@pytest.mark.parametrize("fails", [False, True])
def test_everything_comes_back(fails):
    net = Tied().train()
    before, values = fingerprint(net), {k: v.clone() for k, v in net.state_dict().items()}
    state = torch.get_rng_state()

    def work() -> None:
        with lent_weights(net):
            assert net.head.weight is net.words.weight
            assert not any(p.requires_grad for p in net.parameters())
            net.load_state_dict({k: torch.zeros_like(v) for k, v in values.items()})
            net.norm(torch.randn(4, 2))
            net.eval()
            net.norm.weight = nn.Parameter(torch.ones(2))
            if fails:
                raise ZeroDivisionError

    if fails:
        with pytest.raises(ZeroDivisionError):
            work()
    else:
        work()
    assert fingerprint(net) == before
    assert all(torch.equal(v, values[k]) for k, v in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_works_in_inference_mode():
    net = nn.Linear(2, 1)
    with torch.inference_mode(), lent_weights(net):
        net.weight.requires_grad_()
        (gradient,) = torch.autograd.grad(net(torch.ones(1, 2)).sum(), net.weight)
    assert gradient.tolist() == [[1.0, 1.0]]
