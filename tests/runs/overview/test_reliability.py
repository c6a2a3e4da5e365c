"""Residuals and levels of trust, held to counts of the explanations."""

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from tests.runs.overview.samples import chunk_of, explanation
from xai_nlp.core.statistics import completeness_verdict, residual_share
from xai_nlp.core.trust import LEVELS, Trust, TrustCheck
from xai_nlp.runs.overview.reliability import OVERALL, Reliability
from xai_nlp.runs.overview.section import OverviewContext


def section_of(items):
    context = OverviewContext()
    section = Reliability(context)
    section.add(chunk_of(items[:7], context))
    section.add(chunk_of(items[7:], context, first=7))
    return section.result()


def test_residuals():
    draws = np.random.default_rng(0)
    items = [explanation("fine film", [1.0, 1.0], value=2 + draws.exponential(0.05)) for _ in range(60)]
    residuals, quantiles = section_of(items).tables
    shares = [residual_share(item)[0] for item in items]
    counts = Counter(map(completeness_verdict, shares))
    assert len(counts) == 3
    for verdict, (_, share, interval, count, (row,)) in zip(("good", "fair", "poor"), residuals.lines, strict=True):
        assert (count, share) == (counts[verdict], counts[verdict] / 60)
        assert interval == pytest.approx(tuple(stats.binomtest(count, 60).proportion_ci(method="wilson")))
        assert completeness_verdict(shares[row]) == verdict
    assert [line[1] for line in quantiles.lines] == pytest.approx(
        np.quantile(shares, (0, 0.25, 0.5, 0.75, 0.95, 1)).tolist(), rel=1e-5
    )


def test_levels_of_each_check():
    def checked(removal, residual):
        checks = [("removal", removal), ("residual", residual)]
        return Trust(checks=tuple(TrustCheck(name=name, level=level, sentence="So.") for name, level in checks))

    levels = [(LEVELS[n % 3], LEVELS[n % 2]) for n in range(24)]
    items = [explanation("fine", [1.0], trust=checked(*pair), complete=False) for pair in levels]
    (table,) = section_of([*items, explanation("fine", [1.0], complete=False)]).tables
    found = {line[:2]: line for line in table.lines}
    assert {name for name, _ in found} == {OVERALL, "removal", "residual"} and len(found) == 9
    for place, name in enumerate(("removal", "residual")):
        for level in LEVELS:
            count = sum(pair[place] == level for pair in levels)
            assert found[name, level][2] == pytest.approx(count / 24) and found[name, level][4] == count
            assert all(levels[row][place] == level for row in found[name, level][5])
    overall = Counter(item.trust.level for item in items)
    assert {level: found[OVERALL, level][4] for level in LEVELS} == {level: overall[level] for level in LEVELS}


def test_nothing_where_nothing_was_promised_or_checked():
    assert section_of([explanation("fine", [1.0], complete=False)] * 9) is None
