"""Scores as tables: strongest words and regions, every number, embeddings apart, layers, and the sum of the scores."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.viz.text.number_format import signed
from xai_nlp.viz.text.scale import peak, sign_class, step
from xai_nlp.viz.text.text_spans import strongest, strongest_words

NOISE = 1e-6  # share of the largest score below which an embedding's score counts as rounding
COLUMNS = 10  # words in the table of layers


@dataclass(frozen=True)
class Cell:
    """A number with its sign and its strength on both scales."""

    number: str
    kind: str = "z"
    own: int = 0
    shared: int = 0


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
    of: str = ""  # kind of its lines, "token" or "region"

    @property
    def both(self) -> bool:
        """Do both signs occur? Bars then grow from the middle."""
        return {"p", "n"} <= {cell.kind for line in self.lines for cell in line.cells}


@dataclass(frozen=True)
class ScoreColumn:
    """One explanation's scores of its tokens, or of its image's regions."""

    head: str
    scores: tuple[float, ...]
    shared: float  # peak of the shared scale
    names: tuple[str, ...]
    places: tuple[str, ...]
    order: tuple[int, ...]  # indices of the strongest, strongest first
    of: str  # "token" or "region"

    def cell(self, index: int) -> Cell:
        """The score of one token or region."""
        return cell(self.scores[index], peak(self.scores), self.shared)


def cell(score: float, own: float, shared: float | None = None) -> Cell:
    """A score as a cell; own, shared: the peaks of the two scales, one for both if only one is named."""
    return Cell(
        signed(score, own or None), sign_class(score), step(score, own), step(score, own if shared is None else shared)
    )


def token_column(item: Explanation, name: str, shared: float) -> ScoreColumn | None:
    """The scores of the tokens; None without any."""
    if not item.tokens:
        return None
    several = len(item.segments) > 1

    def place(segment: int, span: tuple[int, int]) -> str:
        return "special" if segment == SPECIAL else f"text {segment + 1}, " * several + f"{span[0]}–{span[1]}"

    places = tuple(map(place, item.segment, item.offsets))
    return ScoreColumn(
        _head(name, item), item.scores, shared, item.tokens, places, tuple(strongest_words(item)), "token"
    )


def region_column(item: Explanation, name: str, shared: float) -> ScoreColumn | None:
    """The scores of the image's regions; None without an image."""
    image = item.image
    if image is None:
        return None
    places = tuple(f"x {a:.0f}–{c:.0f}, y {b:.0f}–{d:.0f}" for a, b, c, d in image.boxes)
    return ScoreColumn(
        _head(name, item), image.scores, shared, image.names, places, tuple(strongest(image.scores)), "region"
    )


def _head(name: str, item: Explanation) -> str:
    return f"{name}, {item.unit}" if item.unit else name


def tables_of_columns(columns: Iterable[ScoreColumn | None], top: int | None = None) -> tuple[Table, ...]:
    """One table for all columns with the same lines; with `top`, only the strongest lines of any column."""
    alike: dict[object, list[ScoreColumn]] = {}
    for column in columns:
        if column is not None:
            alike.setdefault((column.names, column.places), []).append(column)
    tables = []
    for same in alike.values():
        first = same[0]
        lines: Iterable[int] = range(len(first.names))
        if top is not None:
            strengths = {
                i: max(abs(column.scores[i]) / (peak(column.scores) or 1) for column in same)
                for column in same
                for i in column.order[:top]
            }
            lines = sorted(strengths, key=lambda i: (-strengths[i], i))[:top]
        rows = tuple(Line(first.names[i], tuple(c.cell(i) for c in same), first.places[i], i) for i in lines)
        tables.append(Table(tuple(column.head for column in same), rows, first.of))
    return tuple(tables)


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
    if SPECIAL in words.segment:
        sums["added by the tokenizer"] = math.fsum(words.scores) - math.fsum(plain)
    sums |= {"left unexplained": words.residual, "change of the output": words.explained}
    largest = peak(sums.values())
    return Table((words.unit,), tuple(Line(name, (cell(part, largest),)) for name, part in sums.items()))


def parts_table(words: Explanation, top: int) -> Table | None:
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
