"""The basis of every figure: an empty sheet, fonts that can draw a text, the colour map, files."""

from __future__ import annotations

import io
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from xai_nlp.core.files import write_file
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.text.scale import LIGHT, RGB

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.text import Text

SUFFIXES = (".png", ".svg")
WIDTH = 8.0  # inches of a sheet
DPI = 200
FINE = 600  # dots per inch at which words are measured
PIXELS = 2**16 - 1  # Agg draws no higher image; a longer text gets a coarser one

#: Fonts in order of preference; the first comes with matplotlib, the others are used where they are installed.
FAMILIES = (
    "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "PingFang SC", "Hiragino Sans",
    "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Noto Sans Devanagari", "Noto Sans Thai", "Arial Unicode MS",
)  # fmt: skip
MISSING = "□"
# Joiners and variation selectors change their neighbours; they have no glyph of their own.
_INVISIBLE = frozenset("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\ufe0e\ufe0f")


def save_figure(draw: Callable[[], Figure], path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG or SVG, by the suffix of `path`; the same figure gives the same bytes.

    Raises InvalidInput for another suffix, before it calls `draw`.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidInput(
            f"cannot tell the image's format from {str(path)!r}: the suffix is {suffix or 'missing'}. "
            f"Allowed are {' and '.join(SUFFIXES)}. For a page, use `to_html`."
        )
    write_file(Path(path), figure_file(draw(), suffix))


def figure_file(figure: Figure, suffix: str) -> bytes:
    """The contents of a file with the figure, in the format of `suffix`."""
    from matplotlib import rc_context

    dpi = min(DPI, PIXELS / figure.get_size_inches().max())
    stamp: dict[str, Any] = {"Date": None, "Creator": None} if suffix == ".svg" else {"Software": None}
    # The user's own settings, such as a cropped bounding box, would change the file.
    with rc_context({"svg.hashsalt": "xai_nlp", "svg.fonttype": "path", "savefig.bbox": None}):
        figure.savefig(content := io.BytesIO(), format=suffix[1:], dpi=dpi, metadata=stamp, facecolor="white")
    return content.getvalue()


def colour_map(sign: str = "all") -> Colormap:
    """The page's colours, zero in the middle (vmin = −vmax); or those of one sign, grey for absolute values."""
    from matplotlib.colors import LinearSegmentedColormap

    ends = {
        "all": (LIGHT.negative, LIGHT.card, LIGHT.positive),
        "positive": (LIGHT.card, LIGHT.positive),
        "negative": (LIGHT.card, LIGHT.negative),
        "absolute_value": (LIGHT.card, LIGHT.soft),
    }
    return LinearSegmentedColormap.from_list("xai_nlp", [fraction(colour) for colour in ends[sign]])


def measure() -> Callable[[str, float, bool], float]:
    """A function that measures the width of a text in inches, and remembers it.

    It measures at a fine resolution: at a screen's, letters snap to pixels and words stand unevenly.
    """
    figure = figure_of(1.0, width=1.0, dpi=FINE)
    renderer = cast(Any, figure.canvas).get_renderer()

    @cache
    def width(text: str, size: float, bold: bool) -> float:
        artist = text_artist(text, size, bold)
        artist.set_figure(figure)
        return float(artist.get_window_extent(renderer).width) / FINE

    return width


def text_artist(text: str, size: float, bold: bool, **more: Any) -> Text:
    from matplotlib.text import Text

    weight = "bold" if bold else "normal"
    return Text(text=text, fontsize=size, fontweight=weight, verticalalignment="baseline", **text_options(**more))


def figure_of(height: float, width: float = WIDTH, dpi: float = 100) -> Figure:
    """An empty figure; pyplot, which keeps every figure alive, is not involved."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def text_options(**more: Any) -> dict[str, Any]:
    """Options of every text: a `$` is a dollar, and the fonts are those that `drawable` knows."""
    return {"parse_math": False, "usetex": False, "family": _fonts()[0], **more}


def drawable(text: str) -> str:
    """The text with □ for each character that no installed font can draw."""
    _, known = _fonts()
    return "".join(
        " " if c.isspace() else "" if c in _INVISIBLE else c if c.isprintable() and ord(c) in known else MISSING
        for c in text
    )


def fraction(colour: RGB) -> tuple[float, float, float]:
    """The colour as matplotlib takes it."""
    red, green, blue = (value / 255 for value in colour)
    return red, green, blue


@cache
def _fonts() -> tuple[list[str], frozenset[int]]:
    """The installed families, and the characters that they can draw."""
    from matplotlib import font_manager

    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    families = [family for family in FAMILIES if family in installed]
    fonts = (font_manager.get_font(font_manager.findfont(name)) for name in families)
    return families, frozenset().union(*(font.get_charmap() for font in fonts))
