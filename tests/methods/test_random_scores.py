"""Random scores: a seed, and nothing for features that are not there."""

import torch

from xai_nlp.core.features import FeatureMask
from xai_nlp.core.problem import Problem
from xai_nlp.methods import find_method


def scores(seed=0):
    x = torch.ones(2, 3)
    features = FeatureMask((torch.tensor([[0, 1, 2], [0, 1, -1]]),), 3)
    problem = Problem(value=lambda z, owner: z[0].sum(1, keepdim=True), x=(x,), baseline=(x,), features=features)
    return find_method("random", {"seed": seed}).scores(problem)


def test_the_seed_decides():
    assert torch.equal(scores().tensors[0], scores().tensors[0])
    assert not torch.equal(scores().tensors[0], scores(1).tensors[0])


def test_examples_share_their_draws_and_absent_features_have_none():
    (tensor,) = scores().tensors
    assert torch.equal(tensor[0, :, :2], tensor[1, :, :2])
    assert tensor[1, 0, 2] == 0
    assert scores().value.tolist() == [[3], [3]]
