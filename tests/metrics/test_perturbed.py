"""Perturbed copies: how many at once, their arguments, and what is refused."""

import pytest
import torch

from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.metrics.perturbed import check_perturbed, copies_at_once, repeat_arguments


@pytest.mark.parametrize(
    ("samples", "most", "examples", "expected"),
    [
        (10, None, 3, [10]),
        (10, 9, 3, [3, 3, 3, 1]),
        (4, 100, 3, [4]),
        (3, 2, 3, [1, 1, 1]),
        (1, 1, 1, [1]),
    ],
)
def test_copies_at_once(samples, most, examples, expected):
    assert list(copies_at_once(samples, most, examples)) == expected


def test_rows_of_examples_are_repeated_and_others_are_not():
    x = (torch.zeros(2, 3),)
    given = {
        "target": [0, 1],
        "baselines": torch.tensor([[1.0] * 3, [2.0] * 3]),
        "feature_mask": torch.tensor([[0, 0, 1], [1, 1, 0]]),
        "additional_forward_args": (torch.tensor([5, 6]), "word", torch.tensor([1, 2, 3])),
        "n_steps": 7,
    }
    repeated = repeat_arguments(given, x, 2)
    assert repeated["target"] == [0, 0, 1, 1]
    assert repeated["baselines"][:, 0].tolist() == [1, 1, 2, 2]
    assert repeated["feature_mask"][:, 0].tolist() == [0, 0, 1, 1]
    assert repeated["additional_forward_args"][0].tolist() == [5, 5, 6, 6]
    assert repeated["additional_forward_args"][1:2] == ("word",)
    assert repeated["additional_forward_args"][2].tolist() == [1, 2, 3]
    assert repeated["n_steps"] == 7
    assert given["target"] == [0, 1]


def test_perturbed_inputs_are_checked():
    x = (torch.zeros(2, 3), torch.zeros(2, 4).long())
    good = (torch.zeros(4, 3), torch.zeros(4, 4).long())
    assert check_perturbed(x, good, 2) == good
    for wrong, why in (
        (good[:1], "as many tensors"),
        ((good[0], "text"), "as many tensors"),
        ((good[0][:3], good[1]), "must return it"),
        ((good[0], good[1].double()), "token ids are names"),
    ):
        with pytest.raises(CaptumAssertion, match=why):
            check_perturbed(x, wrong, 2)
