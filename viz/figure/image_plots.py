"""The image of an explanation as a figure: its regions as on the page, or heat maps, masks and the like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_nlp.core.image import ImageAttribution
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.viz.figure.canvas import colour_map, drawable, figure_of, fraction, text_options
from xai_nlp.viz.figure.image_views import SIGNS, UNSIGNED, VIEWS, bar_under, draw_view
from xai_nlp.viz.page.region_outlines import drawing_order, outlines, region_kind
from xai_nlp.viz.text.scale import LIGHT, peak, strength
from xai_nlp.viz.text.wording import headline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REGIONS = "regions"  # the view of the page; the others are Captum's
FAINT = 0.4  # opacity of the grey image under the regions
OPACITY = 0.85
SIDE = 4.0  # inches of a view


def draw_image(
    explanation: Explanation,
    ax: Axes,
    *,
    method: str = REGIONS,
    sign: str = "all",
    outlier_perc: float = 0,
    opacity: float = OPACITY,
    colour_bar: bool = False,
    title: str | None = None,
) -> None:
    """Draw the image with its regions: "regions" as on the page, or one of `image_views.VIEWS` over its pixels.

    The image has a colour scale of its own; `outlier_perc` cuts it off in the other views.
    Raises InvalidInput for an explanation without an image, UnknownName for another view or sign.
    """
    image = _image(explanation)
    for kind, name, known in (("view", method, (REGIONS, *VIEWS)), ("sign", sign, tuple(SIGNS))):
        if name not in known:
            raise UnknownName(kind, name, known)
    if method == REGIONS:
        _draw_regions(image, explanation.unit, ax, sign, opacity, colour_bar)
        if title:
            ax.set_title(drawable(title), **text_options())
        return
    pixels = decoded(image)
    draw_view(
        ax, region_map(image, pixels.shape[:2]), pixels, method=method, sign=sign, outlier_perc=outlier_perc,
        cmap=colour_map(sign), alpha=opacity, colour_bar=colour_bar, title=title and drawable(title),
    )  # fmt: skip


def image_figure(
    explanation: Explanation, methods: Sequence[str] = ("original_image", REGIONS), **options: Any
) -> Figure:
    """Several views of `draw_image` side by side, as a figure of its own.

    Views that cannot tell for from against show absolute values, unless `sign` is named.
    """
    width, height = _image(explanation).size
    figure = figure_of(0.8 + SIDE * min(height / width, 1.6), width=(SIDE + 0.2) * len(methods))
    figure.set_layout_engine("constrained")
    for ax, method in zip(figure.subplots(1, len(methods), squeeze=False).flat, methods, strict=True):
        sign = {"sign": "absolute_value" if method in UNSIGNED else "all", **options}
        draw_image(explanation, ax, method=method, title=method.replace("_", " "), **sign)
    figure.suptitle(drawable(headline(explanation)), **text_options())
    return figure


def decoded(image: ImageAttribution) -> np.ndarray:
    """The image's pixels, (height, width, 3), 0–255. Raises UnreadableFile."""
    return np.asarray(image.picture())


def region_map(image: ImageAttribution, shape: tuple[int, int]) -> np.ndarray:
    """The score of each pixel's region, (rows, columns): the smallest of overlapping ones; 0 outside of all."""
    scores = np.zeros(shape)
    if image.shapes is not None:
        raster = image.shapes.numpy().astype(int)
        rows, columns = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(shape, raster.shape, strict=True))
        raster = raster[np.ix_(rows, columns)]
        inside = (raster >= 0) & (raster < len(image.scores))
        scores[inside] = np.asarray(image.scores)[raster[inside]]
        return scores
    across, down = shape[1] / image.size[0], shape[0] / image.size[1]
    for r in drawing_order(image):
        left, top, right, bottom = map(round, np.multiply(image.boxes[r], (across, down, across, down)).tolist())
        scores[top : max(bottom, top + 1), left : max(right, left + 1)] = image.scores[r]
    return scores


def _image(explanation: Explanation) -> ImageAttribution:
    image: ImageAttribution | None = explanation.image
    if image is None:
        raise InvalidInput("this explanation has no image; explain a question about one with image=….")
    return image


def _draw_regions(image: ImageAttribution, unit: str, ax: Axes, sign: str, opacity: float, colour_bar: bool) -> None:
    """Draw the image grey and faint, and each region in the colour of its score, with a dashed outline against."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    width, height = image.size
    grey = decoded(image) @ (0.299, 0.587, 0.114)
    ax.imshow(255 - FAINT * (255 - grey), cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
    largest = peak(image.scores)
    loops, unit_size = outlines(image)
    for r in drawing_order(image):
        score = image.scores[r]
        part = {"positive": max(score, 0), "negative": min(score, 0)}.get(sign, score)
        alpha = opacity * strength(part, largest)
        if not loops[r] or not part:
            continue
        fill = (0.6 if region_kind(image) == "boxes" else 1.0) * alpha
        end = LIGHT.negative if part < 0 else LIGHT.positive
        style: Any = (0, (3, 2)) if part < 0 else "-"
        closed = [Path(np.multiply([*loop, loop[0]], unit_size), closed=True) for loop in loops[r]]
        shape = Path.make_compound_path(*closed)
        ax.add_patch(PathPatch(shape, facecolor=(*fraction(end), fill), edgecolor="none"))
        line = (*fraction(LIGHT.line(part)), alpha)
        ax.add_patch(PathPatch(shape, facecolor="none", edgecolor=line, linewidth=0.9, linestyle=style))
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    ax.axis("off")
    if colour_bar:
        bar = bar_under(ax, ScalarMappable(Normalize(-(largest or 1), largest or 1), colour_map()))
        bar.set_xlabel(drawable(unit or "no unit"), **text_options())
