"""The two tests of a suspect, held to scipy."""

import numpy as np
import pytest
from scipy import stats

from xai_nlp.core.grouped_means import GroupedMoments
from xai_nlp.runs.overview.suspect_tests import MARGIN, Excess, WrongAndRight, aligned


def means(values, codes):
    """Means of the values that are there, (N, G); NaN is absent."""
    moments = GroupedMoments()
    rows, places = (~np.isnan(values)).nonzero()
    moments.add(codes[places][:, None], values[rows, places], rows)
    return moments.result()


@pytest.fixture(scope="module")
def values():
    draws = np.random.default_rng(0)
    made = draws.normal(0.2, 0.3, (90, 4))
    made[draws.random(made.shape) < 0.6] = np.nan
    made[:, 3] = np.nan
    return made


CODES = np.array([3, 5, 8, 9])


def test_wrong_and_right_are_those_of_scipy(values):
    wrong, right = values[:30], values[30:]
    found = WrongAndRight.of(
        CODES, means(wrong, CODES), means(right, CODES), means(values**3, CODES), (len(wrong), len(right))
    )
    filled = [np.nan_to_num(part) for part in (wrong, right)]
    np.testing.assert_allclose(found.means, [part.mean(0) for part in filled], atol=1e-12)
    errors = np.sqrt(sum(part.var(0, ddof=1) / len(part) for part in filled))
    np.testing.assert_allclose(found.low, filled[0].mean(0) - filled[1].mean(0) - stats.norm.ppf(0.975) * errors)
    np.testing.assert_allclose(found.more, filled[0].mean(0) - filled[1].mean(0), atol=1e-12)
    assert found.present.tolist() == [(~np.isnan(part)).sum(0).tolist() for part in (wrong, right)]
    draws, joined = np.random.default_rng(1), np.concatenate(filled)
    shuffled = np.stack([joined[draws.permutation(90)[:30]].sum(0) for _ in range(4000)])
    drawn = (shuffled >= filled[0].sum(0)).mean(0)
    np.testing.assert_allclose(found.p, drawn, atol=0.03)
    assert found.p[3] == 1 and np.isnan(found.rates[3])


def test_an_excess_is_the_t_test_of_scipy(values):
    shares = means(np.abs(values), CODES)
    excess = means(np.where([True, True, False, False], values, np.nan), CODES)
    found = Excess.of(shares, excess, 200)
    for place in (0, 1):
        there = values[~np.isnan(values[:, place]), place]
        test = stats.ttest_1samp(there, MARGIN, alternative="greater")
        assert found.p[place] == pytest.approx(test.pvalue, rel=1e-9)
        low, _ = stats.t.interval(0.95, len(there) - 1, there.mean() - MARGIN, stats.sem(there))
        assert found.low[place] == pytest.approx(low * len(there) / 200, rel=1e-9)
        assert found.more[place] == pytest.approx((there.mean() - MARGIN) * len(there) / 200)
        assert found.size[place] == pytest.approx(np.abs(there).mean() - there.mean())
    assert found.p[2] == 1 and found.low[2] == 0


def test_what_never_varies_is_sure():
    ones = np.ones((20, 1))
    found = Excess.of(means(ones, CODES[:1]), means(ones * 0.5, CODES[:1]), 20)
    assert found.p.tolist() == [0.0] and found.low == pytest.approx([0.4])
    none = Excess.of(means(ones, CODES[:1]), means(ones * 0.05, CODES[:1]), 20)
    assert none.p.tolist() == [1.0]


def test_groups_that_are_not_there_count_nothing(values):
    found = aligned(means(values, CODES), np.array([9, 4, 5]))
    assert found.count.tolist() == [0, 0, (~np.isnan(values[:, 1])).sum()]
    assert aligned(GroupedMoments().result(), CODES).count.tolist() == [0] * 4
