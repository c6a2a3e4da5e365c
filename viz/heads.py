"""Attention in a terminal: what each head carries, and the pairs of words between which most was drawn."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xai_nlp.core.arrays import AttentionAttribution
from xai_nlp.core.result import Explanation
from xai_nlp.viz.ansi import INK, SOFT, harmless
from xai_nlp.viz.digits import signed
from xai_nlp.viz.maps import PAIRS, PEAKED, SUMS, brief, head_numbers, strongest_entries
from xai_nlp.viz.scale import DARK, hexadecimal, peak


def render_attention(explanation: Explanation) -> RenderableType:
    """What rich prints: for each stack of matrices a grid of heads and the strongest pairs."""
    return Padding(Group(*_lines(explanation)), (1, 2), style=INK)


def _lines(explanation: Explanation) -> Iterator[RenderableType]:
    for name, stack in explanation.attention.items():
        kind = "" if name == "self" else f"{name}: "
        unit = f", {stack.unit}" if stack.unit else ""
        yield Text(f"{kind}what each head carries ({stack.method.replace('_', ' ')}{unit})", style="bold")
        yield Text(PEAKED if stack.row_stochastic else SUMS, style=SOFT)
        yield _grid(stack)
        if stack.residuals:
            worst = max(stack.residuals, key=abs)
            yield Text(f"left unexplained in the worst layer: {signed(worst)}{unit}", style=SOFT)
        yield Text()
        yield Text(f"{kind}strongest pairs", style="bold")
        yield _pairs(explanation, stack)


def _grid(stack: AttentionAttribution) -> Table:
    heads = head_numbers(stack)
    largest = peak(heads.flat)
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    many = heads.shape[1] > 1
    table.add_row("", *(Text(f"h{h}" if many else "all", style=SOFT) for h in range(heads.shape[1])))
    for layer, row in zip(stack.layers, heads, strict=True):
        cells = (Text(brief(n, largest), style=_on(n, largest)) for n in row.tolist())
        table.add_row(Text(layer, style=SOFT), *cells)
    return table


def _on(number: float, largest: float) -> str:
    return f"on {hexadecimal(DARK.colour(number, largest))}" if number else ""


def _pairs(explanation: Explanation, stack: AttentionAttribution) -> Table:
    queries, keys = stack.queries or explanation.tokens, stack.keys or explanation.tokens
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    found = strongest_entries(stack, PAIRS)
    largest = peak(number for *_, number in found)
    for layer, head, query, key, number in found:
        where = stack.layers[layer] + (f", head {head}" if stack.scores.shape[1] > 1 else "")
        line = hexadecimal(DARK.line(number))
        pair = harmless(f"{queries[query]} ← {keys[key]}".replace("\n", "␊"))
        table.add_row(Text(signed(number, largest or None), style=line), Text(pair), Text(where, style=SOFT))
    return table
