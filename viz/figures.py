"""The image of an explanation as a figure: its regions as the page shows them, or as heat maps, masks and the like."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_nlp.core.image import ImageAttribution
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput, UnknownName, UnreadableFile
from xai_nlp.viz.canvas import colour_map, drawable, figure_of, fraction, save_figure, worded
from xai_nlp.viz.outlines import loops, shrunk
from xai_nlp.viz.pieces import all_scores
from xai_nlp.viz.scale import LIGHT, peak, strength
from xai_nlp.viz.views import SIGNS, VIEWS, bar_under, draw_view
from xai_nlp.viz.wording import headline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REGIONS = "regions"  # the view of the page; the others are Captum's
FAINT = 0.4  # of the grey image is left under the regions
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
    """The image with its regions: "regions" as on the page, or one of `views.VIEWS` over its pixels.

    Regions are on one scale with the words; the other views on one of their own, which `outlier_perc` cuts off.
    Raises InvalidInput for an explanation without an image, UnknownName for another view or sign.
    """
    picture = _picture(explanation)
    for kind, name, known in (("view", method, (REGIONS, *VIEWS)), ("sign", sign, tuple(SIGNS))):
        if name not in known:
            raise UnknownName(kind, name, known)
    if method == REGIONS:
        _draw_regions(explanation, picture, ax, sign, opacity, colour_bar)
        if title:
            ax.set_title(drawable(title), **worded())
        return
    pixels = decoded(picture)
    draw_view(
        ax, region_map(picture, pixels.shape[:2]), pixels, method=method, sign=sign, outlier_perc=outlier_perc,
        cmap=_colours(sign), alpha=opacity, colour_bar=colour_bar, title=title and drawable(title),
    )  # fmt: skip


def image_figure(
    explanation: Explanation, methods: Sequence[str] = ("original_image", REGIONS), **options: Any
) -> Figure:
    """Several views of `draw_image` beside each other, as a figure of its own."""
    width, height = _picture(explanation).size
    figure = figure_of(0.8 + SIDE * min(height / width, 1.6), width=(SIDE + 0.2) * len(methods))
    figure.set_layout_engine("constrained")
    for ax, method in zip(figure.subplots(1, len(methods), squeeze=False).flat, methods, strict=True):
        draw_image(explanation, ax, method=method, title=method.replace("_", " "), **_suited(method, options))
    figure.suptitle(drawable(headline(explanation)), **worded())
    return figure


def save_image(
    explanation: Explanation,
    path: str | os.PathLike[str],
    methods: Sequence[str] = ("original_image", REGIONS),
    **options: Any,
) -> None:
    """Write `image_figure` as PNG or SVG, by the suffix of `path`."""
    save_figure(partial(image_figure, explanation, methods, **options), path)


def decoded(picture: ImageAttribution) -> np.ndarray:
    """The image's pixels, (height, width, 3), 0–255. Raises UnreadableFile."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(picture.data)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise UnreadableFile(f"the image of this explanation cannot be drawn: {error}.") from None


def region_map(picture: ImageAttribution, shape: tuple[int, int]) -> np.ndarray:
    """The score of each pixel’s region, (rows, columns): of those that overlap the smallest; 0 where none is."""
    found = np.zeros(shape)
    if picture.shapes is not None:
        raster = picture.shapes.numpy().astype(int)
        rows, columns = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(shape, raster.shape, strict=True))
        raster = raster[np.ix_(rows, columns)]
        inside = (raster >= 0) & (raster < len(picture.scores))
        found[inside] = np.asarray(picture.scores)[raster[inside]]
        return found
    across, down = shape[1] / picture.size[0], shape[0] / picture.size[1]
    boxes = np.asarray(picture.boxes).reshape(-1, 4)
    for r in np.argsort(-(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), kind="stable"):
        left, top, right, bottom = boxes[r] * (across, down, across, down)
        found[round(top) : max(round(bottom), round(top) + 1), round(left) : max(round(right), round(left) + 1)] = (
            picture.scores[r]
        )
    return found


def _picture(explanation: Explanation) -> ImageAttribution:
    if explanation.image is None:
        raise InvalidInput("this explanation has no image; explain a question about one with image=….")
    return explanation.image


def _suited(method: str, options: dict[str, Any]) -> dict[str, Any]:
    """A view that cannot tell for from against shows how much, where nothing else is asked for."""
    return {"sign": "absolute_value" if method in ("masked_image", "alpha_scaling") else "all", **options}


def _colours(sign: str) -> Any:
    """The page's colours for a sign; grey for sizes."""
    from matplotlib.colors import LinearSegmentedColormap

    if sign == "all":
        return colour_map()
    ends = {"positive": LIGHT.positive, "negative": LIGHT.negative, "absolute_value": LIGHT.soft}
    return LinearSegmentedColormap.from_list(sign, [fraction(LIGHT.card), fraction(ends[sign])])


def _draw_regions(
    explanation: Explanation, picture: ImageAttribution, ax: Axes, sign: str, opacity: float, colour_bar: bool
) -> None:
    """The image grey and faint, and each region's outline in the colour of its score; dashed against."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    width, height = picture.size
    grey = decoded(picture) @ (0.299, 0.587, 0.114)
    ax.imshow(255 - FAINT * (255 - grey), cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
    largest = peak(all_scores(explanation))
    for corners, score in _outlined(picture):
        kept = {"positive": max(score, 0), "negative": min(score, 0)}.get(sign, score)
        alpha = opacity * strength(kept, largest)
        if not corners or not kept:
            continue
        codes = [code for loop in corners for code in (Path.MOVETO, *[Path.LINETO] * (len(loop) - 1), Path.CLOSEPOLY)]
        points = [point for loop in corners for point in (*loop, loop[0])]
        fill = (0.6 if picture.grid is None and picture.shapes is None else 1.0) * alpha
        ends = LIGHT.negative if kept < 0 else LIGHT.positive
        style: Any = (0, (3, 2)) if kept < 0 else "-"
        shape = Path(points, codes)
        ax.add_patch(PathPatch(shape, facecolor=(*fraction(ends), fill), edgecolor="none"))
        line = (*fraction(LIGHT.line(kept)), alpha)
        ax.add_patch(PathPatch(shape, facecolor="none", edgecolor=line, linewidth=0.9, linestyle=style))
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    ax.axis("off")
    if colour_bar:
        bar = bar_under(ax, ScalarMappable(Normalize(-(largest or 1), largest or 1), colour_map()))
        bar.set_xlabel(drawable(explanation.unit or "no unit"), **worded())


def _outlined(picture: ImageAttribution) -> list[tuple[list[list[tuple[float, float]]], float]]:
    """Each region's outline in pixels, and its score; what is small comes last."""
    if picture.shapes is not None:
        raster = shrunk(picture.shapes.numpy())
        across, down = picture.size[0] / raster.shape[1], picture.size[1] / raster.shape[0]
        return [
            ([[(c * across, r * down) for c, r in loop] for loop in loops(raster == n)], score)
            for n, score in enumerate(picture.scores)
        ]
    order = sorted(range(len(picture.boxes)), key=lambda r: -_area(picture.boxes[r]))
    found = []
    for r in order:
        left, top, right, bottom = picture.boxes[r]
        found.append(([[(left, top), (right, top), (right, bottom), (left, bottom)]], picture.scores[r]))
    return found


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
