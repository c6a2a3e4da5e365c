"""Captum's names for figures of images and time series, and for a table of texts.

`xai_nlp.viz` draws the figures; matplotlib is imported with the first one. Texts are escaped, which Captum's are not: a
token `<script>` is shown, and not run. `xai_nlp.explain` makes pages that show more.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.viz.figure.image_views import draw_mask_border, draw_mask_legend, draw_view, panels, show
from xai_nlp.viz.figure.series_views import SERIES, checked, draw_series

if TYPE_CHECKING:
    from xai_nlp.viz.figure.image_views import Axes, Colormap, Figure

__all__ = [
    "ImageVisualizationMethod",
    "TimeseriesVisualizationMethod",
    "VisualizationDataRecord",
    "VisualizeSign",
    "draw_mask_border",
    "draw_mask_legend",
    "format_classname",
    "format_special_tokens",
    "format_tooltip",
    "format_word_importances",
    "visualize_image_attr",
    "visualize_image_attr_multiple",
    "visualize_text",
    "visualize_timeseries_attr",
]


class ImageVisualizationMethod(Enum):
    """Views of an image."""

    heat_map = 1
    blended_heat_map = 2
    original_image = 3
    masked_image = 4
    alpha_scaling = 5


class TimeseriesVisualizationMethod(Enum):
    """Views of a time series."""

    overlay_individual = 1
    overlay_combined = 2
    colored_graph = 3


class VisualizeSign(Enum):
    """The signs of the scores in a figure."""

    positive = 1
    absolute_value = 2
    negative = 3
    all = 4


# Images --------------------------------------------------------------------------------------------------------------


def visualize_image_attr(
    attr: np.ndarray | None,
    original_image: np.ndarray | None = None,
    method: str = "heat_map",
    sign: str = "absolute_value",
    plt_fig_axis: tuple[Figure, Axes] | None = None,
    outlier_perc: float = 2,
    cmap: str | Colormap | None = None,
    alpha_overlay: float = 0.5,
    show_colorbar: bool = False,
    title: str | None = None,
    fig_size: tuple[float, float] = (6, 6),
    use_pyplot: bool = True,
) -> tuple[Figure, Axes]:
    """One view of an image's attributions: the figure and its axes.

    attr: (H, W, C) or (H, W); None for the original image alone, as in Captum's tutorials. original_image: (H, W, C),
    values 0–1 or 0–255. method: a name of `ImageVisualizationMethod`; sign: of `VisualizeSign`. outlier_perc: the
    largest scores that make up this percentage of their sum have one colour. use_pyplot: show the figure; otherwise it
    is neither shown nor kept by pyplot.
    Raises InvalidInput if a view needs the image, or cannot show both signs; UnknownName for another view or sign.
    """
    figure, (ax, *_) = panels(1, fig_size=fig_size, pyplot=use_pyplot, axes=plt_fig_axis)
    draw_view(
        ax, attr, original_image, method=method, sign=sign, outlier_perc=outlier_perc, cmap=cmap, alpha=alpha_overlay,
        colour_bar=show_colorbar, title=title,
    )  # fmt: skip
    if use_pyplot:
        show()
    return figure, ax


def visualize_image_attr_multiple(
    attr: np.ndarray,
    original_image: np.ndarray | None,
    methods: list[str],
    signs: list[str],
    titles: list[str] | None = None,
    fig_size: tuple[float, float] = (8, 6),
    use_pyplot: bool = True,
    **kwargs: Any,
) -> tuple[Figure, Axes | list[Axes]]:
    """Several views beside each other: the figure and its axes, a list of them for several.

    kwargs: options of `visualize_image_attr` for all of them.
    """
    if len(methods) != len(signs) or (titles is not None and len(titles) != len(methods)):
        counted = f"{len(methods)} methods, {len(signs)} signs" + (f", {len(titles)} titles" if titles else "")
        raise InvalidInput(f"each view needs its sign, and its title where titles are given; got {counted}.")
    figure, axes = panels(len(methods), fig_size=fig_size, pyplot=use_pyplot)
    for n, (ax, method, sign) in enumerate(zip(axes, methods, signs, strict=True)):
        title = titles[n] if titles else None
        visualize_image_attr(
            attr, original_image, method, sign, plt_fig_axis=(figure, ax), title=title, use_pyplot=False, **kwargs
        )
    figure.tight_layout()
    if use_pyplot:
        show()
    return figure, axes[0] if len(axes) == 1 else axes


# Time series ---------------------------------------------------------------------------------------------------------


def visualize_timeseries_attr(
    attr: np.ndarray,
    data: np.ndarray,
    x_values: np.ndarray | None = None,
    method: str = "overlay_individual",
    sign: str = "absolute_value",
    channel_labels: list[str] | None = None,
    channels_last: bool = True,
    plt_fig_axis: tuple[Figure, Axes | list[Axes]] | None = None,
    outlier_perc: float = 2,
    cmap: str | Colormap | None = None,
    alpha_overlay: float = 0.7,
    show_colorbar: bool = False,
    title: str | None = None,
    fig_size: tuple[float, float] = (6, 6),
    use_pyplot: bool = True,
    **pyplot_kwargs: Any,
) -> tuple[Figure, Axes | list[Axes] | np.ndarray]:
    """A time series with its attributions: the figure and its axes, an array of them for several.

    attr, data: (N, C), or (C, N) without `channels_last`. method: a name of `TimeseriesVisualizationMethod`.
    pyplot_kwargs: of the lines. Only the figure's own axes are touched; Captum moves those of the last figure too.
    """
    if method not in SERIES:
        raise UnknownName("view of a time series", method, SERIES)
    if sign not in VisualizeSign.__members__:
        raise UnknownName("sign", sign, VisualizeSign.__members__)
    scores, series, at = checked(attr, data, x_values, channels_last)
    if series.shape[0] > series.shape[1]:
        warnings.warn(
            f"{series.shape[0]} channels of {series.shape[1]} values each: is `channels_last` right?", stacklevel=2
        )
    count = 1 if method == "overlay_combined" else len(series)
    figure, axes = panels(count, fig_size=fig_size, pyplot=use_pyplot, upright=True, axes=plt_fig_axis)
    if len(axes) < count:
        raise InvalidInput(f"{count} channels need as many axes; got {len(axes)}.")
    draw_series(
        axes, scores, series, at=at, method=method, sign=sign, names=channel_labels, outlier_perc=outlier_perc,
        cmap=cmap, alpha=alpha_overlay, colour_bar=show_colorbar, title=title, **pyplot_kwargs,
    )  # fmt: skip
    if use_pyplot:
        show()
    if plt_fig_axis is not None:
        return plt_fig_axis
    return figure, axes[0] if count == 1 else np.array(axes, dtype=object)


# Texts ---------------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class VisualizationDataRecord:
    """A row of the table that `visualize_text` shows."""

    word_attributions: Any  # a number for each token: a tensor, an array, a list
    pred_prob: float
    pred_class: int | str
    true_class: int | str
    attr_class: int | str
    attr_score: float
    raw_input_ids: list[str]
    convergence_score: float


def format_classname(classname: str | int) -> str:
    """A cell with a class in bold."""
    return f'<td><text style="padding-right:2em"><b>{escape(str(classname))}</b></text></td>'


def format_special_tokens(token: str) -> str:
    """`<s>` as `#s`.

    >>> format_special_tokens("<s>"), format_special_tokens("a<b")
    ('#s', 'a<b')
    """
    return "#" + token.strip("<>") if token.startswith("<") and token.endswith(">") else token


def format_tooltip(item: str, text: str) -> str:
    """An item with a text that appears under the pointer, if the page has a style for `tooltiptext`."""
    return f'<div class="tooltip">{escape(item)}        <span class="tooltiptext">{escape(text)}</span>        </div>'


def format_word_importances(words: Sequence[str], importances: Any) -> str:
    """A cell with each word on its colour: green for positive scores, red for negative ones, between −1 and 1."""
    if importances is None or len(importances) == 0:
        return "<td></td>"
    if getattr(importances, "ndim", 1) != 1 or len(words) > len(importances):
        shape = tuple(getattr(importances, "shape", [len(importances)]))
        raise InvalidInput(f"each of the {len(words)} words needs one number; got {shape} of them.")
    marks = (
        f'<mark style="background-color: {_colour(float(importance))}; opacity:1.0; '
        f'                    line-height:1.75"><font color="black"> {escape(format_special_tokens(word))}'
        "                    </font></mark>"
        for word, importance in zip(words, importances[: len(words)], strict=True)
    )
    return f"<td>{''.join(marks)}</td>"


def visualize_text(datarecords: Iterable[VisualizationDataRecord], legend: bool = True) -> Any:
    """The records as a table, displayed in the notebook and returned as IPython's `HTML`.

    Raises Unsupported if IPython is not installed.
    """
    try:
        from IPython.display import HTML, display
    except ImportError:
        raise Unsupported("`visualize_text` shows a table in a notebook and needs ipython: install it.") from None
    heads = ("True Label", "Predicted Label", "Attribution Label", "Attribution Score", "Word Importance")
    rows = ["".join(f"<th>{head}</th>" for head in heads)]
    for record in datarecords:
        predicted, score = f"{record.pred_class} ({record.pred_prob:.2f})", f"{record.attr_score:.2f}"
        cells = map(format_classname, (record.true_class, predicted, record.attr_class, score))
        rows.append("".join(cells) + format_word_importances(record.raw_input_ids, record.word_attributions))
    table = "".join(f"<tr>{row}</tr>" for row in rows)
    shown = HTML((_legend() if legend else "") + f'<table style="width: 100%">{table}</table>')
    display(shown)
    return shown


def _legend() -> str:
    boxes = "".join(
        '<span style="display: inline-block; width: 10px; height: 10px; border: 1px solid; '
        f'background-color: {_colour(value)}"></span> {label}  '
        for value, label in ((-1, "Negative"), (0, "Neutral"), (1, "Positive"))
    )
    style = "border-top: 1px solid; margin-top: 5px; padding-top: 5px; display: inline-block"
    return f'<div style="{style}"><b>Legend: </b>{boxes}</div>'


def _colour(score: float) -> str:
    """Green for positive scores, red for negative ones, darker further from 0."""
    score = max(-1.0, min(1.0, score))
    hue, light = (120, 100 - int(50 * score)) if score > 0 else (0, 100 - int(-40 * score))
    return f"hsl({hue}, 75%, {light}%)"
