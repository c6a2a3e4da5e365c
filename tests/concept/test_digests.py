"""Digests differ where values differ, and only there."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from tests.models.tiny import tiny
from xai_nlp.concept.digests import digest, model_digest
from xai_nlp.core.captum_types import CaptumAssertion

VALUES = [
    torch.tensor([1, 2]), torch.tensor([[1, 2]]), torch.tensor([1, 2], dtype=torch.int32), torch.tensor([2, 1]),
    torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0]).bfloat16(), torch.tensor(1), torch.zeros(0), torch.zeros(1) > 0,
    [1, 2], [[1], 2], [1, [2]], [[1, 2]], "12", ["1", "2"], ["12", ""], 12, 1.5, None, True, {"a": 1}, {"b": 1},
    {"a": 1, "b": 2}, {"b": 2, "a": 1}, [], [[]], {},
]  # fmt: skip


def test_different_values_have_different_digests():
    for a, b in itertools.combinations(VALUES, 2):
        assert digest(a) != digest(b), (a, b)
    assert digest("a", "b") != digest("ab") != digest("ab", "")


def test_equal_values_have_equal_digests():
    x = torch.rand(4, 3)
    assert (
        digest(x) == digest(x.clone()) == digest(x.T.contiguous().T) == digest(x.numpy()) == digest(x.requires_grad_())
    )
    assert digest((1, 2)) == digest([1, 2])
    assert digest(np.array([1, 2])) == digest(torch.tensor([1, 2]))
    tokenizer = tiny("bert")[1]
    assert digest(tokenizer("a film", return_tensors="pt")) == digest(dict(tokenizer("a film", return_tensors="pt")))


def test_other_types_are_refused():
    for value in (object(), {1, 2}, [object()]):
        with pytest.raises(CaptumAssertion, match="tensors"):
            digest(value)


def test_models_differ_by_weights_buffers_modules_and_modes():
    def net():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.ReLU()).eval()

    changes = [
        lambda m: m[0].weight.data[1].mul_(1 + 1e-6),
        lambda m: m[0].weight.data.copy_(m[0].weight.data.flip(0)),
        lambda m: m[1].running_mean.add_(1),
        lambda m: m[1].train(),
        lambda m: m.double(),
        lambda m: m.append(nn.ReLU()),
        lambda m: m.__setitem__(2, nn.GELU()),
    ]
    models = [net() for _ in changes]
    for change, model in zip(changes, models, strict=True):
        change(model)
    digests = [model_digest(net()), *map(model_digest, models)]
    assert len(set(digests)) == len(digests)
    assert model_digest(net()) == digests[0]


def test_weights_on_no_device_are_never_the_same():
    net = nn.Linear(2, 2, device="meta")
    assert model_digest(net) != model_digest(net)
