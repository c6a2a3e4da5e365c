"""Explanations as figures for a paper or a slide. matplotlib is imported only when one is drawn."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.canvas import drawable, figure_of, fraction, plain
from xai_nlp.viz.pieces import strongest
from xai_nlp.viz.scale import LIGHT
from xai_nlp.viz.sheet import Sheet
from xai_nlp.viz.wording import headline, method_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")
DPI = 200
PIXELS = 2**16 - 1  # Agg draws no higher picture; a longer text gets a coarser one
LETTERS = 32  # of a token beside its bar


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
    ax.set_yticks(range(len(scores)), [_shortened(explanation.tokens[i]) for i in shown], **plain())
    ax.set_ylim(max(1, len(scores)) - 0.4, -0.6)
    ax.axvline(0, color=fraction(LIGHT.soft), linewidth=0.8)
    ax.set_xlabel(drawable(f"score, {explanation.unit or 'no unit'}"), **plain())
    ax.set_title(drawable(f"{headline(explanation)}  {method_name(explanation)}"), **plain(loc="left"))
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return cast("Figure", ax.figure)


def tokens_figure(explanation: Explanation) -> Figure:
    """The text as a picture: words on their colour, wrapped, with question, legend and what is left unexplained."""
    return Sheet(explanation.words()).draw()


def save_tokens(explanation: Explanation, path: str | os.PathLike[str]) -> None:
    """Write `tokens_figure` as PNG or SVG, by the suffix of `path`. The same input writes the same bytes."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidInput(
            f"cannot tell the picture's format from {str(path)!r}: the suffix is {suffix or 'missing'}. "
            f"Allowed are {' and '.join(SUFFIXES)}. For a page, use `to_html`."
        )
    from matplotlib import rc_context

    figure = tokens_figure(explanation)
    dpi = min(DPI, PIXELS / figure.get_size_inches().max())
    stamp: dict[str, Any] = {"Date": None, "Creator": None} if suffix == ".svg" else {"Software": None}
    # Settings of the user's own, such as a cropped bounding box, would change what is written.
    with rc_context({"svg.hashsalt": "xai_nlp", "svg.fonttype": "path", "savefig.bbox": None}):
        figure.savefig(path, format=suffix[1:], dpi=dpi, metadata=stamp, facecolor="white")


def _shortened(token: str) -> str:
    shown = drawable(token)
    return shown if len(shown) <= LETTERS else shown[: LETTERS - 1] + "…"
