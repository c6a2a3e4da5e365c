"""Layers and attention as a page shows them: tables that read without a script, and numbers for the one that draws."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass, replace

import numpy as np

from xai_nlp.core.arrays import Matrices
from xai_nlp.core.result import Explanation
from xai_nlp.viz.digits import signed, unsigned, with_unit
from xai_nlp.viz.pieces import strongest
from xai_nlp.viz.scale import peak
from xai_nlp.viz.tables import Cell, Line, Table, cell, tables

LEVELS = 127  # a matrix's numbers are told as so many hundred-and-twenty-sevenths of its head's largest
COLUMNS = 10  # words in the table of layers
PAIRS = 8


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
    heads: Table  # a line a layer, a cell a head
    pairs: tuple[Pair, ...]
    residual: str  # of the layer that is left with most; "" where nothing has to add up


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
    stacks = tuple(_stack(name, stack, words) for name, stack in words.attention.items())
    return Maps(_layers(words), stacks, _numbers(item))


def parts_of(words: Explanation, top: int) -> tuple[Table, ...]:
    """Each word's scores by embedding: one column for each, and their sum."""
    if not words.parts:
        return ()
    names = [*words.parts, "sum"]
    items = [replace(words, scores=part, parts={}) for part in (*words.parts.values(), words.scores)]
    largest = max(peak(item.scores) for item in items)
    peaks = {item.unit or f"method {item.method}": largest for item in items}
    return tables(names, items, peaks, top)


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


def _stack(name: str, stack: Matrices, words: Explanation) -> Stack:
    heads = stack.heads()
    largest = peak(heads.flat)
    lines = tuple(
        Line(layer, "", tuple(_short(float(n), largest) for n in row))
        for layer, row in zip(stack.layers, heads, strict=True)
    )
    many = heads.shape[1] > 1
    columns = tuple(str(h) for h in range(heads.shape[1])) if many else ("all",)
    worst = max(map(abs, stack.residuals), default=None)
    return Stack(
        name="" if name == "self" else name,
        method=stack.method.replace("_", " "),
        unit=stack.unit,
        heads=Table(columns, lines),
        pairs=_pairs(stack, words, many),
        residual="" if worst is None else with_unit(unsigned(worst), stack.unit),
    )


def _short(number: float, largest: float) -> Cell:
    """Two decimals or so, no plus and no zero before the point: twelve heads fit a line."""
    full = cell(number, largest, largest)
    return replace(full, number=brief(number, largest))


def brief(number: float, largest: float) -> str:
    """A number among others of which `largest` is the largest, in as few characters as tell it.

    >>> brief(0.237, 0.9), brief(-0.04, 0.9), brief(1.5, 3.0)
    ('.24', '−.04', '1.50')
    """
    return signed(number, (largest if largest >= 1 else 10 * largest) or None).removeprefix("+").replace("0.", ".", 1)


def strongest_entries(stack: Matrices, most: int) -> list[tuple[int, int, int, int, float]]:
    """(layer, head, query, key, number) of the entries with the largest sizes, the largest first."""
    scores = stack.scores.numpy()
    order = np.argsort(-np.abs(scores).reshape(-1), kind="stable")[:most]
    places = zip(*(axis.tolist() for axis in np.unravel_index(order, scores.shape)), strict=True)
    return [(*place, float(scores[place])) for place in places if scores[place]]


def _pairs(stack: Matrices, words: Explanation, many: bool) -> tuple[Pair, ...]:
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


# For the script ------------------------------------------------------------------------------------------------------


def _numbers(item: Explanation) -> str:
    """Tokens, layers and matrices. A matrix travels as whole numbers of −127 to 127, deflated, with its peaks."""
    stacks = [
        {
            "name": name,
            "layers": stack.layers,
            "unit": stack.unit,
            "weights": stack.weights,
            "shape": stack.scores.shape,
            "queries": stack.queries,
            "keys": stack.keys,
            **_packed(stack.scores.numpy()),
        }
        for name, stack in item.attention.items()
    ]
    flows = [] if item.layers is None else item.layers.numpy().tolist()
    layers = [[float(f"{n:.4g}") for n in row] for row in flows] or None
    told = {"tokens": item.tokens, "unit": item.unit, "layers": layers, "stacks": stacks}
    text = json.dumps(told, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _packed(scores: np.ndarray) -> dict[str, object]:
    peaks = np.abs(scores).max((2, 3))  # (layers, H)
    safe = np.where(peaks > 0, peaks, 1)[:, :, None, None]
    levels = np.rint(scores / safe * LEVELS).astype(np.int8)
    packed = base64.b64encode(zlib.compress(levels.tobytes(), 6)).decode("ascii")
    return {"peaks": [[float(f"{p:.6g}") for p in row] for row in peaks.tolist()], "levels": packed}
