"""Explanations as figures for a paper or a slide. matplotlib is imported only when one is drawn."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.canvas import colour_map, drawable, figure_of, fraction, measure, save_figure, text_artist, worded
from xai_nlp.viz.figures import draw_image
from xai_nlp.viz.maps import head_numbers
from xai_nlp.viz.pieces import strongest
from xai_nlp.viz.scale import LIGHT
from xai_nlp.viz.sheet import WIDTH, Box, Sheet, Stroke, Words
from xai_nlp.viz.wording import headline, method_name, target_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xai_nlp.core.arrays import AttentionAttribution

LETTERS = 32  # of a token beside its bar
LARGEST = 30  # inches that the cells of a map may take


def bars(explanation: Explanation, *, top: int | None = None, ax: Axes | None = None) -> Figure:
    """Horizontal bars, a token each: in the order of the text, or the `top` strongest, strongest first."""
    if top is not None and top < 1:
        raise InvalidInput(f"`top` counts tokens to draw; got {top}, it must be 1 or more. Leave it out to draw all.")
    shown = range(len(explanation.tokens)) if top is None else strongest(explanation, top)
    scores = [explanation.scores[i] for i in shown]
    if ax is None:
        figure = figure_of(1.1 + 0.28 * max(1, len(scores)))
        figure.set_layout_engine("constrained")
        ax = figure.subplots()
    ax.barh(range(len(scores)), scores, color=[fraction(LIGHT.line(score)) for score in scores], height=0.72)
    ax.set_yticks(range(len(scores)), [_shortened(explanation.tokens[i]) for i in shown], **worded())
    ax.set_ylim(max(1, len(scores)) - 0.4, -0.6)
    ax.axvline(0, color=fraction(LIGHT.soft), linewidth=0.8)
    ax.set_xlabel(drawable(f"score, {explanation.unit or 'no unit'}"), **worded())
    ax.set_title(drawable(f"{headline(explanation)}  {method_name(explanation)}"), **worded(loc="left"))
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return cast("Figure", ax.figure)


def tokens_figure(explanation: Explanation) -> Figure:
    """The text as a picture: words on their colour, wrapped, with question, legend and what is left unexplained.

    Where there is an image, it stands under its question, and its regions beside it.
    """
    figure = figure_of(1.0)
    sheet = Sheet(explanation.words(), measure(), drawable)
    figure.set_size_inches(WIDTH, sheet.height)
    for mark in sheet.marks:
        figure.add_artist(_artist(mark, figure, sheet.height))
    for frame in sheet.frames:
        low = sheet.height - frame.y - frame.height
        place = frame.x / WIDTH, low / sheet.height, frame.width / WIDTH, frame.height / sheet.height
        ax = figure.add_axes(place)
        draw_image(explanation, ax, method=frame.view)
        ax.axis("off")
    return figure


def draw_layers(explanation: Explanation, ax: Axes) -> None:
    """Token × layer: what flowed through each token at each layer's output, the first layer at the bottom.

    Raises InvalidInput for an explanation without layers: explain with layers=True.
    """
    if explanation.layers is None:
        raise InvalidInput("this explanation has no layers; explain with layers=True.")
    _draw_map(ax, explanation.layers.numpy(), explanation.unit)
    _name_axes(ax, explanation.tokens, [f"layer {k}" for k in range(len(explanation.layers))])
    ax.invert_yaxis()
    ax.set_title(drawable(f"{headline(explanation)}  {target_name(explanation.target)}"), **worded(loc="left"))


def draw_heads(explanation: Explanation, ax: Axes, *, stack: str = "self") -> None:
    """Layer × head: the sum of each head's matrix, the first layer at the bottom; of weights, how peaked they are.

    Raises as `draw_attention`.
    """
    found = _stack(explanation, stack)
    heads = head_numbers(found)
    _draw_map(ax, heads, found.unit)
    _name_axes(ax, [f"head {h}" for h in range(heads.shape[1])], found.layers)
    ax.invert_yaxis()
    ax.set_title(drawable(f"{headline(explanation)}  {found.method.replace('_', ' ')}"), **worded(loc="left"))


def draw_attention(
    explanation: Explanation, ax: Axes, *, layer: int | None = None, head: int | None = None, stack: str = "self"
) -> None:
    """Token × token: rows look, columns are looked at; over all heads or layers where none is named.

    Sums, or means where the numbers are weights. Raises InvalidInput for an explanation without such matrices, or for a
    layer or head that it does not have.
    """
    found = _stack(explanation, stack)
    scores = found.scores.numpy()
    for name, wanted, count in (("layer", layer, scores.shape[0]), ("head", head, scores.shape[1])):
        if wanted is not None and not 0 <= wanted < count:
            raise InvalidInput(f"{name} {wanted} does not exist; there are {count}, counted from 0.")
    chosen = scores[slice(None) if layer is None else [layer]][:, slice(None) if head is None else [head]]
    _draw_map(ax, chosen.mean((0, 1)) if found.row_stochastic else chosen.sum((0, 1)), found.unit)
    _name_axes(ax, found.keys or explanation.tokens, found.queries or explanation.tokens)
    where = "all layers" if layer is None else found.layers[layer]
    ax.set_title(drawable(f"{where}, {'all heads' if head is None else f'head {head}'}"), **worded(loc="left"))


def layers_figure(explanation: Explanation) -> Figure:
    """`draw_layers` as a figure of its own."""
    return _alone(len(explanation.tokens), len(explanation.layers or ()), partial(draw_layers, explanation))


def heads_figure(explanation: Explanation, *, stack: str = "self") -> Figure:
    """`draw_heads` as a figure of its own."""
    layers, heads = _stack(explanation, stack).scores.shape[:2]
    return _alone(heads, layers, partial(draw_heads, explanation, stack=stack))


def attention_figure(
    explanation: Explanation, *, layer: int | None = None, head: int | None = None, stack: str = "self"
) -> Figure:
    """`draw_attention` as a figure of its own."""
    rows, columns = _stack(explanation, stack).scores.shape[2:]
    return _alone(columns, rows, partial(draw_attention, explanation, layer=layer, head=head, stack=stack))


def save_layers(explanation: Explanation, path: str | os.PathLike[str]) -> None:
    """Write `layers_figure` as PNG or SVG, by the suffix of `path`."""
    save_figure(partial(layers_figure, explanation), path)


def save_heads(explanation: Explanation, path: str | os.PathLike[str], *, stack: str = "self") -> None:
    """Write `heads_figure` as PNG or SVG, by the suffix of `path`."""
    save_figure(partial(heads_figure, explanation, stack=stack), path)


def save_attention(
    explanation: Explanation,
    path: str | os.PathLike[str],
    layer: int | None = None,
    head: int | None = None,
    stack: str = "self",
) -> None:
    """Write `attention_figure` as PNG or SVG, by the suffix of `path`."""
    save_figure(partial(attention_figure, explanation, layer=layer, head=head, stack=stack), path)


def _stack(explanation: Explanation, name: str) -> AttentionAttribution:
    if name not in explanation.attention:
        known = ", ".join(explanation.attention) or "none; explain with attention=True or a method over attention"
        raise InvalidInput(f"this explanation has no {name!r} attention; it has {known}.")
    return explanation.attention[name]


def _alone(columns: int, rows: int, draw: Callable[[Axes], None]) -> Figure:
    side = min(0.24, LARGEST / max(columns, rows))  # inches a cell
    figure = figure_of(1.6 + side * max(4, rows), 2.6 + side * max(8, columns))
    figure.set_layout_engine("constrained")
    draw(figure.subplots())
    return figure


def _draw_map(ax: Axes, numbers: Any, unit: str) -> None:
    """Numbers in the page's colours, zero in the middle, with a bar that tells what the ends stand for."""
    largest = float(abs(numbers).max()) or 1.0
    image = ax.imshow(numbers, cmap=colour_map(), vmin=-largest, vmax=largest, aspect="auto", interpolation="nearest")
    bar = cast("Figure", ax.figure).colorbar(image, ax=ax, shrink=0.8)
    bar.set_label(unit or "no unit", **worded())
    bar.outline.set_visible(False)


def _name_axes(ax: Axes, columns: Sequence[str], rows: Sequence[str]) -> None:
    """Names of all cells, or of none where there are so many that they would cover each other."""
    many = LARGEST / 0.14  # inches that a line of this size needs
    for axis, names, rotation in ((ax.xaxis, columns, 90), (ax.yaxis, rows, 0)):
        shown = names if len(names) <= many else ()
        axis.set_ticks(range(len(shown)), [_shortened(name) for name in shown], **worded(rotation=rotation, fontsize=8))
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def save_tokens(explanation: Explanation, path: str | os.PathLike[str]) -> None:
    """Write `tokens_figure` as PNG or SVG, by the suffix of `path`. The same input writes the same bytes."""
    save_figure(lambda: tokens_figure(explanation), path)


def _shortened(token: str) -> str:
    shown = drawable(token)
    return shown if len(shown) <= LETTERS else shown[: LETTERS - 1] + "…"


def _artist(mark: Words | Box | Stroke, figure: Figure, height: float) -> Artist:
    """What matplotlib draws for a mark, in inches from the lower left corner."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    x, y, colour, inches = mark.x, height - mark.y, fraction(mark.colour), figure.dpi_scale_trans
    if isinstance(mark, Words):
        return text_artist(mark.text, mark.size, mark.bold, x=x, y=y, color=colour, transform=inches, zorder=2)
    if isinstance(mark, Box):
        return Rectangle(
            (x, y), mark.width, mark.height, facecolor=colour, edgecolor="none", transform=inches, zorder=0
        )
    style: Any = (0, (2.5, 1.5)) if mark.dashed else "-"
    ends = [x, x + mark.width], [y, y]
    return Line2D(*ends, color=colour, linewidth=1.2, linestyle=style, transform=inches, zorder=1)
