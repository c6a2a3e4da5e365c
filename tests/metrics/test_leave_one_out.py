"""Kendall's τ to leave-one-out, and monotonicity: loops and cases by hand."""

import pytest
import torch

from tests.metrics.functions import additive, subject_of, tangled
from xai_nlp.errors import InvalidInput
from xai_nlp.metrics import leave_one_out_tau, monotonicity, rank_correlation


def test_tau_is_that_of_a_loop():
    f, x, x0 = tangled(features=7, examples=3)
    scores = torch.rand(3, 7, dtype=torch.float64)
    found = leave_one_out_tau(subject_of(f, x, x0), scores)
    for b in range(3):
        changes = []
        for i in range(7):
            z = x[b].clone()
            z[i] = x0[b, i]
            changes.append(f(x[b : b + 1])[0] - f(z[None])[0])
        for t in range(2):
            expected = rank_correlation(scores[b], torch.stack(changes)[:, t], kind="kendall")
            assert float(found[b, t]) == pytest.approx(expected)


def test_features_that_an_example_lacks_do_not_count():
    f, x, x0 = additive([[4.0, 2.0, 1.0], [5.0, 7.0, 0.0], [5.0, 0.0, 0.0]])
    features = torch.tensor([[0, 1, 2], [0, 1, -1], [0, -1, -1]])
    subject = subject_of(f, x, x0, features)
    found = leave_one_out_tau(subject, [[1.0, 2.0, 3.0], [1.0, 2.0, 9.0], [1.0, 0.0, 0.0]])[:, 0]
    assert found[:2].tolist() == [-1, 1]
    assert found[2].isnan()


def test_steps_that_rise():
    f, x, x0 = additive([[4.0, -2.0, 1.0, 3.0]])
    subject = subject_of(f, x, x0)
    assert monotonicity(subject, [[4.0, 1.0, 2.0, 3.0]]).item() == 0.75
    assert monotonicity(subject_of(f, x.abs(), x0), [[4.0, 1.0, 2.0, 3.0]]).item() == 1
    shrinking = subject_of(lambda z: -f(z), x.abs(), x0)
    assert monotonicity(shrinking, [[4.0, 1.0, 2.0, 3.0]]).item() == 0
    assert monotonicity(subject, [[[4.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]]]).shape == (1, 2, 1)
    two = subject_of(f, torch.tensor([[4.0, -2.0, 1.0], [4.0, -2.0, 0.0]]), torch.zeros(2, 3), torch.tensor(
        [[0, 1, 2], [0, 1, -1]]))  # fmt: skip
    assert monotonicity(two, [[1.0, 2.0, 3.0]] * 2)[:, 0].tolist() == [2 / 3, 1 / 2]


def test_the_lowest_come_first():
    def falls_at_the_end(z):  # f falls when the last two are there together
        return (z.sum(1) - 5 * z[:, 0] * z[:, 1])[:, None]

    subject = subject_of(falls_at_the_end, torch.ones(1, 4), torch.zeros(1, 4))
    assert monotonicity(subject, [[4.0, 3.0, 2.0, 1.0]]).item() == 0.75
    assert monotonicity(subject_of(lambda z: z[:, :1], torch.ones(1, 2), torch.zeros(1, 2)), [[1.0, 2.0]]).item() == 1


def test_wrong_shape():
    f, x, x0 = additive([[4.0, 2.0]])
    with pytest.raises(InvalidInput, match="one number for each feature of each example"):
        leave_one_out_tau(subject_of(f, x, x0), [[[1.0, 2.0]]])
