"""Means of many groups, held to scipy and to loops."""

import numpy as np
import pytest
from scipy import stats

from xai_nlp.core import grouped_means
from xai_nlp.core.grouped_means import GroupedMoments, false_discovery


@pytest.fixture
def observations():
    draws = np.random.default_rng(0)
    keys = np.stack([draws.integers(0, 3, 4000), draws.zipf(1.6, 4000).clip(max=500)], axis=1)
    return keys, draws.normal(1e6 + keys[:, 1], 1.0), draws.permutation(4000)


@pytest.mark.parametrize("buffer", [1, 50, 10**6])
def test_moments_are_those_of_each_group(observations, monkeypatch, buffer):
    monkeypatch.setattr(grouped_means, "BUFFER", buffer)
    keys, values, rows = observations
    moments = GroupedMoments()
    for start in range(0, 4000, 171):
        part = slice(start, start + 171)
        moments.add(keys[part], values[part], rows[part])
    found = moments.result()
    assert found.keys.tolist() == np.unique(keys, axis=0).tolist()
    intervals, p_values = found.intervals(), found.p_values()
    for i, key in enumerate(found.keys):
        inside = (keys == key).all(1)
        own = values[inside]
        assert found.count[i] == len(own)
        assert found.mean[i] == pytest.approx(own.mean(), rel=1e-14)
        assert values[rows.tolist().index(found.strongest[i])] == own.max()
        assert found.drawn[i] in rows[inside] and set(found.examples(i)) == {found.strongest[i], found.drawn[i]}
        if len(own) > 1:
            test = stats.ttest_1samp(own, 0)
            assert intervals[i] == pytest.approx(tuple(test.confidence_interval(0.95)), rel=1e-9)
            assert p_values[i] == pytest.approx(test.pvalue, rel=1e-6, abs=1e-300)
        else:
            assert np.isnan(intervals[i]).all() and p_values[i] == 1


def test_the_order_and_size_of_batches_change_nothing(observations):
    keys, values, rows = observations
    one, other = GroupedMoments(), GroupedMoments()
    one.add(keys, values, rows)
    for part in np.array_split(np.random.default_rng(1).permutation(4000), 9):
        other.add(keys[part], values[part], rows[part])
    for a, b in zip(vars(one.result()).values(), vars(other.result()).values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_keys_that_do_not_fit_into_one_number():
    keys = np.array([[2**40, 1, 2**40], [2**40, 1, 2**40], [2**40, 0, 2**40], [1, 1, 1]])
    moments = GroupedMoments()
    moments.add(keys, np.array([1.0, 3.0, 5.0, 7.0]), np.arange(4))
    assert moments.result().mean.tolist() == [7.0, 5.0, 2.0]


def test_rare_groups_are_dropped_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(grouped_means, "BUFFER", 10)
    moments = GroupedMoments(most=20)
    for start in range(0, 1000, 10):
        keys = np.concatenate([np.arange(5), 100 + start + np.arange(10)])[:, None]
        moments.add(keys, np.ones(15), np.arange(15))
    found = moments.result()
    assert len(found) <= 20 and moments.dropped > 0
    assert found.count[:5].tolist() == [100] * 5


def test_nothing_and_equal_values():
    assert len(GroupedMoments().result()) == 0 and GroupedMoments().result().intervals().shape == (0, 2)
    moments = GroupedMoments()
    moments.add(np.empty((0, 2), dtype=int), np.empty(0), np.empty(0, dtype=int))
    moments.add(np.array([[1], [1], [2], [2]]), np.array([2.0, 2.0, 0.0, 0.0]), np.zeros(4, dtype=int))
    found = moments.result()
    assert found.p_values().tolist() == [0.0, 1.0] and found.intervals().tolist() == [[2.0, 2.0], [0.0, 0.0]]


@pytest.mark.parametrize("count", [1, 2, 17, 500])
def test_false_discovery_is_scipys_and_a_loops(count):
    p_values = np.random.default_rng(count).uniform(size=count) ** 3
    found = false_discovery(p_values)
    np.testing.assert_allclose(found, stats.false_discovery_control(p_values, method="bh"), rtol=1e-12)
    for level in (0.01, 0.05, 0.2):  # the procedure as it is written: the largest k with p(k) ≤ k/m · level
        ordered = sorted(p_values)
        k = max((k for k in range(1, count + 1) if ordered[k - 1] <= k / count * level), default=0)
        rejected = set(np.argsort(p_values)[:k].tolist())
        assert rejected == set(np.flatnonzero(found <= level).tolist())


def test_false_discovery_of_nothing():
    assert false_discovery(np.empty(0)).shape == (0,)
