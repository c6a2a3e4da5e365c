"""The page of an overview: one sentence, what stands out, a section for each question, and a sample of examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from xai_nlp.core.overview import ColumnKind, Overview, OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.viz.page.html import render, sealed
from xai_nlp.viz.page.view_model import Example, Row, View, names_of
from xai_nlp.viz.text.number_format import percent, signed, unsigned
from xai_nlp.viz.text.scale import peak, sign_class
from xai_nlp.viz.text.text_marks import Cell, cell, scale_key, shared_legends

SHOWN = 12  # lines of a card that are not folded
FOLDED = 88  # lines behind them; all are in the CSV file
CARDS = 24  # cards of a table
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

    @property
    def left(self) -> int:
        """Cards that are in the CSV file only."""
        return max(0, len(self.table.cards()) - CARDS)

    def _card(self, heading: str, lines: Sequence[Line]) -> Card:
        seen, columns = lines[: SHOWN + FOLDED], self.table.columns
        measure, names = self.table.measure, self.table.names
        interval = self.table.interval_of(measure)
        first = lines[:SHOWN]
        ends = [line[measure] or 0.0 for line in first]
        ends += [end for line in first if interval and line[interval] for end in line[interval]]
        low, high = min(0.0, *ends), max(0.0, *ends)
        if columns[measure].kind == "share":
            low, high = 0.0, 1.0
        elif low < 0 < high:
            low, high = -max(-low, high), max(-low, high)
        scale = LENGTH / ((high - low) or 1.0)

        def at(value: float) -> float:
            return round(min(LENGTH, max(0.0, scale * (value - low))), 1)

        def drawn(line: Line) -> BarLine:
            value, whisker = line[measure] or 0.0, line[interval] if interval else None
            used = {*names, measure, *self.table.places("rows")}
            used |= {i for i, column in enumerate(columns) if column.name == self.table.by}
            more = [
                f"{column.name} {text}" if column.kind != "interval" else text
                for i, column in enumerate(columns)
                if i not in used and line[i] is not None and (text := cell_text(column.kind, line[i]))
            ]
            return BarLine(
                name=" · ".join(str(line[i]) for i in names),
                bar=f"{min(at(0), at(value))} {abs(at(value) - at(0)):.1f}",
                whisker=f"{at(whisker[0])} {at(whisker[1])}" if whisker else "",
                kind=sign_class(value),
                number=cell_text(columns[measure].kind, line[measure]),
                more=", ".join(more),
                rows=tuple(row for i in self.table.places("rows") for row in line[i]),
            )

        bars = [drawn(line) for line in seen]
        return Card(heading, tuple(bars[:SHOWN]), tuple(bars[SHOWN:]), len(lines) - len(seen), at(0))

    @property
    def lines(self) -> list[list[tuple[OverviewColumn, Any, str]]]:
        """Cells of a table whose columns stand side by side: (column, value, its text)."""
        return [
            [
                (column, value, cell_text(column.kind, value))
                for column, value in zip(self.table.columns, line, strict=True)
            ]
            for line in self.table.lines[: SHOWN + FOLDED]
        ]

    @property
    def heat(self) -> Heat:
        """The map of the third column by the first two."""
        values = {(line[0], line[1]): line[2] for line in self.table.lines}
        names, heads = (list(dict.fromkeys(line[i] for line in self.table.lines)) for i in (0, 1))
        largest = peak(values.values())
        rows = [(str(name), tuple(cell(values.get((name, head), 0.0), largest) for head in heads)) for name in names]
        return Heat(tuple(map(str, heads)), tuple(rows))


def cell_text(kind: ColumnKind, value: Any) -> str:
    """A value of a table for people.

    >>> cell_text("score", 0.25), cell_text("q", 0.0001), cell_text("share", 0.5), cell_text("interval", (-1.0, 2.5))
    ('+0.250', '<0.001', '50\\xa0%', '−1.00 to +2.50')
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
    if kind == "interval":
        return " to ".join(signed(end, peak(value)) for end in value)
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
        return [(section, list(map(TableView, section.tables))) for section in self.overview.sections]

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
