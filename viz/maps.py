"""Layers and attention as a page shows them: tables that read without a script, and numbers for the one that draws."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from xai_nlp.core.arrays import AttentionAttribution
from xai_nlp.core.result import Explanation
from xai_nlp.viz.digits import signed, unsigned, with_unit
from xai_nlp.viz.packing import levels_for, numbers_of
from xai_nlp.viz.pieces import strongest
from xai_nlp.viz.scale import peak
from xai_nlp.viz.tables import Cell, Line, Table, cell

COLUMNS = 10  # words in the table of layers
PAIRS = 8
NOISE = 1e-6  # of the largest: what rounding leaves of an embedding that did not move
SUMS = "the sum of each head’s matrix"
PEAKED = "how peaked each head is: its largest weight, mean over the tokens that look"


@dataclass(frozen=True)
class Pair:
    """Who drew on whom, where, and how much."""

    query: str
    key: str
    where: str
    cell: Cell


@dataclass(frozen=True)
class Stack:
    """A stack of attention matrices."""

    name: str  # "", or "encoder", "decoder", "cross"
    method: str
    unit: str
    about: str  # what the numbers of the heads are
    heads: Table  # a line a layer: all its heads, then each; a single cell where there is one
    everywhere: str  # the sum over all layers; "" where layers do not add up
    pairs: tuple[Pair, ...]
    residual: str  # of the layer that is left with most; "" where nothing has to add up
    levels: int  # that a number may have on the page


@dataclass(frozen=True)
class Maps:
    """Layers and attention of one explanation."""

    layers: Table | None  # a line a layer, a cell a word: the strongest words, in the order of the text
    stacks: tuple[Stack, ...]
    numbers: str  # JSON for the script, with nothing in it that could end its element


def maps_of(item: Explanation, words: Explanation) -> Maps | None:
    """What there is to show of an explanation's layers and attention; None if nothing was asked for."""
    if item.layers is None and not item.attention:
        return None
    levels = {name: levels_for(stack) for name, stack in item.attention.items()}
    stacks = tuple(_stack(name, stack, words, levels[name]) for name, stack in words.attention.items())
    return Maps(_layers(words), stacks, numbers_of(item, words, levels))


def parts_of(words: Explanation, top: int) -> tuple[Table, ...]:
    """The strongest words' scores by embedding, one column for each and their sum; all tokens together in the end.

    One scale for all columns: an embedding that counts for nothing then looks like nothing.
    """
    if not words.parts:
        return ()
    largest = max(map(peak, (*words.parts.values(), words.scores)))
    columns = [
        [n if abs(n) > NOISE * largest else 0.0 for n in column] for column in (*words.parts.values(), words.scores)
    ]
    unit = f", {words.unit}" if words.unit else ""
    lines = [
        Line(words.tokens[i], "", tuple(cell(column[i], largest, largest) for column in columns))
        for i in strongest(words, top)
    ]
    totals = tuple(Cell(signed(math.fsum(column), largest or None)) for column in columns)
    heads = tuple(f"{name}{unit}" for name in (*words.parts, "sum"))
    return (Table(heads, (*lines, Line("every token", "", totals))),)


def _layers(words: Explanation) -> Table | None:
    if words.layers is None:
        return None
    flows = words.layers.numpy()
    largest = peak(flows.flat)
    shown = sorted(strongest(words, COLUMNS))
    lines = tuple(
        Line(f"layer {k}", "", tuple(cell(float(flows[k, i]), largest, largest) for i in shown))
        for k in range(len(flows))
    )
    return Table(tuple(words.tokens[i] for i in shown), lines)


def head_numbers(stack: AttentionAttribution) -> np.ndarray:
    """One number for each head, (layers, H): what it carries, the sum of its matrix.

    Weights add up to the number of tokens in every head; there it is how peaked they are, the largest weight of each
    query, averaged: 1 where every token looks at one other, 1/K where all look everywhere alike.
    """
    return stack.scores.numpy().max(3).mean(2, dtype=np.float64) if stack.row_stochastic else stack.heads()


def _stack(name: str, stack: AttentionAttribution, words: Explanation, levels: int) -> Stack:
    heads = head_numbers(stack)
    largest = peak(heads.flat)
    many = heads.shape[1] > 1
    sums = stack.row_stochastic is False
    lines = []
    for layer, row in zip(stack.layers, heads, strict=True):
        cells = [_short(float(n), largest) for n in row]
        lines.append(Line(layer, "", (*([_plain(row.sum(), largest) if sums else Cell("all")] * many), *cells)))
    worst = max(map(abs, stack.residuals), default=None)
    return Stack(
        name="" if name == "self" else name,
        method=stack.method.replace("_", " "),
        unit=stack.unit,
        about=SUMS if sums else PEAKED,
        heads=Table(("all", *map(str, range(heads.shape[1]))) if many else ("matrix",), tuple(lines)),
        everywhere=brief(float(heads.sum()), largest) if sums and len(lines) > 1 else "",
        pairs=_pairs(stack, words, many),
        residual="" if worst is None else with_unit(unsigned(worst), stack.unit),
        levels=levels,
    )


def _short(number: float, largest: float) -> Cell:
    """Two decimals or so, no plus and no zero before the point: twelve heads fit a line."""
    return replace(cell(number, largest, largest), number=brief(number, largest))


def _plain(number: float, largest: float) -> Cell:
    """The same without a colour."""
    return Cell(brief(float(number), largest))


def brief(number: float, largest: float) -> str:
    """A number among others of which `largest` is the largest, in as few characters as tell it.

    >>> brief(0.237, 0.9), brief(-0.04, 0.9), brief(1.5, 3.0)
    ('.24', '−.04', '1.50')
    """
    return signed(number, (largest if largest >= 1 else 10 * largest) or None).removeprefix("+").replace("0.", ".", 1)


def strongest_entries(stack: AttentionAttribution, most: int) -> list[tuple[int, int, int, int, float]]:
    """(layer, head, query, key, number) of the entries with the largest sizes, the largest first."""
    scores = stack.scores.numpy()
    sizes = np.abs(scores).reshape(-1)
    most = min(most, sizes.size)
    least = np.partition(sizes, -most)[-most] if most else 0  # sorting all of ten million would take seconds
    near = np.flatnonzero((sizes >= least) & (sizes > 0))
    order = near[np.argsort(-sizes[near], kind="stable")][:most]
    places = zip(*(axis.tolist() for axis in np.unravel_index(order, scores.shape)), strict=True)
    return [(*place, float(scores[place])) for place in places]


def _pairs(stack: AttentionAttribution, words: Explanation, many: bool) -> tuple[Pair, ...]:
    queries, keys = stack.queries or words.tokens, stack.keys or words.tokens
    found = strongest_entries(stack, PAIRS)
    largest = peak(number for *_, number in found)
    return tuple(
        Pair(
            queries[query],
            keys[key],
            stack.layers[layer] + (f", head {head}" if many else ""),
            cell(number, largest, largest),
        )
        for layer, head, query, key, number in found
    )
