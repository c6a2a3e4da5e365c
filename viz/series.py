"""Views of time series and a score for each of their values. The views are those of Captum 0.9."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xai_nlp.errors import InvalidInput
from xai_nlp.viz.views import SIGNS, normalised

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
    """Channels (C, N) over `at`, each on axes of its own, or all on one with their scores added up."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    together = method == "overlay_combined"
    shown = normalised(scores.sum(0) if together else scores, sign, outlier_perc)
    _, colours, low = SIGNS[sign]
    if cmap is None:
        cmap = colours if isinstance(colours, str) else LinearSegmentedColormap.from_list("RdWhGn", colours)
    tint = ScalarMappable(Normalize(low, 1), colormaps[cmap] if isinstance(cmap, str) else cmap)
    if together:
        axes[0].set_prop_cycle(color=colormaps["Dark2"].colors)  # type: ignore[attr-defined]
        _spans(axes[0], at, tint.to_rgba(shown), alpha)
    for channel, values in enumerate(data):
        name = names[channel] if names else None
        if together:
            axes[0].plot(at, values, label=name, **line)
            continue
        if method == "colored_graph":
            _coloured(axes[channel], at, values, shown[channel], tint, line)
        else:
            axes[channel].plot(at, values, **line)
            _spans(axes[channel], at, tint.to_rgba(shown[channel]), alpha)
        if name is not None:
            axes[channel].set_ylabel(name)
    if together and names:
        axes[0].legend(loc="best")
    for ax in axes:
        ax.set_xlim(at[0], at[-1])
    axes[0].figure.subplots_adjust(hspace=0)
    if colour_bar:
        from mpl_toolkits.axes_grid1 import make_axes_locatable

        place = make_axes_locatable(axes[-1]).append_axes("bottom", size="5%", pad=0.4)
        opaque = 1.0 if method == "colored_graph" else alpha
        axes[0].figure.colorbar(tint, orientation="horizontal", cax=place, alpha=opaque)
    if title:
        axes[0].set_title(title)


def _spans(ax: Axes, at: np.ndarray, colours: np.ndarray, alpha: float) -> None:
    """A column of colour around each value."""
    half = (at[1] - at[0]) / 2
    for x, colour in zip(at, colours, strict=True):
        ax.axvspan(x - half, x + half, facecolor=colour, edgecolor=None, alpha=alpha)


def _coloured(ax: Axes, at: np.ndarray, values: np.ndarray, shown: np.ndarray, tint: Any, line: dict[str, Any]) -> None:
    """The line itself in colours."""
    from matplotlib.collections import LineCollection

    points = np.stack([at, values], axis=1)
    segments: Any = np.stack([points[:-1], points[1:]], axis=1)
    pieces = LineCollection(segments, cmap=tint.cmap, norm=tint.norm, **line)
    pieces.set_array(shown)
    ax.add_collection(pieces)
    ax.set_ylim(1.2 * values.min(), 1.2 * values.max())


def checked(scores: Any, data: Any, at: Any, channels_last: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores and series, (C, N), and where their values are, (N,). Raises InvalidInput where they do not fit."""
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
