"""Shares of text and image, held to `Explanation.shares`."""

import numpy as np
import pytest
from scipy import stats

from tests.runs.overview.samples import chunk_of, explanation
from xai_nlp.core.image import ImageAttribution
from xai_nlp.runs.overview.modalities import Modalities
from xai_nlp.runs.overview.section import OverviewContext


def asked(scores, regions, **more):
    boxes = tuple((0.0, 0.0, 1.0, 1.0) for _ in regions)
    image = ImageAttribution(data=b"", size=(1, 1), boxes=boxes, scores=tuple(regions))
    return explanation("what colour", scores, image=image, **more)


def section_of(items):
    context = OverviewContext()
    section = Modalities(context)
    section.add(chunk_of(items, context))
    return section.result()


def test_shares_of_each_part():
    draws = np.random.default_rng(0)
    items = [
        asked(
            draws.normal(size=2), draws.normal(size=3) * draws.choice([0.01, 1.0]), gold=draws.choice(["POSITIVE", "x"])
        )
        for _ in range(40)
    ]
    found = section_of(items)
    (table,) = found.tables
    shares = np.array([item.shares["image"] for item in items])
    right = np.array([bool(item.correct) for item in items])
    groups = {"all": np.full(40, True), "right": right, "wrong": ~right, "POSITIVE": np.full(40, True)}
    assert {line[1] for line in table.lines} == set(groups)
    for _, value, mean, interval, count, ignored, of_ignored, rows in table.lines:
        own = shares[groups[value]]
        assert (mean, count) == (pytest.approx(own.mean()), len(own))
        assert interval == pytest.approx(np.clip(stats.ttest_1samp(own, 0).confidence_interval(), 0, 1))
        hits = int((own < 0.05).sum())
        assert ignored == pytest.approx(hits / len(own))
        assert of_ignored == pytest.approx(tuple(stats.binomtest(hits, len(own)).proportion_ci(method="wilson")))
        assert shares[rows[0]] == own.max()
    hits = int((shares < 0.05).sum())
    assert 5 < hits < 35 and f"ignored in {round(100 * hits / 40)}\u00a0% of 40 questions" in found.sentence


def test_nothing_without_images_without_text_without_scores():
    assert section_of([explanation("fine", [1.0])]) is None
    assert section_of([asked([0.0, 0.0], [0.0])]) is None
