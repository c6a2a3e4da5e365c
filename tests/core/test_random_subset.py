"""Chance of a sum over a subset, held to the enumeration of all subsets."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import hypergeom, pearson3, skew

from xai_nlp.core.random_subset import subset_p_values


def of_values(values, chosen):
    """p values of groups of values (G, N) whose places `chosen` were chosen."""
    sums = [(values**k).sum(1) for k in (1, 2, 3)]
    return subset_p_values(values.shape[1], len(chosen), values[:, list(chosen)].sum(1), *sums)


@pytest.mark.parametrize("size", [2, 4, 7])
def test_the_moments_are_those_of_all_subsets(size):
    values = np.random.default_rng(size).gamma(0.3, size=(1, 11))
    every = np.array([values[0, list(one)].sum() for one in combinations(range(11), size)])
    chosen = list(range(size))
    distance = (values[0, chosen].sum() - every.mean()) / every.std()
    lean = skew(every)
    expected = pearson3.sf(distance, lean) if lean > 0 else pearson3.sf(distance, 0)
    assert of_values(values, chosen)[0] == pytest.approx(expected, rel=1e-9)


def test_it_is_near_the_share_of_drawn_subsets_that_are_as_large():
    draws = np.random.default_rng(0)
    values = np.where(draws.random((20, 200)) < 0.2, draws.gamma(0.5, size=(20, 200)), 0)
    values[:, :40] *= np.linspace(1, 4, 20)[:, None]
    every = np.stack([values[:, draws.permutation(200)[:40]].sum(1) for _ in range(20000)])
    drawn = (every >= values[:, :40].sum(1)).mean(0)
    rare = drawn < 0.3
    assert rare.sum() > 10
    np.testing.assert_allclose(of_values(values, range(40))[rare], drawn[rare], atol=0.012)


def test_ones_and_zeros_are_fishers_test():
    """The tail is of a continuous distribution: it lies between those of the counts next to it."""
    values = np.zeros((1, 400))
    values[0, :30] = 1
    for hits in range(3, 13):
        chosen = [*range(hits), *range(100, 150 - hits)]
        exact = [hypergeom.sf(least - 1, 400, 30, 50) for least in (hits, hits + 1)]
        assert exact[1] < of_values(values, chosen)[0] < exact[0]


@pytest.mark.parametrize("values", [(0.0, 0.0, 0.0, 0.0, 9.0), (0.0, -9.0, 0.0, 0.0, 0.0)])
def test_it_errs_rarely_where_nothing_is_there(values):
    """Rare and heavy values, wrong ones few: at most a twentieth of random choices seems unlikely at 5 %."""
    draws = np.random.default_rng(1)
    groups = draws.choice(values, (4000, 300)) * draws.random((4000, 300))
    p = of_values(groups, draws.permutation(300)[:20])
    assert (p <= 0.05).mean() <= 0.06 and (p <= 0.001).mean() <= 0.004


def test_equal_values_and_no_choice_say_nothing():
    assert of_values(np.full((1, 9), 0.3), [0, 1]).tolist() == [1.0]
    assert of_values(np.eye(5), []).tolist() == [1.0] * 5
    assert of_values(np.eye(5), list(range(5))).tolist() == [1.0] * 5
