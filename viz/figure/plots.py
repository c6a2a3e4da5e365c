"""Explanations as figures for a paper or a slide: text, bars, layers, heads, attention matrices."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from xai_nlp.core.result import Explanation
from xai_nlp.core.statistics import head_numbers
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.figure.canvas import WIDTH, colour_map, drawable, figure_of, fraction, save_figure, text_options
from xai_nlp.viz.figure.image_plots import draw_image
from xai_nlp.viz.figure.text_sheet import TextSheet
from xai_nlp.viz.text.scale import LIGHT
from xai_nlp.viz.text.text_spans import strongest_words
from xai_nlp.viz.text.wording import headline, plain, shortened, target_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xai_nlp.core.arrays import AttentionAttribution

LETTERS = 32  # of a token beside its bar
LARGEST = 30  # inches of a map's cells


def bars(explanation: Explanation, *, top: int | None = None, ax: Axes | None = None) -> Figure:
    """Horizontal bars, one for each token: in text order, or the `top` strongest, strongest first."""
    if top is not None and top < 1:
        raise InvalidInput(f"`top` counts tokens to draw; got {top}, it must be 1 or more. Leave it out to draw all.")
    order = range(len(explanation.tokens)) if top is None else strongest_words(explanation, top)
    scores = [explanation.scores[i] for i in order]
    if ax is None:
        figure = figure_of(1.1 + 0.28 * max(1, len(scores)))
        figure.set_layout_engine("constrained")
        ax = figure.subplots()
    ax.barh(range(len(scores)), scores, color=[fraction(LIGHT.line(score)) for score in scores], height=0.72)
    ax.set_yticks(range(len(scores)), [_name(explanation.tokens[i]) for i in order], **text_options())
    ax.set_ylim(max(1, len(scores)) - 0.4, -0.6)
    ax.axvline(0, color=fraction(LIGHT.soft), linewidth=0.8)
    ax.set_xlabel(drawable(f"score, {explanation.unit or 'no unit'}"), **text_options())
    _set_title(ax, f"{headline(explanation)}  {plain(explanation.method)}")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return cast("Figure", ax.figure)


def tokens_figure(explanation: Explanation) -> Figure:
    """The text as a picture: one sentence, words on their colour, legend and residual; an image with its regions."""
    sheet = TextSheet(explanation.words())
    for view, frame in sheet.frames.items():
        low = sheet.height - frame.y1
        ax = sheet.figure.add_axes(
            (frame.x0 / WIDTH, low / sheet.height, frame.width / WIDTH, frame.height / sheet.height)
        )
        draw_image(explanation, ax, method=view)
        ax.axis("off")
    return sheet.figure


def draw_layers(explanation: Explanation, ax: Axes | None = None) -> Figure:
    """Draw layer × token: the score of each token at each layer's output, the first layer at the bottom.

    ax: axes to draw on; a figure of its own without them.
    Raises InvalidInput for an explanation without layers: explain with layers=True.
    """
    if explanation.layers is None:
        raise InvalidInput("this explanation has no layers; explain with layers=True.")
    names = [f"layer {k}" for k in range(len(explanation.layers))]
    title = f"{headline(explanation)}  {target_text(explanation)}"
    ax = _draw_map(ax, explanation.layers.numpy(), explanation.unit, explanation.tokens, names, title)
    ax.invert_yaxis()
    return cast("Figure", ax.figure)


def draw_heads(explanation: Explanation, ax: Axes | None = None, *, stack: str = "self") -> Figure:
    """Draw layer × head: the sum of each head's matrix, or how peaked weights are; the first layer at the bottom.

    ax: axes to draw on; a figure of its own without them.
    Raises as `draw_attention`.
    """
    attention = _stack(explanation, stack)
    heads = head_numbers(attention)
    names = [f"head {h}" for h in range(heads.shape[1])]
    title = f"{headline(explanation)}  {plain(attention.method)}"
    ax = _draw_map(ax, heads, attention.unit, names, attention.layers, title)
    ax.invert_yaxis()
    return cast("Figure", ax.figure)


def draw_attention(
    explanation: Explanation,
    ax: Axes | None = None,
    *,
    layer: int | None = None,
    head: int | None = None,
    stack: str = "self",
) -> Figure:
    """Draw query × key, summed over all heads or layers where none is named; weights are averaged.

    ax: axes to draw on; a figure of its own without them.
    Raises InvalidInput for an explanation without such matrices, or for a layer or head that does not exist.
    """
    attention = _stack(explanation, stack)
    scores = attention.scores.numpy()
    for name, number, count in (("layer", layer, scores.shape[0]), ("head", head, scores.shape[1])):
        if number is not None and not 0 <= number < count:
            raise InvalidInput(f"{name} {number} does not exist; there are {count}, counted from 0.")
    chosen = scores[slice(None) if layer is None else [layer]][:, slice(None) if head is None else [head]]
    matrix = chosen.mean((0, 1)) if attention.row_stochastic else chosen.sum((0, 1))
    queries, keys = attention.queries or explanation.tokens, attention.keys or explanation.tokens
    where = "all layers" if layer is None else attention.layers[layer]
    title = f"{where}, {'all heads' if head is None else f'head {head}'}"
    return cast("Figure", _draw_map(ax, matrix, attention.unit, keys, queries, title).figure)


def save_tokens(explanation: Explanation, path: str | os.PathLike[str]) -> None:
    """Write `tokens_figure` as PNG or SVG, by the suffix of `path`; the same input gives the same bytes."""
    save_figure(lambda: tokens_figure(explanation), path)


def _stack(explanation: Explanation, name: str) -> AttentionAttribution:
    if name not in explanation.attention:
        known = ", ".join(explanation.attention) or "none; explain with attention=True or a method over attention"
        raise InvalidInput(f"this explanation has no {name!r} attention; it has {known}.")
    return explanation.attention[name]


def _draw_map(
    ax: Axes | None, numbers: Any, unit: str, columns: Sequence[str], rows: Sequence[str], title: str
) -> Axes:
    """Draw numbers in the page's colours, zero in the middle, with a colour bar.

    All cells are named, or none where so many names would cover each other.
    """
    if ax is None:
        side = min(0.24, LARGEST / max(numbers.shape))  # inches a cell
        figure = figure_of(1.6 + side * max(4, len(numbers)), 2.6 + side * max(8, numbers.shape[1]))
        figure.set_layout_engine("constrained")
        ax = figure.subplots()
    largest = float(abs(numbers).max()) or 1.0
    image = ax.imshow(numbers, cmap=colour_map(), vmin=-largest, vmax=largest, aspect="auto", interpolation="nearest")
    bar = cast("Figure", ax.figure).colorbar(image, ax=ax, shrink=0.8)
    bar.set_label(unit or "no unit", **text_options())
    bar.outline.set_visible(False)
    many = LARGEST / 0.14  # a line of this size needs 0.14 inches
    for axis, names, rotation in ((ax.xaxis, columns, 90), (ax.yaxis, rows, 0)):
        labels = [_name(name) for name in names] if len(names) <= many else []
        axis.set_ticks(range(len(labels)), labels, **text_options(rotation=rotation, fontsize=8))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    _set_title(ax, title)
    return ax


def _set_title(ax: Axes, title: str) -> None:
    ax.set_title(drawable(title), **text_options(loc="left"))


def _name(token: str) -> str:
    return shortened(drawable(token), LETTERS)
