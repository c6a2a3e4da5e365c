"""Drops in the order of scores and in random orders: against loops that remove one feature after another."""

import itertools

import numpy as np
import pytest
import torch

from xai_nlp.core.subject import MovableInput, Subject
from xai_nlp.metrics import random_scores
from xai_nlp.metrics.removal_drops import RemovalDrops, removal_drops

WEIGHTS = torch.tensor([0.7, -1.1, 2.0, 0.1, -0.4, 1.3], dtype=torch.float64)


def value(z):
    """A sum, and a product in which every number meets every other."""
    return z @ WEIGHTS + z.prod(-1)


def subject():
    """The function at six ones; a number is removed by a zero."""
    x = torch.ones(1, 6, dtype=torch.float64)
    return Subject(
        forward=lambda arguments, owner: arguments.get("x", x[owner]),
        read=lambda run, owner: value(run())[:, None],
        inputs={"x": MovableInput(x=(x,), baseline=(0 * x,), features=torch.arange(6)[None])},
        examples=1,
    )


def looped(order):
    """The drop after each removal, one at a time."""
    z, drops = torch.ones(6, dtype=torch.float64), []
    for i in order:
        z[i] = 0
        drops.append(float(WEIGHTS.sum() + 1 - value(z)))
    return drops


def random_pairs(orders):
    """The random orders that are drawn, each with its reverse."""
    draws = random_scores(subject(), orders=orders)[0]
    return [(one.argsort(descending=True).tolist(), one.argsort().tolist()) for one in draws]


def test_the_drops_are_those_of_a_loop():
    scores = torch.stack([WEIGHTS, torch.arange(6.0).double()])
    (drops,) = removal_drops(subject(), scores, orders=5, sizes=None, search=True)
    for own, of_explanation in zip(drops.own, scores, strict=True):
        order = of_explanation.argsort(descending=True).tolist()
        assert own.tolist() == pytest.approx([np.mean(looped(order)), np.mean(looped(order[::-1]))])
    expected = [[np.mean(looped(one)) for one in pair] for pair in random_pairs(5)]
    assert drops.random.numpy() == pytest.approx(np.array(expected))
    every = [np.mean(looped(order)) for order in itertools.permutations(range(6))]
    assert (drops.best, drops.worst) == pytest.approx((max(every), min(every)))
    tried = [abs(drop) for pair in random_pairs(5) for one in pair for drop in looped(one)]
    assert drops.largest == pytest.approx(max(tried))


def test_the_correlation_is_numpys_among_removals_of_one_size():
    scores = torch.tensor([[0.5, -1.0, 1.5, 0.5, 0.0, 0.3]], dtype=torch.float64)
    (drops,) = removal_drops(subject(), scores, orders=12, sizes=None, search=False)
    sums, changes = np.zeros((24, 5)), np.zeros((24, 5))
    for row, order in enumerate(one for pair in random_pairs(12) for one in pair):
        sums[row] = np.cumsum(scores[0, order].numpy())[:5]
        changes[row] = looped(order)[:5]
    expected = np.corrcoef((sums - sums.mean(0)).ravel(), (changes - changes.mean(0)).ravel())[0, 1]
    assert float(drops.correlation[0]) == pytest.approx(expected)
    assert 0.3 < expected < 0.99


def test_shares_of_the_features_are_rounded_up():
    (drops,) = removal_drops(subject(), WEIGHTS[None], orders=2, sizes=(0.35, 0.65), search=False)
    order = WEIGHTS.argsort(descending=True).tolist()
    assert float(drops.own[0, 0]) == pytest.approx(np.mean([looped(order)[2], looped(order)[3]]))  # 3 and 4 of 6


def test_where_nothing_depends_on_the_features_all_is_zero():
    x = torch.ones(1, 6, dtype=torch.float64)
    constant = Subject(
        forward=lambda arguments, owner: arguments.get("x", x[owner]),
        read=lambda run, owner: 0 * run()[:, :1] + 2,
        inputs={"x": MovableInput(x=(x,), baseline=(0 * x,), features=torch.arange(6)[None])},
        examples=1,
    )
    (drops,) = removal_drops(constant, WEIGHTS[None], orders=3, sizes=None, search=False)
    assert drops.largest == float(drops.correlation[0]) == drops.gap(0) == 0
    assert drops.numbers(0)["position of deletion"] == 0


def test_positions_go_from_the_random_mean_to_the_best():
    random = torch.tensor([[1.0, 3.0], [2.0, 4.0]], dtype=torch.float64)
    own = torch.tensor([[4.0, 1.0]], dtype=torch.float64)
    drops = RemovalDrops(own=own, random=random, correlation=own[:, 0], best=5.0, worst=0.5, largest=6.0)
    numbers = drops.numbers(0)
    assert numbers["position of deletion"] == pytest.approx((4 - 2.5) / (5 - 2.5))
    assert numbers["position of insertion"] == pytest.approx((2.5 - 1) / (2.5 - 0.5))
    half = 12.706204736 * 0.5  # Student's t of one degree of freedom, times the error of the mean of 2 and 3
    assert numbers["position of deletion, low"] == pytest.approx(0.0)  # the random mean may lie above the best
    assert numbers["position of insertion, high"] == pytest.approx((2.5 + half - 1) / (2.5 + half - 0.5))
    assert drops.random_gaps.tolist() == [-2.0, -2.0]


def test_explanations_that_share_passes_do_not_change_each_other():
    scores = torch.stack([WEIGHTS, -WEIGHTS, torch.arange(6.0).double()])
    (together,) = removal_drops(subject(), scores, orders=4, sizes=(0.35, 0.65), search=False)
    for i in range(3):
        (alone,) = removal_drops(subject(), scores[i : i + 1], orders=4, sizes=(0.35, 0.65), search=False)
        assert alone.numbers(0) == together.numbers(i)
        assert alone.largest == together.largest
