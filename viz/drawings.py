"""Drawings of plain arrays: tokens, image regions and attention matrices with a score each. No model, no torch."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from xai_nlp.core.arrays import Array, AttentionAttribution
from xai_nlp.core.files import write_file
from xai_nlp.core.image import ImageAttribution
from xai_nlp.core.result import Explanation, TargetSpec
from xai_nlp.core.spans import Span
from xai_nlp.errors import InvalidInput

LARGEST = 1024  # pixels of an image's longer side in a drawing; a larger image is scaled down


@dataclass(frozen=True)
class Drawing:
    """Scores of tokens, regions or attention, as a page, a picture and terminal text.

    A notebook shows it by itself. `explanation` holds the numbers.
    """

    explanation: Explanation
    title: str = ""

    @cached_property
    def html(self) -> str:
        """A complete HTML page that makes no network request."""
        from xai_nlp.viz.page.html import page

        return page([self.explanation], title=self.title or None)

    @cached_property
    def png(self) -> bytes:
        """A PNG file: the text or the image, or the attention summed over layers and heads."""
        from xai_nlp.viz.figure.canvas import figure_file
        from xai_nlp.viz.figure.plots import draw_attention, tokens_figure

        draw = draw_attention if self.explanation.attention else tokens_figure
        return figure_file(draw(self.explanation), ".png")

    @cached_property
    def ansi(self) -> str:
        """Text for a terminal, with 24-bit colours."""
        from xai_nlp.viz.terminal.ansi import printed, render
        from xai_nlp.viz.terminal.heads import render_attention

        return printed((render_attention if self.explanation.attention else render)(self.explanation))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a `.html`, `.png` or `.txt` (terminal text) file, by the suffix of `path`."""
        path = Path(path)
        kinds = {".html": lambda: self.html.encode(), ".png": lambda: self.png, ".txt": lambda: self.ansi.encode()}
        if path.suffix.lower() not in kinds:
            raise InvalidInput(f"a drawing is saved as {', '.join(kinds)}; got the suffix {path.suffix!r}.")
        write_file(path, kinds[path.suffix.lower()]())

    def _repr_html_(self) -> str:
        from xai_nlp.viz.page.html import fragment

        return fragment([self.explanation])

    def __repr__(self) -> str:
        item = self.explanation
        if item.attention:
            return f"<Drawing: attention {' × '.join(map(str, item.attention['self'].scores.shape))}>"
        image = item.image
        names, scores, kind = (image.names, image.scores, "regions") if image else (item.tokens, item.scores, "tokens")
        order = sorted(range(len(scores)), key=lambda i: -abs(scores[i]))[:3]
        return f"<Drawing: {len(scores)} {kind}; {', '.join(f'{names[i][:20]!r} {scores[i]:+.3g}' for i in order)}>"


def tokens(
    tokens: Sequence[str],
    scores: Sequence[float],
    *,
    offsets: Sequence[Span] | None = None,
    title: str = "",
    unit: str = "",
) -> Drawing:
    """Draw tokens in the colour of their scores.

    tokens: L strings; scores: L numbers, signed, in `unit`.
    offsets: L pairs (start, end), the characters of each token in the text; without them, blanks part the tokens.
    Raises InvalidInput for no tokens, other lengths, or a score that is NaN or infinite.

    >>> tokens(["not", "bad"], [-0.4, 0.9])
    <Drawing: 2 tokens; 'bad' +0.9, 'not' -0.4>
    """
    names = [str(token) for token in tokens]
    numbers = _scores(scores, len(names), "tokens")
    if offsets is not None and len(offsets) != len(names):
        raise InvalidInput(f"tokens need one pair of offsets each; got {len(names)} tokens, {len(offsets)} offsets.")
    return _drawing(title, unit, names, numbers, offsets)


def image(
    pixels: Any, regions: Any, scores: Sequence[float] | np.ndarray, *, title: str = "", unit: str = ""
) -> Drawing:
    """Draw an image with its regions in the colour of their scores.

    pixels: a PIL image, or an array (H, W), (H, W, 3) or (H, W, 4), in 0–1 (floats) or 0–255.
    regions: boxes (M, 4) as left, top, right, bottom in pixels; a raster (H', W') of labels 0 … M−1, −1 for none;
    or a grid (rows, columns).
    scores: M numbers, signed, in `unit`; of a grid also (rows, columns).
    Raises InvalidInput for other shapes, other lengths, or a score that is NaN or infinite.

    >>> image(np.zeros((4, 6)), (1, 2), [0.5, -1])
    <Drawing: 2 regions; 'row 1, column 2' -1, 'row 1, column 1' +0.5>
    """
    data, size = _png_file(pixels)
    shapes, grid = None, None
    boxes: list[tuple[float, float, float, float]]
    raster = np.asarray(regions)
    if raster.shape == (2,) and raster.dtype.kind in "iu" and raster.min() > 0:
        rows, columns = grid = (int(raster[0]), int(raster[1]))
        width, height = size[0] / columns, size[1] / rows
        cells = [(r, c) for r in range(rows) for c in range(columns)]
        boxes = [(c * width, r * height, (c + 1) * width, (r + 1) * height) for r, c in cells]
    elif raster.ndim == 2 and raster.shape[1] == 4 and len(raster) == np.size(scores):
        boxes = [(float(a), float(b), float(c), float(d)) for a, b, c, d in raster]
    elif (
        raster.ndim == 2
        and raster.size
        and raster.dtype.kind in "iu"
        and -1 <= raster.min() <= raster.max() < np.size(scores)
    ):
        shapes, boxes = Array(raster), [(0.0, 0.0, float(size[0]), float(size[1]))] * np.size(scores)
    else:
        raise InvalidInput(
            f"regions are boxes (M, 4), a raster of labels below the number of scores, or a grid (rows, columns); got "
            f"{raster.shape or regions!r} with {np.size(scores)} scores."
        )
    numbers = _scores(np.ravel(scores), len(boxes), "regions")
    regions_image = ImageAttribution(data=data, size=size, boxes=tuple(boxes), scores=numbers, grid=grid, shapes=shapes)
    return _drawing(title, unit, image=regions_image)


def attention(
    matrix: Any, tokens: Sequence[str], key_tokens: Sequence[str] | None = None, *, title: str = "", unit: str = ""
) -> Drawing:
    """Draw attention matrices: a table of heads, each matrix, and the tokens coloured by the attention they receive.

    matrix: (Q, K), (H, Q, K) or (L, H, Q, K); tokens: Q strings, the rows; key_tokens: K strings, if they differ.
    Raises InvalidInput for other shapes, other lengths, or a number that is NaN or infinite.

    >>> attention([[0.9, 0.1], [0.5, 0.5]], ["not", "bad"])
    <Drawing: attention 1 × 1 × 2 × 2>
    """
    numbers = np.asarray(matrix, dtype=float)
    queries, keys = [str(token) for token in tokens], [str(token) for token in key_tokens or tokens]
    if not 2 <= numbers.ndim <= 4 or numbers.shape[-2:] != (len(queries), len(keys)) or not numbers.size:
        raise InvalidInput(
            f"attention is (Q, K), (H, Q, K) or (L, H, Q, K); got {numbers.shape} for {len(queries)} tokens"
            + ("." if key_tokens is None else f" and {len(keys)} key tokens.")
        )
    numbers = numbers.reshape((1,) * (4 - numbers.ndim) + numbers.shape)
    _scores(numbers.ravel(), numbers.size, "attention")
    rows = bool((numbers >= 0).all() and np.allclose(numbers.sum(-1), 1, atol=1e-3))
    stack = AttentionAttribution(
        scores=Array(numbers),
        layers=tuple(f"layer {n}" for n in range(len(numbers))),
        method="attention",
        unit=unit,
        row_stochastic=rows,
        queries=None if key_tokens is None else tuple(queries),
        keys=None if key_tokens is None else tuple(keys),
    )
    return _drawing(title, unit, keys, numbers.mean((0, 1)).sum(0).tolist(), attention={"self": stack})


def _drawing(
    title: str,
    unit: str,
    tokens: Sequence[str] = (),
    scores: Sequence[float] = (),
    offsets: Sequence[Span] | None = None,
    **more: Any,
) -> Drawing:
    """A drawing of an explanation of no model: no outputs, no method."""
    text, spans = _text_of(tokens, offsets)
    explanation = Explanation(
        segments=(text,) if tokens else (), tokens=tuple(tokens), offsets=tuple(spans), segment=(0,) * len(tokens),
        scores=tuple(scores), unit=unit, value=0.0, baseline_value=0.0, outputs={}, method="", baseline="none",
        complete=False, task="", target=TargetSpec(kind="output", label=title), **more,
    )  # fmt: skip
    return Drawing(explanation, title)


def _scores(scores: Any, count: int, kind: str) -> tuple[float, ...]:
    numbers = tuple(map(float, scores))
    if not count or len(numbers) != count:
        raise InvalidInput(f"{kind} need one score each, and at least one; got {count} {kind}, {len(numbers)} scores.")
    if not all(map(math.isfinite, numbers)):
        raise InvalidInput(f"scores must be finite numbers; {kind} have NaN or infinity among theirs.")
    return numbers


def _text_of(names: Sequence[str], offsets: Sequence[Span] | None = None) -> tuple[str, list[Span]]:
    """A text with each name at its offsets, or with blanks between names; and the offsets."""
    if offsets is None:
        ends = list(accumulate(len(name) + 1 for name in names))
        return " ".join(names), [(end - 1 - len(name), end - 1) for name, end in zip(names, ends, strict=True)]
    spans = [(int(start), int(end)) for start, end in offsets]
    if not all(0 <= start <= end for start, end in spans):
        raise InvalidInput("offsets are pairs 0 ≤ start ≤ end of characters; one pair is not.")
    text = [" "] * max(end for _, end in spans)
    for name, (start, end) in zip(names, spans, strict=True):
        text[start:end] = name[max(0, len(name) - end + start) :].ljust(end - start)  # without a marker such as "##"
    return "".join(text), spans


def _png_file(pixels: Any) -> tuple[bytes, tuple[int, int]]:
    """The image as a PNG file, and its size (width, height) as it came."""
    from PIL import Image

    picture = pixels
    if not isinstance(picture, Image.Image):
        array = np.asarray(pixels)
        if array.ndim not in (2, 3) or not array.size or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
            raise InvalidInput(f"pixels are an image, or an array (H, W) or (H, W, 3); got {array.shape}.")
        if array.dtype.kind == "f":
            if not np.isfinite(array).all():
                raise InvalidInput("pixels must be finite numbers in 0–1 or 0–255; got NaN or infinity.")
            array = array * 255 if array.max() <= 1 else array
        picture = Image.fromarray(np.clip(array, 0, 255).astype(np.uint8).squeeze())
    size, small = picture.size, picture.convert("RGB")
    small.thumbnail((LARGEST, LARGEST))
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    return buffer.getvalue(), size
