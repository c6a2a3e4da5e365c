"""What an overview of many explanations says: sections of tables, with the rows that stand for each line."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from xai_nlp.core.files import write_file
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput

#: What the values of a column are: text; a signed score; a number; a count; a share from 0 to 1; a difference of
#: shares; a q value; an interval (low, high), or None where one observation gives none; or rows of the data, the best
#: example first.
ColumnKind = Literal["text", "score", "number", "count", "share", "difference", "q", "interval", "rows"]
FORMATS = ("png", "svg")


@dataclass(frozen=True)
class OverviewColumn:
    """A column of a table. An interval belongs to the column before it.

    in_page: is it in the page, too, and not in the file alone?
    """

    name: str
    kind: ColumnKind = "text"
    in_page: bool = True


@dataclass(frozen=True, kw_only=True)
class OverviewTable:
    """Numbers of a section: a CSV file, a figure, and what the page shows.

    name: of its files, and its id in the page; unique in an overview. unit: of its scores.
    lines: a value for each column; None where it is not known. The page shows the first of them, all are in the file.
    by: the column whose values have a card each in the page; "" for one card.
    layout: "bars", a bar for the first score, number or share; "table", all columns side by side; "heat", a map of the
    third column by the first two. in_page: is it in the page, too, and not in the files alone?
    """

    name: str
    title: str
    columns: tuple[OverviewColumn, ...]
    lines: tuple[tuple[Any, ...], ...]
    by: str = ""
    layout: Literal["bars", "table", "heat"] = "bars"
    unit: str = ""
    note: str = ""
    in_page: bool = True

    def __repr__(self) -> str:
        return (
            f"<OverviewTable {self.name}: {len(self.lines):,} lines of {', '.join(one.name for one in self.columns)}>"
        )

    def place(self, name: str) -> int:
        """The place of a column."""
        return [column.name for column in self.columns].index(name)

    def places(self, *kinds: ColumnKind) -> list[int]:
        """The places of the columns of these kinds."""
        return [place for place, column in enumerate(self.columns) if column.kind in kinds]

    @property
    def measure(self) -> int:
        """The place of the number that is drawn: the first score, share or number."""
        return self.places("score", "share", "number")[0]

    @property
    def names(self) -> list[int]:
        """The places of the texts that name a line of a card."""
        return [place for place in self.places("text") if self.columns[place].name != self.by and place < self.measure]

    def interval_of(self, place: int) -> int | None:
        """The place of the interval of the number at a place; None where it has none."""
        behind = self.columns[place + 1 : place + 2]
        return place + 1 if behind and behind[0].kind == "interval" else None

    def cards(self) -> dict[str, list[tuple[Any, ...]]]:
        """The lines of each card, by its heading."""
        if not self.by:
            return {"": list(self.lines)} if self.lines else {}
        cards, place = dict[str, list[tuple[Any, ...]]](), self.place(self.by)
        for line in self.lines:
            cards.setdefault(str(line[place]), []).append(line)
        return cards

    def csv_text(self) -> str:
        """The table as CSV; an interval has two columns, low and high, and rows of the data are divided by spaces."""
        written = io.StringIO()
        writer = csv.writer(written, lineterminator="\n")
        writer.writerow([cell for place in range(len(self.columns)) for cell in self._csv_head(place)])
        for line in self.lines:
            cells = zip(self.columns, line, strict=True)
            writer.writerow([cell for column, value in cells for cell in _csv_cells(column, value)])
        return written.getvalue()

    def _csv_head(self, place: int) -> list[str]:
        if self.columns[place].kind != "interval":
            return [self.columns[place].name]
        return [f"{self.columns[place - 1].name}, {end}" for end in ("low", "high")]


def _csv_cells(column: OverviewColumn, value: Any) -> list[Any]:
    if column.kind == "interval":
        return list(value) if value is not None else ["", ""]
    if column.kind == "rows":
        return [" ".join(map(str, value))]
    return ["" if value is None else value]


@dataclass(frozen=True, kw_only=True)
class OverviewSection:
    """One question about all explanations, answered.

    name: its id. title: its heading. sentence: the answer in plain words. note: how it was computed.
    headline: what it says on the first screen about what the model relies on; "" if it says nothing there.
    facts: (value, label) of the first screen.
    """

    name: str
    title: str
    sentence: str
    note: str
    tables: tuple[OverviewTable, ...]
    headline: str = ""
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What a model relies on over all rows of a run, each number with its interval and with examples.

    about: names and values that say what was explained. facts: (value, label) of the first screen.
    sections: the answers, in the order of the page. examples: the explanations in the page, by the row of the data.
    places: row of every other example that a table names -> its file, and its place there, from 0 on.
    errors: rows that could not be explained -> why.
    """

    title: str
    about: Mapping[str, tuple[str, ...]]
    facts: tuple[tuple[str, str], ...]
    sections: tuple[OverviewSection, ...]
    examples: Mapping[int, tuple[Explanation, ...]]
    places: Mapping[int, tuple[str, int]]
    errors: Mapping[int, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        facts = "; ".join(" ".join(fact) for fact in self.facts)
        return f"<Overview {self.title}: {facts}. Tables: {', '.join(self.tables)}>"

    @property
    def sentence(self) -> str:
        """What the model relies on, in plain words."""
        return next((section.headline for section in self.sections if section.headline), "")

    @property
    def tables(self) -> dict[str, OverviewTable]:
        """The tables of all sections by name."""
        return {table.name: table for section in self.sections for table in section.tables}

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write a page that needs no network."""
        from xai_nlp.viz.page.overview import overview_page

        write_file(path, overview_page(self).encode())

    def save_csv(self, directory: str | os.PathLike[str]) -> None:
        """Write each table as a CSV file of its name into a folder, which is made if it is not there."""
        folder = _folder(directory)
        for name, table in self.tables.items():
            write_file(folder / f"{name}.csv", table.csv_text().encode("utf-8", "replace"))

    def save_figures(self, directory: str | os.PathLike[str], format: str = "png") -> None:
        """Draw each table into a file of its name: png or svg. Raises InvalidInput for another format."""
        from xai_nlp.viz.figure.overview import save_table

        if format not in FORMATS:
            raise InvalidInput(f"a figure is written as {' or '.join(FORMATS)}; got {format!r}.")
        folder = _folder(directory)
        for name, table in self.tables.items():
            save_table(table, folder / f"{name}.{format}")

    def _repr_html_(self) -> str:
        from xai_nlp.viz.page.overview import overview_cell

        return overview_cell(self)


def _folder(directory: str | os.PathLike[str]) -> Path:
    folder = Path(directory)
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{folder} is a file; name a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
