"""Attention matrices as a page carries them: quantized to one byte a number, then deflated."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from xai_nlp.core.arrays import AttentionAttribution
from xai_nlp.core.result import Explanation
from xai_nlp.viz.text.wording import segment_names

LEVELS = (127, 63, 31)  # on each side of zero; the most that keep a stack within BUDGET
BUDGET = 5_000_000  # characters of a stack in a page


def levels_for(stack: AttentionAttribution) -> int:
    """How many levels a number gets: fewer for a large stack of noise, which deflates badly.

    The middle layer's deflated size stands for all layers.
    """
    scores = stack.scores.numpy()
    if scores.size <= BUDGET // 2:
        return LEVELS[0]
    middle = list(scores[len(scores) // 2])
    sizes = ((levels, len(_deflated(middle, levels)[1]) * len(scores)) for levels in LEVELS)
    return next((levels for levels, size in sizes if size <= BUDGET), LEVELS[-1])


def quantize(matrix: np.ndarray, peak: float, levels: int) -> np.ndarray:
    """Integers q in −levels … levels that stand for sign(q) · (q/levels)² · peak, int8.

    The square keeps small numbers apart from zero: attention is peaked, and even levels would round half of the tokens
    to no attention at all. No number is off by more than peak/levels.

    >>> quantize(np.array([1.0, -0.25, 0.0001, 0.0]), 1.0, 127).tolist()
    [127, -64, 1, 0]
    """
    shares = np.abs(matrix) / peak if peak > 0 else np.zeros_like(matrix)
    return (np.sign(matrix) * np.rint(levels * np.sqrt(shares))).astype(np.int8)


def quantized_stack(stack: AttentionAttribution, levels: int) -> dict[str, Any]:
    """For each layer the heads' matrices in one deflated stream, and the peak of each matrix.

    The sum over a layer's heads comes first in its stream, and the sum over layers has a stream of its own, because
    rounded numbers do not add up. Of attention weights the first is the mean, and there is none over layers.
    """
    scores, weights = stack.scores.numpy(), stack.row_stochastic
    count, heads = scores.shape[:2]
    total = np.zeros(scores.shape[2:])
    peaks, streams = [], []
    for layer in scores:
        over_heads = layer.sum(0, dtype=np.float64)
        total += over_heads
        first = [] if heads == 1 else [(over_heads / heads if weights else over_heads).astype(np.float32)]
        layer_peaks, stream = _deflated([*first, *layer], levels)
        peaks.append(layer_peaks)
        streams.append(stream)
    over_layers = None
    if count > 1 and not weights:
        (peak,), stream = _deflated([total.astype(np.float32)], levels)
        over_layers = {"peak": peak, "stream": stream}
    return {"levels": levels, "peaks": peaks, "streams": streams, "total": over_layers}


def _deflated(matrices: Sequence[np.ndarray], levels: int) -> tuple[list[float], str]:
    peaks = [float(f"{float(np.abs(matrix).max(initial=0)):.6g}") for matrix in matrices]
    raw = b"".join(quantize(matrix, peak, levels).tobytes() for matrix, peak in zip(matrices, peaks, strict=True))
    return peaks, base64.b64encode(zlib.compress(raw, 6)).decode("ascii")


def script_data(item: Explanation, words: Explanation) -> dict[str, Any]:
    """The numbers that the page's script draws layers and attention from. words: the same over words."""
    stacks = [
        {
            "layers": stack.layers,
            "heads": stack.scores.shape[1],
            "unit": stack.unit,
            "weights": stack.row_stochastic,
            "queries": stack.queries,
            "keys": stack.keys,
            **quantized_stack(stack, levels_for(stack)),
        }
        for stack in item.attention.values()
    ]
    layers = None if item.layers is None else [[float(f"{n:.4g}") for n in row] for row in item.layers.numpy().tolist()]
    return {
        "tokens": item.tokens,
        "words": words.tokens,
        "groups": [len(group) for group in item.word_groups()],
        "segment": item.segment,
        "names": segment_names(item),
        "answer": _answer_tokens(item),
        "unit": item.unit,
        "layers": layers,
        "stacks": stacks,
    }


def _answer_tokens(item: Explanation) -> tuple[int, int] | None:
    """The first and the last token of the answer."""
    if item.answer is None:
        return None
    segment, (start, end) = item.answer
    tokens = [
        i
        for i, (s, (a, b)) in enumerate(zip(item.segment, item.offsets, strict=True))
        if s == segment and a < end and b > start
    ]
    return (tokens[0], tokens[-1]) if tokens else None
