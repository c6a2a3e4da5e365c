"""Views of an image with a score for each pixel: heat map, blended, masked and so on, on any axes.

Views and arithmetic are those of Captum 0.9 (`captum.attr.visualization.visualize_image_attr`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xai_nlp.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

VIEWS = ("heat_map", "blended_heat_map", "original_image", "masked_image", "alpha_scaling")
UNSIGNED = ("masked_image", "alpha_scaling")  # views that cannot tell for from against

#: sign → (part of the scores, colours, lower end of the scale)
SIGNS: dict[str, tuple[Any, Any, float]] = {
    "positive": (lambda scores: np.maximum(scores, 0), "Greens", 0.0),
    "absolute_value": (np.abs, "Blues", 0.0),
    "negative": (lambda scores: -np.minimum(scores, 0), "Reds", 0.0),
    "all": (lambda scores: scores, ("red", "white", "green"), -1.0),
}


def normalised(scores: np.ndarray, sign: str = "all", outlier_perc: float = 2) -> np.ndarray:
    """Scores of one sign over a threshold, clipped to [−1, 1]; negative ones alone are turned positive.

    outlier_perc: the largest scores that make up this share of Σ|score|, in percent, all become 1.

    >>> normalised(np.array([[1.0, -2.0], [4.0, 0.0]]), "all", 0).tolist()
    [[0.25, -0.5], [1.0, 0.0]]
    """
    part, _, _ = _entry("sign", sign, SIGNS)
    if not 0 <= outlier_perc <= 100:
        raise InvalidInput(f"`outlier_perc` is a percentage; got {outlier_perc}, it must be between 0 and 100.")
    if not np.isfinite(scores).all():
        raise InvalidInput("the scores are not finite, so there is no scale to draw them on.")
    selected = part(scores)
    sizes = np.sort(np.abs(selected), axis=None)
    if not sizes.size or sizes[-1] == 0:
        return np.zeros_like(selected, dtype=float)
    sums = np.cumsum(sizes)
    share = min(sums[-1] * 0.01 * (100.0 - outlier_perc), sums[-1])  # rounding must not exceed the total
    threshold = sizes[np.argmax(sums >= share)]
    if threshold == 0:
        raise InvalidInput(f"with outlier_perc={outlier_perc} every score but 0 is an outlier; choose a smaller one.")
    return np.clip(selected / threshold, -1, 1)


def draw_view(
    ax: Axes,
    scores: np.ndarray | None,
    image: np.ndarray | None = None,
    *,
    method: str = "heat_map",
    sign: str = "absolute_value",
    outlier_perc: float = 2,
    cmap: str | Colormap | None = None,
    alpha: float = 0.5,
    colour_bar: bool = False,
    title: str | None = None,
) -> None:
    """Draw one of VIEWS on `ax`.

    scores: (H, W), or (H, W, C), whose channels are added up; "original_image" needs none.
    image: (H, W), (H, W, 1) or (H, W, 3); 0–1 or 0–255.
    """
    _entry("view", method, dict.fromkeys(VIEWS))
    colours: Any = sign_colours(sign, cmap)
    if image is None and method != "heat_map":
        raise InvalidInput(f"the view {method!r} shows the image: give it, or draw a 'heat_map'.")
    if method in UNSIGNED and sign == "all":
        raise InvalidInput(f"the view {method!r} cannot tell for from against; choose one of the other signs.")
    if scores is None and method != "original_image":
        raise InvalidInput(f"the view {method!r} shows scores; got None.")
    flat = np.zeros((1, 1)) if scores is None else np.asarray(scores)
    strengths = flat if scores is None else normalised(flat.sum(2) if flat.ndim == 3 else flat, sign, outlier_perc)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks_position("none")
        axis.set_ticklabels([])
    ax.grid(visible=False)
    mapped = None
    if method in ("heat_map", "blended_heat_map"):
        if image is not None and method == "blended_heat_map":
            pixels = _pixels(image)
            ax.imshow(pixels.mean(2) if pixels.ndim == 3 else pixels, cmap="gray")
        opacity = alpha if method == "blended_heat_map" else None
        mapped = ax.imshow(strengths, cmap=colours.cmap, norm=colours.norm, alpha=opacity)
    elif image is not None:
        ax.imshow(_altered(_pixels(image), strengths, method), cmap="gray" if np.squeeze(image).ndim == 2 else None)
    if colour_bar:
        bar_under(ax, mapped)
    if title:
        ax.set_title(title)


def _altered(pixels: np.ndarray, strengths: np.ndarray, method: str) -> np.ndarray:
    """The image itself, or darkened or transparent where scores are small."""
    if method == "original_image":
        return pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if method == "masked_image":
        return _bytes(pixels * (strengths if pixels.ndim == 2 else strengths[:, :, None]))
    colours = np.repeat(pixels.reshape(*pixels.shape[:2], -1), 3 if pixels.size == strengths.size else 1, axis=2)
    return np.concatenate([colours, _bytes(strengths[:, :, None] * 255)], axis=2)


def _pixels(image: np.ndarray) -> np.ndarray:
    """The image in 0–255."""
    return _bytes(image * 255) if np.max(image) <= 1.0 else image


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(values.astype(int), 0, 255)


def sign_colours(sign: str, cmap: str | Colormap | None = None) -> ScalarMappable:
    """The colours of a sign's scores, on a scale up to 1; `cmap` instead of Captum's."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    _, colours, low = _entry("sign", sign, SIGNS)
    if cmap is None:
        cmap = colours if isinstance(colours, str) else LinearSegmentedColormap.from_list("RdWhGn", colours)
    return ScalarMappable(Normalize(low, 1), cmap)


def bar_under(ax: Axes, mapped: Any, *, pad: float = 0.1, alpha: float | None = None) -> Axes:
    """A colour bar under the view; an empty place without colours, so that neighbouring views align."""
    from mpl_toolkits.axes_grid1 import make_axes_locatable

    place = make_axes_locatable(ax).append_axes("bottom", size="5%", pad=pad)
    if mapped is None:
        place.axis("off")
    else:
        ax.figure.colorbar(mapped, orientation="horizontal", cax=place, alpha=alpha)
    return place


def draw_mask_border(
    ax: Axes, mask: np.ndarray, border_width: int = 1, border_color: str | np.ndarray = "black"
) -> None:
    """Draw the edge of a region, inside it: the pixels that erosion removes. mask: (H, W), true in the region."""
    from matplotlib.colors import to_rgba
    from scipy.ndimage import binary_erosion

    if mask.any():
        edge = mask & ~binary_erosion(mask, iterations=border_width)
        colour = to_rgba(border_color) if isinstance(border_color, str) else border_color
        ax.imshow(edge[:, :, None] * np.asarray(colour).reshape(1, 1, -1))


def draw_mask_legend(
    ax: Axes,
    mask: np.ndarray,
    label: str,
    fontsize: int = 10,
    text_color: str = "white",
    bbox_facecolor: str = "black",
    bbox_alpha: float = 0.6,
) -> None:
    """Write a name in the middle of a region. mask: (H, W), true in the region."""
    if mask.any():
        y, x = np.argwhere(mask).mean(0)
        box = {"boxstyle": "round,pad=0.2", "facecolor": bbox_facecolor, "alpha": bbox_alpha}
        ax.text(x, y, label, color=text_color, fontsize=fontsize, ha="center", va="center", bbox=box)


def _entry(kind: str, name: str, table: dict[str, Any]) -> Any:
    if name not in table:
        raise UnknownName(kind, name, table)
    return table[name]


# Axes ---------------------------------------------------------------------------------------------------


def panels(
    count: int, *, fig_size: tuple[float, float], pyplot: bool, upright: bool = False, axes: Any = None
) -> tuple[Figure, list[Axes]]:
    """A figure and its axes side by side, or one above the other: `axes` (figure, axes), pyplot's, or new ones."""
    if axes is not None:
        figure, own = axes
        return figure, list(np.atleast_1d(np.asarray(own, dtype=object)))
    if pyplot:
        from matplotlib import pyplot as plt

        figure = plt.figure(figsize=fig_size)
    else:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        FigureCanvasAgg(figure := Figure(figsize=fig_size))
    rows, columns = (count, 1) if upright else (1, count)
    return figure, list(figure.subplots(rows, columns, squeeze=False, sharex=upright).flat)


def show() -> None:
    """Show pyplot's figures on the screen."""
    from matplotlib import pyplot as plt

    plt.show()
