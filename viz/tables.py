"""Scores as tables: the strongest words, every token, and how the parts add up to the whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.viz.digits import signed
from xai_nlp.viz.pieces import strongest
from xai_nlp.viz.scale import peak, step
from xai_nlp.viz.strips import scale_key


@dataclass(frozen=True)
class Cell:
    """A number in a table or beside a bar, with its sign and strength."""

    number: str
    kind: str = "z"
    own: int = 0
    shared: int = 0


@dataclass(frozen=True)
class Line:
    """A line of a table: what it is about, and a number for each explanation."""

    name: str
    place: str
    cells: tuple[Cell, ...]
    region: str = ""  # which region of the image it is about


@dataclass(frozen=True)
class Table:
    """Numbers of explanations that cut the text alike."""

    heads: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def both(self) -> bool:
        """Do both signs occur? Bars then grow from the middle."""
        return {"p", "n"} <= {cell.kind for line in self.lines for cell in line.cells}


def tables(
    names: Sequence[str],
    items: Sequence[Explanation],
    own: Sequence[float],
    peaks: Mapping[str, float],
    top: int | None = None,
) -> tuple[Table, ...]:
    """One table for all that cut the text alike; with `top`, only the lines that are strongest in one of them.

    own: the largest |score| of each.
    """
    alike: dict[tuple[object, ...], list[int]] = {}
    for n, item in enumerate(items):
        alike.setdefault((item.offsets, item.segment), []).append(n)
    return tuple(
        _table([names[n] for n in same], [items[n] for n in same], [own[n] for n in same], peaks, top)
        for same in alike.values()
    )


def foremost(scored: Sequence[tuple[Sequence[float], float, Sequence[int]]], top: int) -> list[int]:
    """The lines that are strongest in one of several explanations: of each its scores, its peak and its own order."""
    strengths = {
        i: max(abs(scores[i]) / (largest or 1) for scores, largest, _ in scored) for *_, order in scored for i in order
    }
    return sorted(strengths, key=lambda i: (-strengths[i], i))[:top]


def _table(
    names: Sequence[str],
    items: Sequence[Explanation],
    own: Sequence[float],
    peaks: Mapping[str, float],
    top: int | None,
) -> Table:
    shown: Sequence[int] = range(len(items[0].tokens))
    if top is not None:
        shown = foremost(
            [(item.scores, largest, strongest(item, top)) for item, largest in zip(items, own, strict=True)], top
        )
    lines = tuple(
        Line(
            items[0].tokens[i],
            _place(items[0], i),
            tuple(
                cell(item.scores[i], largest, peaks[scale_key(item)]) for item, largest in zip(items, own, strict=True)
            ),
        )
        for i in shown
    )
    heads = tuple(f"{name}, {item.unit}" if item.unit else name for name, item in zip(names, items, strict=True))
    return Table(heads, lines)


def cell(score: float, own: float, shared: float) -> Cell:
    """A score with its strength on a scale of its own and on a shared one."""
    kind = "n" if score < 0 else "p" if score > 0 else "z"
    return Cell(signed(score, own or None), kind, step(score, own), step(score, shared))


def _place(item: Explanation, token: int) -> str:
    if item.segment[token] == SPECIAL:
        return "special"
    start, end = item.offsets[token]
    text = f"text {item.segment[token] + 1}, " if len(item.segments) > 1 else ""
    return f"{text}{start}–{end}"


def balance(words: Explanation) -> Table | None:
    """What the parts sum to: words and regions for and against, special tokens, what is left.

    None if nothing has to add up.
    """
    if not words.complete or words.baseline == "none":
        return None
    plain = [score for score, s in zip(words.scores, words.segment, strict=True) if s != SPECIAL]
    special = math.fsum(words.scores) - math.fsum(plain)
    regions = {}
    if words.image:
        regions["regions for"] = math.fsum(score for score in words.image.scores if score > 0)
        regions["regions against"] = math.fsum(score for score in words.image.scores if score < 0)
    parts = {
        "words for": math.fsum(score for score in plain if score > 0),
        "words against": math.fsum(score for score in plain if score < 0),
        "special tokens": special if SPECIAL in words.segment else 0.0,
        **regions,
        "left unexplained": words.residual,
        "f(x) − f(x₀)": words.explained,
    }
    largest = peak(parts.values())
    lines = tuple(Line(name, "", (cell(part, largest, largest),)) for name, part in parts.items())
    return Table((words.unit,), lines)
