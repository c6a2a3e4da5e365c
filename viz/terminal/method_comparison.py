"""A comparison of methods in a terminal: a sentence, then two tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from xai_nlp.core.method_comparison import MethodComparison
from xai_nlp.viz.terminal.ansi import harmless
from xai_nlp.viz.text import method_comparison as words

WITH_INTERVAL = 2  # columns


def render_comparison(comparison: MethodComparison) -> RenderableType:
    """The comparison for rich, the best method first."""
    return Group(*_lines(comparison))


def _lines(comparison: MethodComparison) -> Iterator[RenderableType]:
    headline, rest = words.sentences(comparison)
    yield Text(harmless(headline), style="bold")
    yield Text(harmless(rest))
    settings = (f"{name} {value}" for name, value in words.settings(comparison) if value)
    yield Text(harmless(" · ".join(settings)), style="dim")
    yield Text()
    columns = words.columns(comparison)
    titles = [one.title + (f", {comparison.unit}" if name == "deletion" else "") for name, one in columns.items()]
    cells = {m: words.faithfulness_cells(comparison, m) for m in comparison.ranking}
    titles = [title.replace(" ", "\n") for title in titles]  # else numbers with their intervals would be broken
    yield _table(titles, {m: [_cell(*cell, place) for place, cell in enumerate(own)] for m, own in cells.items()})
    yield Text()
    titles = [one.title for one in words.COST.values()]
    yield _table(titles, {m: words.cost_cells(comparison, m) for m in comparison.ranking})


def _cell(mean: str, half: str, place: int) -> str:
    """The mean, and in the first two columns, which are wide enough, half of its interval."""
    return f"{mean} {half}" if half and place < WITH_INTERVAL else mean


def _table(titles: Sequence[str], lines: dict[str, list[str]]) -> Table:
    table = Table(Column("method", no_wrap=True), box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for title in titles:
        table.add_column(title, justify="right")
    for method, cells in lines.items():
        table.add_row(method, *cells)
    return table
