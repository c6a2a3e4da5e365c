"""Parts of the data compared: by label, answer, length, confidence, and by any column of the data."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from xai_nlp.core.overview import OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.core.poisson_bootstrap import RESAMPLES, PoissonBootstrap
from xai_nlp.core.statistics import proportion
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.section import OverviewContext, Section
from xai_nlp.viz.text.number_format import percent, signed

VALUES = 20  # slices of a column; more values are one slice together
OTHERS, MISSING = "other values", "not given"
ALL = "all"
BINS = 4  # of a column of numbers


@dataclass(frozen=True)
class Measure:
    """One number of each explanation, compared between slices. read: (N,) of a chunk; NaN is unknown."""

    name: str
    title: str
    read: Callable[[Chunk], np.ndarray]


def _right(chunk: Chunk) -> np.ndarray:
    return np.where(chunk.correct < 0, np.nan, chunk.correct)


def _strongest(chunk: Chunk) -> np.ndarray:
    """The share of the strongest word in Σ |score| of the words."""
    sizes, largest = np.zeros(len(chunk)), np.zeros(len(chunk))
    score, example = np.abs(chunk.words.score), chunk.words.example
    np.add.at(sizes, example, score)
    np.maximum.at(largest, example, score)
    return np.asarray(np.divide(largest, sizes, out=np.full(len(chunk), np.nan), where=sizes > 0))


MEASURES = (
    Measure("right", "Right answers", _right),
    Measure("confidence", "Confidence in the prediction", lambda chunk: chunk.confidence),
    Measure("strongest_word", "Share of the strongest word in all scores", _strongest),
    Measure("unexplained", "Left unexplained, at most all", lambda chunk: np.minimum(chunk.residual_share, 1.0)),
)


NOTE = (
    f"Each part against all the rest. Intervals are percentiles of {RESAMPLES:,} Poisson bootstrap resamples, which "
    "all parts share (Hanley and MacGibbon 2006); those of right answers are Wilson’s. Rows: the least and the "
    "greatest value."
)


class Slices(Section):
    """The means of four measures in each slice, against the rest of the data."""

    def __init__(self, context: OverviewContext) -> None:
        super().__init__(context)
        self.bootstrap = PoissonBootstrap(len(MEASURES), context.seed)
        self.slices: dict[str, dict[str, str]] = {}  # column -> value -> its group
        self.examples: dict[tuple[str, int], list[tuple[float, int]]] = {}  # group, measure -> (value, row) of its ends
        self.columns = {name: binned(values) for name, values in context.columns.items()}

    def add(self, chunk: Chunk) -> None:
        values = np.column_stack([measure.read(chunk) for measure in MEASURES])
        groups = {ALL: np.ones(len(chunk), dtype=bool)}
        for column, names in self._columns(chunk).items():
            known = self.slices.setdefault(column, {})
            own = np.array([self._group(column, known, name) for name in names])
            groups |= {name: own == name for name in dict.fromkeys(own.tolist())}
        self.bootstrap.add(groups, values)
        for name, inside in groups.items():
            self._note_examples(name, values[inside], chunk.row[inside])

    def _columns(self, chunk: Chunk) -> dict[str, Sequence[str]]:
        """Name -> the value of each explanation."""
        judged = chunk.correct >= 0
        columns: dict[str, Sequence[str]] = {"explained label": chunk.labels}
        if judged.any():
            right = np.where(judged, np.where(chunk.correct == 1, "right", "wrong"), MISSING)
            columns |= {"answer": right.tolist(), "right label": [" / ".join(one) or MISSING for one in chunk.gold]}
        words = np.bincount(chunk.words.example[chunk.lexical], minlength=len(chunk))
        columns["length"] = list(map(length_name, words.tolist()))
        if any(chunk.trust):
            columns["trust"] = [MISSING if one is None else one.level for one in chunk.trust]
        rows = chunk.row.tolist()
        return columns | {name: [values[row] for row in rows] for name, values in self.columns.items()}

    def _group(self, column: str, known: dict[str, str], value: str) -> str:
        """The group of a value; values beyond VALUES share one."""
        value = value if value in known or len(known) < VALUES else OTHERS
        return known.setdefault(value, f"{column}: {value}")

    def _note_examples(self, group: str, values: np.ndarray, rows: np.ndarray) -> None:
        """Keep the least and the greatest value of each measure, with its row."""
        for m, column in enumerate(values.T):
            known = np.isfinite(column).nonzero()[0]
            if len(known):
                places = known[column[known].argmin()], known[column[known].argmax()]
                ends = [(float(column[i]), int(rows[i])) for i in places] + self.examples.get((group, m), [])
                self.examples[group, m] = [min(ends), max(ends)]

    def result(self) -> OverviewSection | None:
        tables = [table for place in range(len(MEASURES)) if (table := self._table(place))]
        if not tables:
            return None
        return OverviewSection(
            name="slices",
            title="Parts of the data",
            sentence=_sentence(tables[0]) or "No part of the data differs surely from the rest.",
            note=NOTE,
            tables=tuple(tables),
        )

    def _table(self, place: int) -> OverviewTable | None:
        measure, bootstrap, lines = MEASURES[place], self.bootstrap, []
        for column, values in self.slices.items():
            if len(values) < 2 or (measure.name == "right" and column == "answer"):
                continue
            for value, group in sorted(values.items(), key=lambda pair: value_order(pair[0])):
                count = bootstrap.count(group, place)
                if not count:
                    continue
                change = bootstrap.difference(group, place, ALL) or (None, None)
                rows = tuple(dict.fromkeys(row for _, row in self.examples[group, place]))
                mean, interval = bootstrap.mean(group, place), bootstrap.interval(group, place)
                if measure.name == "right":  # resamples of nothing but right answers have no spread
                    interval = proportion(round(mean * count), count).interval
                lines.append((column, value, mean, interval, count, *change, rows))
        columns = (
            OverviewColumn("column"),
            OverviewColumn("value"),
            OverviewColumn("mean", "share"),
            OverviewColumn("interval", "interval"),
            OverviewColumn("texts", "count"),
            OverviewColumn("against the rest", "difference"),
            OverviewColumn("interval of the difference", "interval"),
            OverviewColumn("rows", "rows"),
        )
        if not lines:
            return None
        name = f"slices_{measure.name}"
        return OverviewTable(name=name, title=measure.title, columns=columns, lines=tuple(lines), by="column")


def length_name(words: int) -> str:
    """The slice of a number of words: bounds double.

    >>> [length_name(words) for words in (0, 3, 9, 40)]
    ['no words', '1 to 4 words', '9 to 16 words', '33 to 64 words']
    """
    if not words:
        return "no words"
    high = 4 if words <= 4 else 1 << (words - 1).bit_length()
    return f"{1 if high == 4 else high // 2 + 1:,} to {high:,} words"


def value_order(value: str) -> tuple[bool, int, str]:
    """Lengths by their bound, other values by name, what is not given last.

    >>> sorted(["not given", "9 to 16 words", "b", "5 to 8 words"], key=value_order)
    ['5 to 8 words', '9 to 16 words', 'b', 'not given']
    """
    first = value.split(" ")[0].replace(",", "")
    return value in (MISSING, OTHERS), int(first) if value.endswith(" words") and first.isdigit() else 2**31, value


def binned(values: Sequence[Any]) -> list[str]:
    """A column of the data as names of slices: numbers in quarters, others as they are; the rarest share one.

    >>> binned([1, 2, 3, None, "x"]), binned([True, False])
    (['1', '2', '3', 'not given', 'x'], ['True', 'False'])
    >>> binned(list(range(100)))[::40]
    ['0 to 24.75', '24.75 to 49.5', '74.25 to 99']
    """
    given = [value for value in values if not _is_missing(value)]
    numeric = all(isinstance(value, Real) and not isinstance(value, bool) for value in given)
    if not numeric or len(set(given)) <= VALUES:
        names = [MISSING if _is_missing(value) else str(value) for value in values]
        frequent = {name for name, _ in Counter(names).most_common(VALUES)}
        return [name if name in frequent else OTHERS for name in names]
    numbers = np.array([np.nan if _is_missing(value) else value for value in values], dtype=float)
    bounds = np.unique(np.nanquantile(numbers, np.linspace(0, 1, BINS + 1)))
    names = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(bounds)]
    places = np.searchsorted(bounds[1:-1], numbers, side="left").tolist()
    return [MISSING if np.isnan(number) else names[at] for number, at in zip(numbers, places, strict=True)]


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _sentence(table: OverviewTable) -> str:
    """The slice that differs most surely from the rest, in words."""
    change, interval = table.place("against the rest"), table.place("interval of the difference")

    def certain(line: tuple[Any, ...]) -> float:
        low, high = line[interval] or (0.0, 0.0)
        return max(low, -high, 0.0)

    line = max(table.lines, key=certain)
    if not certain(line):
        return ""
    what = table.title[0].lower() + table.title[1:]
    return (
        f"Where the {line[0]} is {line[1]}, {what} are {percent(line[2])}: {signed(100 * line[change])} points against "
        "the rest."
    )
