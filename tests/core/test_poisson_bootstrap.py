"""Bootstrap intervals in batches, held to scipy's bootstrap and to plain means."""

import numpy as np
import pytest
from scipy import stats

from xai_nlp.core.poisson_bootstrap import PoissonBootstrap


@pytest.fixture
def sample():
    draws = np.random.default_rng(0)
    values = np.column_stack([draws.exponential(size=900), draws.uniform(size=900)])
    values[::7, 1] = np.nan
    return values, {"all": np.full(900, True), "some": draws.uniform(size=900) < 0.3}


def filled(values, groups, size=900, **more):
    bootstrap = PoissonBootstrap(2, **more)
    for start in range(0, len(values), size):
        part = slice(start, start + size)
        bootstrap.add({name: inside[part] for name, inside in groups.items()}, values[part])
    return bootstrap


def test_means_and_intervals(sample):
    values, groups = sample
    bootstrap = filled(values, groups, size=100, resamples=4000)
    for name, inside in groups.items():
        for m in range(2):
            own = values[inside, m]
            own = own[np.isfinite(own)]
            assert bootstrap.count(name, m) == len(own)
            assert bootstrap.mean(name, m) == pytest.approx(own.mean(), rel=1e-12)
            exact = stats.bootstrap((own,), np.mean, method="percentile", n_resamples=4000, rng=1).confidence_interval
            width = exact.high - exact.low
            assert bootstrap.interval(name, m) == pytest.approx(tuple(exact), abs=0.08 * width)


def test_differences(sample):
    values, groups = sample
    change, interval = filled(values, groups, resamples=4000).difference("some", 0, "all")
    one, rest = values[groups["some"], 0], values[~groups["some"], 0]
    assert change == pytest.approx(one.mean() - rest.mean(), rel=1e-9)

    def difference(a, b, axis):
        return a.mean(axis=axis) - b.mean(axis=axis)

    exact = stats.bootstrap((one, rest), difference, method="percentile", n_resamples=4000, rng=1).confidence_interval
    assert interval == pytest.approx(tuple(exact), abs=0.08 * (exact.high - exact.low))


def test_the_interval_holds_the_mean_as_often_as_it_says():
    draws, held = np.random.default_rng(5), 0
    for trial in range(300):
        values = draws.normal(1.0, 1.0, (60, 1))
        bootstrap = PoissonBootstrap(1, seed=trial, resamples=300)
        bootstrap.add({"all": np.full(60, True)}, values)
        low, high = bootstrap.interval("all", 0)
        held += low <= 1.0 <= high
    assert 0.90 <= held / 300 <= 0.98


def test_a_seed_repeats_it_and_small_groups_have_no_interval(sample):
    values, groups = sample
    one, same = filled(values, groups, seed=3), filled(values, groups, seed=3)
    other = filled(values, groups, seed=4)
    assert one.interval("some", 0) == same.interval("some", 0) != other.interval("some", 0)
    single = {"all": np.full(900, True), "one": np.arange(900) == 5, "none": np.full(900, False)}
    found = filled(values, single)
    assert found.interval("one", 0) is None and found.difference("none", 0, "all") is None
    assert found.difference("all", 0, "all") is None
    assert found.difference("one", 0, "all")[1] is None
    assert "one" in found and "two" not in found
