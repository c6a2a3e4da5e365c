"""What rules of pairs are made of, by hand."""

import math

import pytest
import torch

from xai_nlp.methods.propagation.paired_rows import all_change, for_both, is_change, is_paired, log_mean, mean_of


def test_logarithmic_means():
    """(a − b)/(ln a − ln b), which is a where both are equal, and 0 where both are."""
    a, b = torch.tensor([4.0, 2.0, 0.0, 1e-30]).double(), torch.tensor([1.0, 2.0, 0.0, 1.0]).double()
    weights = torch.stack([a, b])
    got = log_mean(weights, weights.log())[0]
    expected = [3 / math.log(4), 2, 0, (1 - 1e-30) / (30 * math.log(10))]
    assert got.tolist() == pytest.approx(expected, rel=1e-12)
    assert torch.equal(log_mean(weights.mT, weights.mT.log(), 1)[:, 0], got)


def test_a_difference_too_small_to_divide_by_is_no_change():
    differences = torch.tensor([0.0, 1e-11, -1e-9, math.nan, math.inf, -2.0])
    assert is_change(differences, 1e-10).tolist() == [False, False, True, False, True, True]
    assert is_change(differences, 0).tolist() == [False, True, True, False, True, True]
    for some in (differences, differences[:2], differences[4:], differences[1:3], differences[3:], differences[:0]):
        assert all_change(some, 1e-10) == bool(is_change(some, 1e-10).all())


def test_pairs():
    pairs = torch.arange(8.0).view(1, 4, 2)
    assert mean_of(pairs).tolist() == [[[2, 3], [4, 5]]]
    assert for_both(torch.ones(1, 2)).shape == (2, 2)
    assert [is_paired(t) for t in (torch.ones(4), torch.ones(3), torch.tensor(1.0), 2)] == [True, False, False, False]
