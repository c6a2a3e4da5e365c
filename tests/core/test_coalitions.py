"""The masked sweep against brute force."""

import itertools
from dataclasses import replace

import pytest
import torch

from xai_nlp.core.coalitions import coalition_values, features_of, leave_one_out
from xai_nlp.core.features import FeatureMask, SlidingWindows
from xai_nlp.core.problem import Problem


class Counted:
    """f(a, b) = Σ a² · (1 + b₀), counting the rows it is asked for."""

    def __init__(self):
        self.rows = 0

    def __call__(self, z, owner):
        self.rows += len(owner)
        return ((z[0] ** 2).flatten(1).sum(1) * (1 + z[1][:, 0]))[:, None]


def posed(features, f):
    torch.manual_seed(0)
    x = (torch.randn(2, 4, dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64))
    x0 = (torch.randn(2, 4, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64))
    return Problem(value=f, x=x, baseline=x0, features=features)


def groups():
    """Feature 0 in both tensors; feature 2 in the second example only; one entry in none."""
    return FeatureMask((torch.tensor([[0, 0, 1, -1], [0, 1, 2, 2]]), torch.tensor([[0, 3]])), 4)


def by_hand(problem, b, kept):
    f, z = Counted(), []
    for x, x0, ids in zip(problem.x, problem.baseline, problem.features.ids, strict=True):
        row = x[b].clone()
        ours = ids[b if len(ids) > 1 else 0]
        for i, feature in enumerate(ours.tolist()):
            if feature >= 0 and not kept[feature]:
                row[i] = x0[b][i]
        z.append(row[None])
    return float(f(z, torch.zeros(1, dtype=torch.long)))


def values_of(problem, kept):
    """The values of each example's own coalitions `kept` (B, N, M): (B, N, T)."""
    present = features_of(problem).present(problem.examples)
    numbers = [here.nonzero().T for here in present]  # (1, m) each
    return torch.cat(
        [coalition_values(problem, torch.tensor([b]), own, kept[b][:, own[0]]) for b, own in enumerate(numbers)]
    )


def test_every_coalition_by_brute_force_and_no_evaluation_twice():
    f = Counted()
    problem = posed(groups(), f)
    kept = torch.tensor(list(itertools.product([True, False], repeat=4)))[None].expand(2, 16, 4)
    values = values_of(problem, kept)
    for b in range(2):
        for n in range(16):
            assert abs(float(values[b, n, 0]) - by_hand(problem, b, kept[b, n].tolist())) < 1e-12
    assert f.rows == 8 + 16  # the first example has three features only


def test_leaving_one_out():
    f = Counted()
    problem = posed(groups(), f)
    whole, without = leave_one_out(problem)
    assert f.rows == 2 + 3 + 4
    for b in range(2):
        for m in range(4):
            kept = [k != m for k in range(4)]
            assert abs(float(without[b, 0, m]) - by_hand(problem, b, kept)) < 1e-12
        assert abs(float(whole[b, 0]) - by_hand(problem, b, [True] * 4)) < 1e-12
    known, rows = leave_one_out(problem, whole), f.rows
    assert f.rows == 2 * (3 + 4) + 2  # f(x) is not computed again
    assert torch.equal(known[0], whole) and torch.equal(known[1], without)
    still = replace(problem, baseline=problem.x)
    assert torch.equal(leave_one_out(still, whole)[1], whole[:, :, None].expand_as(without))
    assert f.rows == rows


@pytest.mark.parametrize(
    "of", [lambda x: FeatureMask.entries(x), lambda x: SlidingWindows.over(x, [(2,), (1,)], [1, 1])]
)
def test_what_is_as_in_the_baseline_is_not_tried(of):
    f = Counted()
    problem = posed(None, f)
    problem.baseline[0][:, 1:] = problem.x[0][:, 1:]  # only the first entry of a moves, and all of b
    problem = replace(problem, features=of(problem.x))
    whole, without = leave_one_out(problem)
    assert f.rows == 2 * (1 + 1 + 2)
    assert torch.equal(without[:, :, 1:-2], whole[:, :, None].expand(2, 1, problem.features.count - 3))
    assert (without[:, :, [0, -2]] != whole[:, :, None]).all()
    f.rows = 0
    every = torch.tensor(list(itertools.product([True, False], repeat=problem.features.count)))
    values = values_of(problem, every[None].expand(2, -1, -1))
    assert f.rows == 2 * 8
    brought = values[:, every[:, 1]][:, :4, 0] - values[:, ~every[:, 1]][:, :4, 0]
    assert torch.equal(brought, torch.zeros_like(brought))
