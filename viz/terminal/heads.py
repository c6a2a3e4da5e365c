"""Attention in a terminal: a number for each head, and the strongest pairs of tokens."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xai_nlp.core.result import Explanation
from xai_nlp.viz.page.attention_tables import AttentionTable, attention_tables
from xai_nlp.viz.terminal.ansi import INK, SOFT, background, harmless
from xai_nlp.viz.text.scale import DARK, hexadecimal


def render_attention(explanation: Explanation) -> RenderableType:
    """The attention for rich: for each stack of matrices a table of heads and the strongest pairs."""
    lines = (line for table in attention_tables(explanation) for line in _lines(table))
    return Padding(Group(*lines), (1, 2), style=INK)


def _lines(table: AttentionTable) -> Iterator[RenderableType]:
    prefix, unit = f"{table.name}: " if table.name else "", f", {table.unit}" if table.unit else ""
    yield Text(f"{prefix}what each head carries ({table.method}{unit})", style="bold")
    yield Text(table.about, style=SOFT)
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", no_wrap=True)
    skip = len(table.heads.heads) > 1  # the first column is all heads together
    heads = [f"h{head}" for head in table.heads.heads[1:]] if skip else ["all"]
    grid.add_row("", *(Text(head, style=SOFT) for head in heads))
    for line in table.heads.lines:
        cells = (Text(c.number, style=_style(c.kind, c.own)) for c in line.cells[skip:])
        grid.add_row(Text(line.name, style=SOFT), *cells)
    yield grid
    if table.residual:
        yield Text(f"left unexplained in the worst layer: {table.residual}", style=SOFT)
    yield Text()
    yield Text(f"{prefix}strongest pairs", style="bold")
    pairs = Table.grid(padding=(0, 2))
    pairs.add_column(justify="right")
    for query, key, where, c in table.pairs:
        tokens = harmless(f"{query} ← {key}".replace("\n", "␊"))
        number = Text(c.number, style=hexadecimal(DARK.line(-1 if c.kind == "n" else 1)))
        pairs.add_row(number, Text(tokens), Text(where, style=SOFT))
    yield pairs


def _style(kind: str, hundredths: int) -> str:
    return background(-hundredths if kind == "n" else hundredths, 100)
