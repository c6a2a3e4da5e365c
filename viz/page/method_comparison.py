"""A comparison of methods as one HTML file: a sentence, bars with intervals, and every number. It needs no script."""

from __future__ import annotations

from dataclasses import dataclass

from xai_nlp.core.method_comparison import RANDOM, MethodComparison
from xai_nlp.core.statistics import Estimate
from xai_nlp.core.trust import LEVELS
from xai_nlp.viz.page.html import filled, sealed
from xai_nlp.viz.page.report_summary import interval_text
from xai_nlp.viz.text import method_comparison as words
from xai_nlp.viz.text.number_format import percent
from xai_nlp.viz.text.scale import step
from xai_nlp.viz.text.trust_wording import level_kind
from xai_nlp.viz.text.wording import plain


@dataclass(frozen=True)
class IntervalBar:
    """A method's drop above random orders as a bar from zero, in hundredths of the chart's width."""

    start: float
    length: float
    low: float  # of the interval
    high: float


@dataclass(frozen=True)
class MethodLine:
    """A method in the chart and in the tables."""

    name: str
    is_random: bool
    bar: IntervalBar
    mean: str
    half: str
    count: int
    faithfulness: list[tuple[str, str]]
    cost: list[str]
    levels: list[tuple[str, int, str]]  # (kind, hundredths, “level: share, interval”)


def comparison_page(comparison: MethodComparison) -> str:
    """The comparison as a page under a strict content policy; the same input gives the same bytes."""
    headline, rest = words.sentences(comparison)
    chart = _Chart.of(comparison)
    return filled(
        "method_comparison.html",
        title=headline.removesuffix("."),
        headline=headline,
        rest=rest,
        settings=[(name, value) for name, value in words.settings(comparison) if value],
        zero=chart.place(0.0),
        lines=[_line(comparison, name, chart) for name in comparison.ranking],
        unit=comparison.unit,
        part=comparison.part,
        columns=words.columns(comparison),
        cost=words.COST,
        kinds=[(level, level_kind(level)) for level in LEVELS],
        failures=words.failures(comparison),
        versions=" · ".join(f"{name} {number}" for name, number in comparison.versions.items()),
        **sealed("method_comparison.css"),
    )


@dataclass(frozen=True)
class _Chart:
    """The scale that all bars share: from `least`, at most 0, to `most`."""

    least: float
    most: float

    @classmethod
    def of(cls, comparison: MethodComparison) -> _Chart:
        estimates = [one for name in comparison.ranking if (one := comparison.estimate(name))]
        ends = [end for one in estimates for end in (one.mean, *(one.interval or ()))]
        return cls(min([0.0, *ends]), max([0.0, *ends]))

    def place(self, value: float) -> float:
        """Where a value is, from 0 to 100."""
        width = self.most - self.least
        return round(100 * (value - self.least) / width, 1) if width > 0 else 0.0

    def bar(self, estimate: Estimate) -> IntervalBar:
        """The bar of a mean."""
        ends = sorted((self.place(0.0), self.place(estimate.mean)))
        low, high = map(self.place, estimate.interval or (estimate.mean, estimate.mean))
        return IntervalBar(ends[0], round(ends[1] - ends[0], 1), low, high)


def _line(comparison: MethodComparison, name: str, chart: _Chart) -> MethodLine:
    estimate = comparison.estimate(name)
    assert estimate is not None  # it is in the ranking
    cells = words.faithfulness_cells(comparison, name)
    return MethodLine(
        name=plain(name),
        is_random=name == RANDOM,
        bar=chart.bar(estimate),
        mean=cells[0][0],
        half=cells[0][1],
        count=estimate.count,
        faithfulness=cells,
        cost=words.cost_cells(comparison, name),
        levels=[
            (
                level_kind(level),
                step(share.mean, 1.0),
                f"{level}: {percent(share.mean)} ({interval_text(share, percent)})",
            )
            for level, share in comparison.levels(name).items()
        ],
    )
