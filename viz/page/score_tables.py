"""Scores as tables: strongest words and regions, every number, embeddings apart, layers, and the sum of the scores."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.viz.text.number_format import signed
from xai_nlp.viz.text.scale import peak
from xai_nlp.viz.text.text_marks import Cell, cell, own_peaks, scoring_specials
from xai_nlp.viz.text.text_spans import strongest, strongest_words

TOP = 10  # words in “strongest words”
PLACE_OF_SPECIAL = "special"
NOISE = 1e-6  # share of the largest score below which an embedding's score counts as rounding
COLUMNS = 10  # words in the table of layers


@dataclass(frozen=True)
class Line:
    """A line of a table; `index` is the token or the region that it is about."""

    name: str
    cells: tuple[Cell, ...]
    place: str = ""
    index: int = 0


@dataclass(frozen=True)
class Table:
    """A table of scores: a column for each head, a line for each name."""

    heads: tuple[str, ...]
    lines: tuple[Line, ...]
    of: str = ""  # kind of its lines, "word", "token" or "region"
    rows: tuple[int, ...] = ()  # of each column, the place of its explanation

    @property
    def both(self) -> bool:
        """Do both signs occur? Bars then grow from the middle."""
        return {"p", "n"} <= {cell.kind for line in self.lines for cell in line.cells}


class ScoreColumn(NamedTuple):
    """One explanation's scores of its words, tokens or regions."""

    head: str
    scores: tuple[float, ...]
    own: float  # peak of the scores
    shared: float  # peak of the shared scale
    row: int  # place of the explanation


def score_tables(rows: Iterable[tuple[str, Explanation, float]], of: str, top: int | None = None) -> list[Table]:
    """The scores of each "word", "token" or "region", in one table for all explanations that have the same ones.

    rows: name of the explanation, explanation, and peak of the shared scale.
    top: only so many lines, the strongest of any column.
    """
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[ScoreColumn]] = {}
    for row, (name, item, shared) in enumerate(rows):
        image, several = item.image, len(item.segments) > 1
        if of == "region":
            names, scores, boxes = (image.names, image.scores, image.boxes) if image else ((), (), ())
            places = [f"x {a:.0f}–{c:.0f}, y {b:.0f}–{d:.0f}" for a, b, c, d in boxes]
        else:
            names, scores = item.tokens, item.scores
            places = [
                PLACE_OF_SPECIAL if segment == SPECIAL else f"text {segment + 1}, " * several + f"{start}–{end}"
                for segment, (start, end) in zip(item.segment, item.offsets, strict=True)
            ]
        if names:
            column = ScoreColumn(_head(name, item), scores, own_peaks(item)[of == "region"], shared, row)
            alike.setdefault((names, tuple(places)), []).append(column)
    tables = []
    for (names, where), columns in alike.items():
        lines: Iterable[int] = range(len(names))
        if top is not None:
            strengths = [peak(column.scores[i] / (column.own or 1) for column in columns) for i in lines]
            lines = [i for i in strongest(strengths) if where[i] != PLACE_OF_SPECIAL][:top]
        table_lines = []
        for i in lines:
            cells = tuple(cell(column.scores[i], column.own, column.shared) for column in columns)
            table_lines.append(Line(names[i], cells, where[i], i))
        heads, columns_of = tuple(column.head for column in columns), tuple(column.row for column in columns)
        tables.append(Table(heads, tuple(table_lines), of, columns_of))
    return tables


def _head(name: str, item: Explanation) -> str:
    return f"{name}, {item.unit}" if item.unit else name


def balance_table(words: Explanation) -> Table | None:
    """Sums of positive and negative scores, special tokens and the residual; they add up to f(x) − f(x₀).

    None for a method whose scores do not add up.
    """
    if not words.complete or words.baseline == "none":
        return None
    image = words.image
    plain = [score for score, s in zip(words.scores, words.segment, strict=True) if s != SPECIAL]
    sums = {}
    for name, scores in (
        ("words", plain if words.tokens or not image else None),
        ("regions", image.scores if image else None),
    ):
        if scores is not None:
            sums[f"{name} for"] = math.fsum(score for score in scores if score > 0)
            sums[f"{name} against"] = math.fsum(score for score in scores if score < 0)
    if scoring_specials(words):
        sums["added by the tokenizer"] = math.fsum(words.scores) - math.fsum(plain)
    sums |= {"left unexplained": words.residual, "change of the output": words.explained}
    largest = peak(sums.values())
    return Table((words.unit,), tuple(Line(name, (cell(part, largest),)) for name, part in sums.items()))


def parts_table(words: Explanation, top: int = TOP) -> Table | None:
    """The strongest words' scores by embedding, a column for each and their sum; the last line sums all tokens.

    All columns share one scale, so that an embedding without effect looks like it.
    """
    if not words.parts:
        return None
    columns = (*words.parts.values(), words.scores)
    largest = max(map(peak, columns))
    lines = [
        Line(words.tokens[i], tuple(cell(c[i] if abs(c[i]) > NOISE * largest else 0.0, largest) for c in columns))
        for i in strongest_words(words, top)
    ]
    sums = tuple(Cell(signed(math.fsum(column), largest or None)) for column in columns)
    heads = tuple(_head(name, words) for name in (*words.parts, "sum"))
    return Table(heads, (*lines, Line("every token", sums)))


def layers_table(words: Explanation) -> Table | None:
    """The scores at each layer's output: a line for each layer, a column for each of the strongest words."""
    if words.layers is None:
        return None
    flows = words.layers.numpy()
    largest, order = peak(flows.flat), sorted(strongest_words(words, COLUMNS))
    lines = (Line(f"layer {k}", tuple(cell(float(row[i]), largest) for i in order)) for k, row in enumerate(flows))
    return Table(tuple(words.tokens[i] for i in order), tuple(lines))
