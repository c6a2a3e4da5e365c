"""Attention matrices as they travel in a page: one byte a number, small ones kept apart from zero, deflated."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from xai_nlp.core.arrays import AttentionAttribution
from xai_nlp.core.result import Explanation
from xai_nlp.viz.wording import segment_names

LEVELS = (127, 63, 31)  # the most whose stack stays within a page's
BUDGET = 5_000_000  # characters


def levels_for(stack: AttentionAttribution) -> int:
    """How many levels a number has on each side of zero; fewer for large stacks full of noise, which does not deflate.

    Judged by the layer in the middle.
    """
    scores = stack.scores.numpy()
    if scores.size <= BUDGET // 2:
        return LEVELS[0]
    middle = list(scores[len(scores) // 2])
    sizes = ((levels, len(_streamed(middle, levels)[1]) * len(scores)) for levels in LEVELS)
    return next((levels for levels, size in sizes if size <= BUDGET), LEVELS[-1])


def levels_of(matrix: np.ndarray, peak: float, levels: int) -> np.ndarray:
    """Whole numbers q of −levels to levels that stand for sign(q) · (q/levels)² · peak.

    The square keeps small numbers apart from zero: attention is peaked, and on an even scale half of the tokens would
    be said to draw on nobody. No number is off by more than 1/levels of the peak.

    >>> levels_of(np.array([1.0, -0.25, 0.0001, 0.0]), 1.0, 127).tolist()
    [127, -64, 1, 0]
    """
    shares = np.abs(matrix) / peak if peak > 0 else np.zeros_like(matrix)
    return (np.sign(matrix) * np.rint(levels * np.sqrt(shares))).astype(np.int8)


def packed(stack: AttentionAttribution, levels: int) -> dict[str, object]:
    """For each layer the heads' matrices, in one deflated stream, and each one's peak.

    Sums are packed as matrices of their own, since rounded numbers do not add up: over the heads of a layer, the first
    of the layer, and over all layers; for weights means over heads, and nothing over layers, as there they do not add
    up to anything.
    """
    scores = stack.scores.numpy()
    count, heads = scores.shape[:2]
    whole = np.zeros(scores.shape[2:])
    peaks: list[list[float]] = []
    streams: list[str] = []
    for layer in scores:
        total = layer.sum(0, dtype=np.float64)
        whole += total
        planes = [] if heads == 1 else [(total / heads if stack.row_stochastic else total).astype(np.float32)]
        found, stream = _streamed([*planes, *layer], levels)
        peaks.append(found)
        streams.append(stream)
    everywhere = None
    if count > 1 and not stack.row_stochastic:
        (peak,), stream = _streamed([whole.astype(np.float32)], levels)
        everywhere = {"peak": peak, "stream": stream}
    return {"levels": levels, "peaks": peaks, "streams": streams, "everywhere": everywhere}


def _streamed(planes: Sequence[np.ndarray], levels: int) -> tuple[list[float], str]:
    peaks = [float(f"{float(np.abs(plane).max(initial=0)):.6g}") for plane in planes]
    raw = b"".join(levels_of(plane, peak, levels).tobytes() for plane, peak in zip(planes, peaks, strict=True))
    return peaks, base64.b64encode(zlib.compress(raw, 6)).decode("ascii")


def numbers_of(item: Explanation, words: Explanation, levels: Mapping[str, int]) -> str:
    """What the script draws from, as JSON in which nothing can end its element.

    levels: of each stack's numbers.
    """
    stacks = [
        {
            "layers": stack.layers,
            "heads": stack.scores.shape[1],
            "unit": stack.unit,
            "weights": stack.row_stochastic,
            "queries": stack.queries,
            "keys": stack.keys,
            **packed(stack, levels[name]),
        }
        for name, stack in item.attention.items()
    ]
    layers = None if item.layers is None else [[float(f"{n:.4g}") for n in row] for row in item.layers.numpy().tolist()]
    told = {
        "tokens": item.tokens,
        "words": words.tokens,
        "groups": [len(group) for group in item.word_groups()],
        "segment": item.segment,
        "names": segment_names(item),
        "answer": _answer(item),
        "unit": item.unit,
        "layers": layers,
        "stacks": stacks,
    }
    text = json.dumps(told, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _answer(item: Explanation) -> tuple[int, int] | None:
    """The first and the last token of the answer."""
    if item.answer is None:
        return None
    segment, (start, end) = item.answer
    places = [
        i
        for i, (s, (a, b)) in enumerate(zip(item.segment, item.offsets, strict=True))
        if s == segment and a < end and b > start
    ]
    return (places[0], places[-1]) if places else None
