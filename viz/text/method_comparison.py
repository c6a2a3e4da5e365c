"""A comparison of methods in words and as lines of a table, for the page and the terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from xai_nlp.core.method_comparison import RANDOM, Measure, MethodComparison
from xai_nlp.core.statistics import Estimate
from xai_nlp.core.trust import LEVELS
from xai_nlp.viz.text.number_format import SPACE, count, percent, signed, unsigned, with_unit
from xai_nlp.viz.text.scale import peak
from xai_nlp.viz.text.wording import plain

NOTHING = "–"  # where a method was not measured


@dataclass(frozen=True)
class Column:
    """One column: its short title, and what its numbers are."""

    title: str
    help: str


FAITHFULNESS: dict[Measure, Column] = {
    "deletion": Column(
        "deletion",
        "How much more the output drops, on average, when the {part}s with the highest scores go first than when they "
        "go in random order. High is good.",
    ),
    "insertion": Column(
        "insertion",
        "How much higher the output is, on average, when the {part}s with the highest scores come back first than when "
        "they come back in random order. High is good.",
    ),
    "beaten": Column("beats random", "The share of {orders} random orders whose drop is smaller."),
    "comprehensiveness": Column(
        "compreh.", "Comprehensiveness: the drop without the top 1, 5, 10, 20 and 50 % of the {part}s. High is good."
    ),
    "sufficiency": Column("suffic.", "Sufficiency: the drop if those alone are left. Low is good."),
    "naopc": Column("NAOPC", "The drop, where 0 is that of the worst order and 1 that of the best order found."),
}
COST: dict[str, Column] = {
    **{str(level): Column(level, f"The share of explanations whose trust verdict is “{level}”.") for level in LEVELS},
    "flips": Column("flips", "The share of explanations whose top words, six at most, change the answer if deleted."),
    "residual": Column(
        "residual", "The share of the change that the scores leave unexplained, where they should add up."
    ),
    "passes": Column("passes", "Rows that went forward through the model for one explanation."),
    "milliseconds": Column("ms", "Milliseconds for one explanation."),
}


def sentences(comparison: MethodComparison) -> tuple[str, str]:
    """Which method explains the model best, and how sure that is: a headline, and what qualifies it.

    >>> from xai_nlp.core.method_comparison import Measurement
    >>> def measured(row, method, deletion):
    ...     return Measurement(row=row, method=method, deletion=deletion, insertion=0.0, beaten=1.0, passes=1,
    ...         comprehensiveness=1.0, sufficiency=0.0, level="holds", milliseconds=1.0)
    >>> drops = {"occlusion": (1.0, 1.1, 1.2), "lime": (0.6, 0.8, 0.9), "random": (-0.1, 0.0, 0.1)}
    >>> headline, rest = sentences(MethodComparison(task="text-classification", model="tiny", data="rows", rows=3,
    ...     seed=0, orders=20, methods=tuple(drops), unit="logit",
    ...     measurements=tuple(measured(row, name, one) for name, all in drops.items() for row, one in enumerate(all))))
    >>> headline
    'Occlusion explains tiny best, and its lead over lime is more than chance.'
    >>> print(rest.replace(SPACE, " "))  # doctest: +NORMALIZE_WHITESPACE
    Removing its top words first lowers the output by 1.10 logit more than removing random ones.
    Its lead is +0.333 (95 % interval +0.190 to +0.477, paired over 3 examples).
    """
    if not comparison.measurements:
        return "Nothing was measured.", ""
    model, examples = comparison.model, count(comparison.examples, "example")
    best, *others = comparison.ranking
    above = comparison.estimate(best)
    if above is None or above.interval is None:
        return f"One example does not tell which method explains {model} best.", "Measure more of them."
    if best == RANDOM or not _above_zero(above):
        return (
            f"No method explains {model} better than random scores.",
            f"On {examples}, the drop of none is above that of random orders by more than chance.",
        )
    drop = with_unit(unsigned(above.mean), comparison.unit)
    name = plain(best)
    headline = f"{name[0].upper()}{name[1:]} explains {model} best"
    rest = f"Removing its top {comparison.part}s first lowers the output by {drop} more than removing random ones."
    lead = comparison.difference(best, others[0]) if others else None
    if lead is None or lead.interval is None:
        return f"{headline}.", rest
    second = "random scores" if others[0] == RANDOM else plain(others[0])
    sure = "and its lead over {} is more than chance" if _above_zero(lead) else "but its lead over {} may be chance"
    number = partial(signed, peak=peak((lead.mean, *lead.interval)))
    low, high = map(number, lead.interval)
    interval = f"95{SPACE}% interval {low} to {high}, paired over {count(lead.count, 'example')}"
    return f"{headline}, {sure.format(second)}.", f"{rest} Its lead is {number(lead.mean)} ({interval})."


def _above_zero(estimate: Estimate) -> bool:
    return estimate.interval is not None and estimate.interval[0] > 0


def settings(comparison: MethodComparison) -> list[tuple[str, str]]:
    """Names and values of what was compared, and how."""
    rows = f"{comparison.examples:,} of {comparison.rows:,}" if comparison.examples < comparison.rows else ""
    return [
        ("model", comparison.model),
        ("task", plain(comparison.task)),
        ("data", comparison.data),
        ("examples", rows or f"{comparison.examples:,}"),
        (f"{comparison.part}s removed by", comparison.removal),
        ("random orders", f"{comparison.orders:,}"),
        ("seed", str(comparison.seed)),
    ]


def failures(comparison: MethodComparison) -> list[str]:
    """A line for each method and reason why rows were not measured."""
    rows: dict[tuple[str, str], list[int]] = {}
    for one in comparison.failures:
        rows.setdefault((one.method, one.message), []).append(one.row)
    return [
        f"{'row' if len(of) == 1 else f'{len(of):,} rows, the first is'} {of[0]}"
        f"{f', {method}' if method else ''}: {message}"
        for (method, message), of in rows.items()
    ]


# Tables ---------------------------------------------------------------------------------------------------------------


def columns(comparison: MethodComparison) -> dict[Measure, Column]:
    """The columns of faithfulness that were measured, with their help filled in."""
    return {
        name: Column(one.title, one.help.format(part=comparison.part, orders=comparison.orders))
        for name, one in FAITHFULNESS.items()
        if any(comparison.estimate(method, name) for method in comparison.ranking)
    }


def faithfulness_cells(comparison: MethodComparison, method: str) -> list[tuple[str, str]]:
    """(mean, half of its interval or "") in each of `columns`."""
    peaks = {name: _peak(comparison, name) for name in FAITHFULNESS}
    cells = []
    for name in columns(comparison):
        number: Callable[[float], str] = percent if name == "beaten" else partial(_number, name, peaks[name])
        estimate = comparison.estimate(method, name)
        cells.append((number(estimate.mean), _half(estimate, number)) if estimate else (NOTHING, ""))
    return cells


def _number(name: Measure, largest: float | None, value: float) -> str:
    return unsigned(value, largest) if name == "naopc" else signed(value, largest)


def _peak(comparison: MethodComparison, name: Measure) -> float | None:
    means = [estimate.mean for method in comparison.ranking if (estimate := comparison.estimate(method, name))]
    return peak(means) or None


def _half(estimate: Estimate, number: Callable[[float], str]) -> str:
    if estimate.interval is None:
        return ""
    return f"±{number((estimate.interval[1] - estimate.interval[0]) / 2).removeprefix('+')}"


def cost_cells(comparison: MethodComparison, method: str) -> list[str]:
    """The cells of the columns of COST."""
    levels, flips = comparison.levels(method), comparison.flips(method)
    residual = comparison.estimate(method, "residual")
    numbers = [comparison.estimate(method, name) for name in ("passes", "milliseconds")]
    return [
        *(percent(one.mean) for one in levels.values()),
        percent(flips.mean) if flips else NOTHING,
        percent(residual.mean) if residual else NOTHING,
        *(f"{one.mean:,.0f}" if one else NOTHING for one in numbers),
    ]
