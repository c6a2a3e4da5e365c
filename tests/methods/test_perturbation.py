"""Occlusion, by hand."""

import torch

from xai_nlp.core.features import FeatureMask
from xai_nlp.core.problem import Problem
from xai_nlp.methods import find_method

X, X0 = torch.tensor([[3.0, 5.0, 2.0]]), torch.tensor([[1.0, 1.0, 1.0]])


def product(**more):
    return Problem(value=lambda z, owner: z[0].prod(1, keepdim=True), x=(X,), baseline=(X0,), **more)


def test_each_entry_alone():
    scores = find_method("occlusion").scores(product())
    assert scores.tensors[0].tolist() == [[[30 - 10, 30 - 6, 30 - 15]]]
    assert scores.value.tolist() == [[30]]


def test_features_go_together_and_share_their_score():
    features = FeatureMask((torch.tensor([[0, 0, -1]]),), 1)
    assert find_method("occlusion").scores(product(features=features)).tensors[0].tolist() == [[[28, 28, 0]]]
