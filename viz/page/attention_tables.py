"""Attention as tables that read without a script: a number for each head, and the strongest pairs of tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from xai_nlp.core.arrays import AttentionAttribution
from xai_nlp.core.result import Explanation
from xai_nlp.core.statistics import head_numbers, strongest_entries
from xai_nlp.viz.page.score_tables import Line, Table
from xai_nlp.viz.text.number_format import brief, unsigned, with_unit
from xai_nlp.viz.text.scale import peak
from xai_nlp.viz.text.text_marks import Cell, cell
from xai_nlp.viz.text.wording import plain

if TYPE_CHECKING:
    import numpy as np

PAIRS = 8  # strongest pairs that are listed
HEAD_SUMS = "the sum of each head’s matrix"
HEAD_PEAKS = "how peaked each head is: the largest weight of each query, averaged"


@dataclass(frozen=True)
class AttentionTable:
    """The tables of one stack of attention matrices."""

    name: str  # "", or "encoder", "decoder", "cross"
    method: str
    unit: str
    about: str  # meaning of the heads' numbers
    heads: Table  # a line for each layer: all heads, then each; one cell where there is one head
    total: str  # the sum over all layers; "" where layers do not add up
    pairs: tuple[tuple[str, str, str, Cell], ...]  # (query, key, layer and head, score)
    residual: str  # the largest |residual| of a layer; "" where scores need not add up


def attention_tables(words: Explanation) -> list[AttentionTable]:
    """The tables of each stack of an explanation, whose tokens are its queries and keys."""
    return [_attention_table(name, stack, words) for name, stack in words.attention.items()]


def _attention_table(name: str, stack: AttentionAttribution, words: Explanation) -> AttentionTable:
    numbers, sums = head_numbers(stack), not stack.row_stochastic
    many, queries, keys = numbers.shape[1] > 1, stack.queries or words.tokens, stack.keys or words.tokens
    entries = strongest_entries(stack, PAIRS)
    strongest = peak(score for *_, score in entries)
    worst = max(map(abs, stack.residuals), default=None)
    table = head_table(stack.layers, numbers, totals=sums)
    return AttentionTable(
        name="" if name == "self" else name,
        method=plain(stack.method),
        unit=stack.unit,
        about=HEAD_SUMS if sums else HEAD_PEAKS,
        heads=table,
        total=brief(float(numbers.sum()), peak(numbers.flat)) if sums and len(numbers) > 1 else "",
        pairs=tuple(
            (queries[query], keys[key], stack.layers[layer] + f", head {head}" * many, cell(score, strongest))
            for layer, head, query, key, score in entries
        ),
        residual="" if worst is None else with_unit(unsigned(worst), stack.unit),
    )


def head_table(layers: tuple[str, ...], numbers: np.ndarray, *, totals: bool | None = None) -> Table:
    """A line for each layer, a cell for each head; `totals` adds a first cell, with the layer's sum or “all”."""
    largest, many = peak(numbers.flat), numbers.shape[1] > 1

    def line(name: str, row: list[float]) -> Line:
        cells = [replace(cell(n, largest), number=brief(n, largest)) for n in row]
        first = [Cell(brief(sum(row), largest) if totals else "all")] if many and totals is not None else []
        return Line(name, (*first, *cells))

    heads = tuple(map(str, range(numbers.shape[1]))) if many else ("matrix",)
    first = ("all",) if many and totals is not None else ()
    return Table((*first, *heads), tuple(map(line, layers, numbers.tolist())))
