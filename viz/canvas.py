"""What every figure starts from: a figure of its own, and text that is drawn as it stands."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from xai_nlp.viz.scale import RGB

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 8.0  # inches

#: Looked through in this order for a character; the first comes with matplotlib, the others where they are installed.
FAMILIES = (
    "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "PingFang SC", "Hiragino Sans",
    "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Noto Sans Devanagari", "Noto Sans Thai", "Arial Unicode MS",
)  # fmt: skip
MISSING = "□"
# Joiners and variation selectors say how their neighbours look; without a glyph there is nothing to draw.
_INVISIBLE = frozenset("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\ufe0e\ufe0f")


def figure_of(height: float) -> Figure:
    """An empty figure, `height` inches high; pyplot, which keeps every figure alive, is not involved."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plain(**more: Any) -> dict[str, Any]:
    """Options of every text: a `$` is a dollar, and fonts are those that `drawable` looked into."""
    return {"parse_math": False, "usetex": False, "family": list(_fonts()), **more}


def drawable(text: str) -> str:
    """The text with □ for what no font here can draw: matplotlib would warn, and draw much the same.

    >>> drawable("one\\ttwo\\x1b")
    'one two□'
    """
    known = _known()
    return "".join(
        " " if c.isspace() else "" if c in _INVISIBLE else c if c.isprintable() and ord(c) in known else MISSING
        for c in text
    )


def fraction(colour: RGB) -> tuple[float, float, float]:
    """The colour as matplotlib takes it."""
    red, green, blue = (value / 255 for value in colour)
    return red, green, blue


@lru_cache(maxsize=1)
def _fonts() -> dict[str, frozenset[int]]:
    """The families that are here, and the characters each can draw."""
    from matplotlib import font_manager

    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    here = [family for family in FAMILIES if family in installed]
    return {family: frozenset(font_manager.get_font(font_manager.findfont(family)).get_charmap()) for family in here}


@lru_cache(maxsize=1)
def _known() -> frozenset[int]:
    return frozenset().union(*_fonts().values())
