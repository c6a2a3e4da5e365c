"""Views of time series with a score for each value, as in Captum 0.9."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xai_nlp.errors import InvalidInput
from xai_nlp.viz.figure.image_views import bar_under, normalised, sign_colours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

SERIES = ("overlay_individual", "overlay_combined", "colored_graph")


def draw_series(
    axes: Sequence[Axes],
    scores: np.ndarray,
    data: np.ndarray,
    *,
    at: np.ndarray,
    method: str,
    sign: str,
    names: Sequence[str] | None,
    outlier_perc: float,
    cmap: str | Colormap | None,
    alpha: float,
    colour_bar: bool,
    title: str | None,
    **line: Any,
) -> None:
    """Draw channels (C, N) over `at` (N,), each on axes of its own, or all on one with their scores added up."""
    from matplotlib import colormaps

    combined = method == "overlay_combined"
    strengths = normalised(scores.sum(0) if combined else scores, sign, outlier_perc)
    tint = sign_colours(sign, cmap)
    if combined:
        axes[0].set_prop_cycle(color=colormaps["Dark2"].colors)  # type: ignore[attr-defined]
        _spans(axes[0], at, tint.to_rgba(strengths), alpha)
    for channel, values in enumerate(data):
        name = names[channel] if names else None
        if combined:
            axes[0].plot(at, values, label=name, **line)
            continue
        if method == "colored_graph":
            _coloured(axes[channel], at, values, strengths[channel], tint, line)
        else:
            axes[channel].plot(at, values, **line)
            _spans(axes[channel], at, tint.to_rgba(strengths[channel]), alpha)
        if name is not None:
            axes[channel].set_ylabel(name)
    if combined and names:
        axes[0].legend(loc="best")
    for ax in axes:
        ax.set_xlim(at[0], at[-1])
    axes[0].figure.subplots_adjust(hspace=0)
    if colour_bar:
        bar_under(axes[-1], tint, pad=0.4, alpha=1.0 if method == "colored_graph" else alpha)
    if title:
        axes[0].set_title(title)


def _spans(ax: Axes, at: np.ndarray, colours: np.ndarray, alpha: float) -> None:
    """Draw a column of colour around each value."""
    half = (at[1] - at[0]) / 2
    for x, colour in zip(at, colours, strict=True):
        ax.axvspan(x - half, x + half, facecolor=colour, edgecolor=None, alpha=alpha)


def _coloured(
    ax: Axes, at: np.ndarray, values: np.ndarray, strengths: np.ndarray, tint: Any, line: dict[str, Any]
) -> None:
    """Draw the line itself in colours."""
    from matplotlib.collections import LineCollection

    points = np.stack([at, values], axis=1)
    segments: Any = np.stack([points[:-1], points[1:]], axis=1)
    collection = LineCollection(segments, cmap=tint.cmap, norm=tint.norm, **line)
    collection.set_array(strengths)
    ax.add_collection(collection)
    ax.set_ylim(1.2 * values.min(), 1.2 * values.max())


def checked(scores: Any, data: Any, at: Any, channels_last: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores and series as (C, N), and the positions of their values, (N,). Raises InvalidInput if they do not fit."""
    scores, data = np.asarray(scores), np.asarray(data)
    if scores.ndim != 2 or scores.shape != data.shape:
        raise InvalidInput(f"scores and data are matrices of one shape; got {scores.shape} and {data.shape}.")
    if channels_last:
        scores, data = scores.T, data.T
    if data.shape[1] < 2:
        raise InvalidInput(f"a series has at least two values; got {data.shape[1]}.")
    at = np.arange(data.shape[1]) if at is None else np.asarray(at)
    if at.shape != data.shape[1:]:
        raise InvalidInput(f"`x_values` names every point of the series; got {at.shape} for {data.shape[1]} points.")
    return scores, data, at
