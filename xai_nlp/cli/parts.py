"""A table explained part by part, so that what is done can be written while the rest is computed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from xai_nlp.core.progress import Bar

if TYPE_CHECKING:
    from xai_nlp import Explanations
    from xai_nlp.data.table import DataTable
    from xai_nlp.tasks.explainer import Explainer

FIRST_ROWS = 8  # of the first part
ENOUGH = 2.0  # seconds: the next part is twice as long as one that took less


class TableBar:
    """The bar of a whole table, for the pass counters of its parts: `total` and `update(n)`.

    The rows that are left are expected to take as many passes as those so far.
    """

    def __init__(self, bar: Bar, rows: int) -> None:
        self.bar, self.rows = bar, rows
        self.begun, self.passes = 0, 0  # rows that have begun; passes before the part that has begun

    def begin(self, rows: int) -> None:
        """A part of so many rows begins."""
        self.begun, self.passes = self.begun + rows, self.bar.done

    @property
    def total(self) -> int | None:
        """The passes expected for the whole table."""
        return self.bar.total

    @total.setter
    def total(self, of_part: int) -> None:
        expected = (self.passes + of_part) * self.rows / self.begun
        self.bar.total = max(self.bar.done + 1, round(expected))

    def update(self, n: int = 1) -> None:
        """Count `n` passes."""
        self.bar.update(n)


def explain_in_parts(explainer: Explainer, table: DataTable, *, quiet: bool, **options: Any) -> Iterator[Explanations]:
    """The explanations of one part of the rows after the other; `errors` by the row's number in the table.

    A part is as long as takes a few seconds, so that little is lost when the work is stopped.
    """
    from xai_nlp import Explanations

    start, size = 0, FIRST_ROWS
    with closing(Bar("explaining")) as bar:
        progress = TableBar(bar, len(table))
        while start < len(table):
            rows = range(start, min(start + size, len(table)))
            progress.begin(len(rows))
            began = time.monotonic()
            part = explainer.explain_table(
                table.part(rows), **{**options, "progress": False if quiet else progress, "on_error": "record"}
            )
            size *= 2 if time.monotonic() - began < ENOUGH else 1
            bar.clear()
            yield Explanations(part, {start + index: message for index, message in part.errors.items()})
            start = rows.stop
