"""The page of an overview: one sentence, what stands out, a section for each question, and a sample of examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from xai_nlp.core.overview import ColumnKind, Overview, OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.viz.page.html import render, sealed
from xai_nlp.viz.page.view_model import Example, Row, View, names_of
from xai_nlp.viz.text.number_format import SPACE, percent, signed, unsigned
from xai_nlp.viz.text.scale import peak, sign_class
from xai_nlp.viz.text.text_marks import Cell, cell, scale_key, shared_legends

SHOWN = 12  # lines of a card that are not folded
AT_LEAST = 4  # of them that speak against, where there are so many
FOLDED = 88  # lines behind them, at most; all are in the CSV file
LINES = 600  # of a table, so that many labels do not make a large page
CARDS = 24  # cards of a table
POINTS = " points"  # hundredths, of a difference of shares
SURE = 0.05  # false-discovery rate above which a bar is pale
LENGTH = 200  # of a bar's axis, in units of its drawing
Line = tuple[Any, ...]


@dataclass(frozen=True)
class BarLine:
    """A line of a card: its name, its bar and number, what qualifies it, and its examples."""

    name: str
    bar: str  # rectangle: x and width in the axis, "" for none
    whisker: str  # of the interval: x of both ends
    kind: str
    number: str
    more: str
    rows: tuple[int, ...]
    sure: bool  # is its false-discovery rate under SURE, if it has one?


@dataclass(frozen=True)
class Card:
    """A card of a table, drawn as bars: what is seen first, and what is folded."""

    heading: str
    lines: tuple[BarLine, ...]
    folded: tuple[BarLine, ...]
    left: int  # lines that are in the CSV file only
    zero: float  # of the axis


@dataclass(frozen=True)
class Heat:
    """A map of one number by two names."""

    heads: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True)
class TableView:
    """A table as the page draws it."""

    table: OverviewTable

    @property
    def cards(self) -> list[Card]:
        """Its first cards as bars."""
        return [self._card(heading, lines) for heading, lines in list(self.table.cards().items())[:CARDS]]

    @cached_property
    def most(self) -> int:
        """Lines of a card that are in the page."""
        return min(SHOWN + FOLDED, max(SHOWN, LINES // min(CARDS, max(1, len(self.table.cards())))))

    @property
    def left(self) -> int:
        """Cards that are in the CSV file only."""
        return max(0, len(self.table.cards()) - CARDS)

    def _card(self, heading: str, lines: Sequence[Line]) -> Card:
        first, folded = self._first(lines)
        low, high = self._axis(first)

        def at(value: float) -> float:
            return round(min(LENGTH, max(0.0, LENGTH * (value - low) / ((high - low) or 1.0))), 1)

        bars, hidden = ([self._bar(line, at) for line in part] for part in (first, folded))
        return Card(heading, tuple(bars), tuple(hidden), len(lines) - len(first) - len(folded), at(0))

    def _first(self, lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
        """The lines that are seen and those that are folded; of signed scores both signs are seen, those for first."""
        measure, seen = self.table.measure, list(lines[: self.most])
        if self.table.columns[measure].kind != "score":
            return seen[:SHOWN], seen[SHOWN:]
        against = [line for line in lines if (line[measure] or 0.0) < 0][: SHOWN - AT_LEAST]
        chosen = [line for line in lines if (line[measure] or 0.0) >= 0][: SHOWN - min(len(against), AT_LEAST)]
        chosen += against[: SHOWN - len(chosen)]
        return chosen, [line for line in seen if not any(line is one for one in chosen)]

    def _axis(self, lines: Sequence[Line]) -> tuple[float, float]:
        """The ends of the bars' axis: zero is one of them, or the middle."""
        measure = self.table.measure
        interval = self.table.interval_of(measure)
        if self.table.columns[measure].kind == "share":
            return 0.0, 1.0
        ends = [0.0, *(line[measure] or 0.0 for line in lines)]
        ends += [end for line in lines if interval is not None and line[interval] for end in line[interval]]
        low, high = min(ends), max(ends)
        return (-max(-low, high), max(-low, high)) if low < 0 < high else (low, high)

    def _bar(self, line: Line, at: Callable[[float], float]) -> BarLine:
        """A line as a bar. at: the place of a value on the axis."""
        table, columns, measure = self.table, self.table.columns, self.table.measure
        value, interval = line[measure] or 0.0, table.interval_of(measure)
        whisker = None if interval is None else line[interval]
        used = {*table.names, measure, interval, *table.places("rows"), *([table.place(table.by)] if table.by else [])}
        more = [] if interval is None or whisker is None else [self.text(interval, whisker)]
        more += [
            self._named(i, line[i])
            for i, column in enumerate(columns)
            if i not in used and column.in_page and line[i] is not None
        ]
        return BarLine(
            name=" · ".join(str(line[i]) for i in table.names),
            bar=f"{min(at(0), at(value)):g} {abs(at(value) - at(0)):.3g}",
            whisker=f"{at(whisker[0]):g} {at(whisker[1]):g}" if whisker else "",
            kind=sign_class(value) if columns[measure].kind == "score" else "s",
            number=cell_text(columns[measure].kind, line[measure]),
            more=", ".join(more).replace(", (", " ("),
            rows=tuple(row for i in table.places("rows") for row in line[i]),
            sure=all(line[i] is None or line[i] <= SURE for i in table.places("q")),
        )

    def _named(self, place: int, value: Any) -> str:
        """A value with the name of its column, in a line of details."""
        column, text = self.table.columns[place], self.text(place, value)
        if column.kind == "interval":
            return f"({text})"
        if column.kind == "count":
            return f"{text} {column.name[: -1 if value == 1 else None]}"
        return f"{column.name}{SPACE}{text}"

    def text(self, place: int, value: Any) -> str:
        """A value of a column for people; an interval is written as the column before it."""
        kind = self.table.columns[place].kind
        if kind != "interval" or value is None:
            return cell_text(kind, value)
        of, largest = self.table.columns[place - 1].kind, peak(value) or None
        ends = [signed(end, largest) if of == "score" else cell_text(of, end) for end in value]
        return " to ".join(end.removesuffix(POINTS) for end in ends)

    @property
    def lines(self) -> list[list[tuple[OverviewColumn, Any, str]]]:
        """Cells of a table whose columns stand side by side: (column, value, its text)."""
        return [
            [(column, line[i], self.text(i, line[i])) for i, column in enumerate(self.table.columns) if column.in_page]
            for line in self.table.lines[: SHOWN + FOLDED]
        ]

    @property
    def left_lines(self) -> int:
        """Lines that stand in the CSV file only."""
        return max(0, len(self.table.lines) - SHOWN - FOLDED)

    @property
    def heat(self) -> Heat:
        """The map of the third column by the first two, the last row of it first, as layers are drawn."""
        values = {(line[0], line[1]): line[2] for line in self.table.lines}
        names, heads = (list(dict.fromkeys(line[i] for line in self.table.lines)) for i in (0, 1))
        largest = peak(values.values())
        rows = [(str(name), tuple(self._cell(values.get((name, head)), largest) for head in heads)) for name in names]
        return Heat(tuple(map(str, heads)), tuple(rows[::-1]))

    def _cell(self, value: float | None, largest: float) -> Cell:
        kind = self.table.columns[2].kind
        return Cell() if value is None else replace(cell(value, largest), number=cell_text(kind, value))

    @property
    def largest(self) -> Card:
        """The lines of a map from the largest number on, as bars."""
        return self._card("", sorted(self.table.lines, key=lambda line: -abs(line[self.table.measure] or 0.0)))


def cell_text(kind: ColumnKind, value: Any) -> str:
    """A value of a table for people.

    >>> cell_text("score", 0.25), cell_text("q", 0.0001), cell_text("share", 0.5), cell_text("difference", -0.125)
    ('+0.250', '<0.001', '50\\xa0%', '−12.5 points')
    """
    if value is None:
        return "–"
    if kind == "score":
        return signed(value)
    if kind == "share":
        return percent(value)
    if kind == "count":
        return f"{value:,}"
    if kind == "number":
        return unsigned(value) if value >= 0 else signed(value)
    if kind == "q":
        return "<0.001" if value < 0.001 else f"{value:.3f}"
    if kind == "difference":
        return f"{signed(100 * value, 10.0)}{POINTS}"
    return str(value)


@dataclass(frozen=True)
class OverviewView:
    """An overview as the templates draw it."""

    overview: Overview

    @property
    def title(self) -> str:
        return self.overview.title

    @property
    def sections(self) -> list[tuple[OverviewSection, list[TableView]]]:
        """Each section with the tables that the page shows."""
        return [
            (section, [TableView(table) for table in section.tables if table.in_page])
            for section in self.overview.sections
        ]

    @property
    def errors(self) -> list[tuple[int, str]]:
        """The first rows that could not be explained."""
        return list(self.overview.errors.items())[: SHOWN + FOLDED]

    @cached_property
    def examples(self) -> View:
        """The sample of explanations; the number of an example is its row of the data."""
        items = tuple(item for same in self.overview.examples.values() for item in same)
        words = {id(item): item.words() for item in items}
        legends = shared_legends((*items, *words.values()))
        examples = []
        for row, same in self.overview.examples.items():
            rows = tuple(
                Row(name, item, words[id(item)], legends[scale_key(item)].peak)
                for name, item in zip(names_of(same), same, strict=True)
            )
            examples.append(Example(row, rows, same[0], tuple(one.merged for one in rows)))
        return View(items, tuple(examples), tuple(legends.values()), ())

    @cached_property
    def ids(self) -> dict[int, str]:
        """The id of the example of each row that is in the page."""
        return {example.number: example.id for example in self.examples.examples}

    def elsewhere(self, row: int) -> str:
        """Where an example is that is not in the page."""
        file, place = self.overview.places.get(row, ("", 0))
        return f"row {row} of the data: {file}, row {place}" if file else f"row {row} of the data"


def overview_page(overview: Overview) -> str:
    """The overview as one HTML file under a strict content policy; the same input gives the same bytes."""
    view = OverviewView(overview)
    return render(
        "overview.html",
        view.examples,
        overview=view,
        level=1,
        title=overview.title,
        **sealed("report.css", "overview.css"),
    )


def overview_cell(overview: Overview) -> str:
    """The first screen of an overview for a notebook's cell."""
    from xai_nlp.viz.page.notebook import cell as notebook_cell

    return notebook_cell("overview_cell.html", OverviewView(overview).examples, overview=OverviewView(overview))
