"""Explanations as figures for a paper or a slide. matplotlib is imported only when one is drawn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.digits import signed, unsigned
from xai_nlp.viz.pieces import Piece, apart, pieces, strongest
from xai_nlp.viz.scale import LIGHT, RGB, peak
from xai_nlp.viz.wording import NO_PROMISE, headline, method_name, segment_names, unexplained

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")
WIDTH = 8.0  # inches
DPI = 200
LINE = 0.36  # inches from one line of text to the next
SIZE = 12.0  # points

#: Looked through in this order for a character; the first comes with matplotlib, the others where they are installed.
FAMILIES = (
    "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "PingFang SC", "Hiragino Sans",
    "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Noto Sans Devanagari", "Noto Sans Thai", "Arial Unicode MS",
)  # fmt: skip
MISSING = "□"
# Joiners and variation selectors say how their neighbours look; without a glyph there is nothing to draw.
_INVISIBLE = frozenset("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\ufe0e\ufe0f")


def bars(explanation: Explanation, *, top: int | None = None, ax: Axes | None = None) -> Figure:
    """Horizontal bars, a token each: in the order of the text, or the `top` strongest, strongest first."""
    if top is not None and top < 1:
        raise InvalidInput(f"`top` counts tokens to draw; got {top}, it must be 1 or more. Leave it out to draw all.")
    shown = range(len(explanation.tokens)) if top is None else strongest(explanation, top)
    scores = [explanation.scores[i] for i in shown]
    if ax is None:
        ax = _figure(1.1 + 0.28 * max(1, len(scores))).subplots()
    ax.barh(range(len(scores)), scores, color=[_unit(LIGHT.line(score)) for score in scores], height=0.72)
    names = [_drawable(explanation.tokens[i]) for i in shown]
    ax.set_yticks(range(len(scores)), names, **_plain())
    ax.invert_yaxis()
    ax.axvline(0, color=_unit(LIGHT.soft), linewidth=0.8)
    ax.set_xlabel(_drawable(f"score, {explanation.unit or 'no unit'}"), **_plain())
    ax.set_title(_drawable(f"{headline(explanation)}  {method_name(explanation)}"), **_plain(loc="left"))
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return cast("Figure", ax.figure)


def tokens_figure(explanation: Explanation) -> Figure:
    """The text as a picture: words on their colour, wrapped, with question, legend and what is left unexplained."""
    return _Sheet(explanation.words()).figure


def save_tokens(explanation: Explanation, path: str | os.PathLike[str]) -> None:
    """Write `tokens_figure` as PNG or SVG, by the suffix of `path`. The same input writes the same bytes."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidInput(
            f"cannot tell the picture's format from {str(path)!r}: the suffix is {suffix or 'missing'}. "
            f"Allowed are {' and '.join(SUFFIXES)}. For a page, use `to_html`."
        )
    from matplotlib import rc_context

    stamp: dict[str, Any] = {"Date": None, "Creator": None} if suffix == ".svg" else {"Software": None}
    with rc_context({"svg.hashsalt": "xai_nlp", "svg.fonttype": "path"}):
        tokens_figure(explanation).savefig(path, format=suffix[1:], dpi=DPI, metadata=stamp, facecolor="white")


class _Sheet:
    """Lays words out line by line. Lengths are inches from the top left corner."""

    margin = 0.35

    def __init__(self, words: Explanation) -> None:
        self.words = words
        self.peak = peak(words.scores)
        self.figure = _figure(1.0)
        self.x = self.margin
        self.y = self.margin
        self.drawn: list[tuple[Any, float, float]] = []  # artist, x, y: placed once the height is known
        self._all()
        self.figure.set_size_inches(WIDTH, self.y + self.margin)
        for artist, x, y in self.drawn:
            artist.set_position((x / WIDTH, 1 - y / (self.y + self.margin)))

    def _all(self) -> None:
        self._line(headline(self.words), size=15, weight="bold", step=0.42)
        self._line(f"{method_name(self.words)} · baseline {self.words.baseline}", size=9, colour=LIGHT.soft, step=0.36)
        for segment, name in enumerate(segment_names(self.words)):
            if name:
                self._line(name, size=9, colour=LIGHT.soft, step=0.3)
            for piece in pieces(self.words, segment):
                self._piece(piece)
            self._break(LINE * 1.2)
        self._specials()
        self._legend()

    def _line(self, text: str, *, size: float, step: float, colour: RGB = LIGHT.ink, weight: str = "normal") -> None:
        for part in _wrapped(_drawable(text), int(WIDTH * 150 / size)):
            self._text(part, size=size, colour=colour, weight=weight)
            self._break(step)

    def _piece(self, piece: Piece) -> None:
        """A word on its colour; text between words line by line, blank by blank."""
        if piece.members:
            for part in _wrapped(_drawable(piece.text), 70):
                self._box(part, piece.score)
            return
        for n, line in enumerate(piece.text.splitlines() or [""]):
            if n:
                self._break(LINE)
            for word in line.split(" "):
                if word:
                    self._box(_drawable(word), 0.0)
                self.x += 0.05
        if piece.text.endswith("\n"):
            self._break(LINE)

    def _box(self, text: str, score: float, size: float = SIZE) -> None:
        artist = self._make(text, size, LIGHT.ink)
        width = self._width(artist)
        if self.x + width > WIDTH - self.margin and self.x > self.margin:
            self._break(LINE)
        if score:
            artist.set_bbox({"facecolor": _unit(LIGHT.colour(score, self.peak)), "edgecolor": "none", "pad": 2.2})
        self.drawn.append((artist, self.x, self.y))
        self.x += width + 0.05

    def _specials(self) -> None:
        marks = apart(self.words)
        if marks:
            self._text("added by the tokenizer", size=9, colour=LIGHT.soft)
        for i in marks:
            score = self.words.scores[i]
            self._box(_drawable(self.words.tokens[i]), score, size=9)
            self._text(signed(score, self.peak or None), size=9, colour=LIGHT.soft)
        if marks:
            self._break(LINE)

    def _legend(self) -> None:
        unit = self.words.unit or "no unit"
        if self.peak:
            self._box(f"−{unsigned(self.peak)} against", -self.peak, size=9)
            self.x += 0.08
            self._box(f"+{unsigned(self.peak)} for", self.peak, size=9)
            self._text(_drawable(f"{unit}, per word"), size=9, colour=LIGHT.soft)
        else:
            self._text("every score is 0: nothing counts for or against", size=9, colour=LIGHT.soft)
        left = unexplained(self.words)
        said = f"{left.value} {left.label}" if left else NO_PROMISE
        self._text(_drawable(f"· {said}"), size=9, colour=LIGHT.soft)
        self._break(0.2)

    def _text(self, text: str, *, size: float, colour: RGB, weight: str = "normal") -> None:
        artist = self._make(text, size, colour, weight)
        self.drawn.append((artist, self.x, self.y))
        self.x += self._width(artist) + 0.08

    def _make(self, text: str, size: float, colour: RGB, weight: str = "normal") -> Any:
        return self.figure.text(
            0, 0, text, fontsize=size, color=_unit(colour), fontweight=weight, va="center", ha="left", **_plain()
        )

    def _width(self, artist: Any) -> float:
        renderer = cast(Any, self.figure.canvas).get_renderer()
        return float(artist.get_window_extent(renderer).width) / self.figure.dpi

    def _break(self, step: float) -> None:
        self.x, self.y = self.margin, self.y + step


def _figure(height: float) -> Figure:
    """A figure of its own: pyplot, which keeps every figure alive, is not involved."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=100, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _plain(**more: Any) -> dict[str, Any]:
    """Options of every text: a `$` is a dollar, and fonts are those that `_drawable` looked into."""
    return {"parse_math": False, "usetex": False, "family": list(_fonts()), **more}


@lru_cache(maxsize=1)
def _fonts() -> dict[str, frozenset[int]]:
    """The families that are here, and the characters each can draw."""
    from matplotlib import font_manager

    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    here = [family for family in FAMILIES if family in installed]
    return {family: frozenset(font_manager.get_font(font_manager.findfont(family)).get_charmap()) for family in here}


def _drawable(text: str) -> str:
    """The text with □ for what no font here can draw: matplotlib would warn, and draw much the same."""
    known: frozenset[int] = frozenset().union(*_fonts().values())
    drawn = (
        character if ord(character) in known and character.isprintable() else "" if character in _INVISIBLE else MISSING
        for character in text.replace("\n", " ").replace("\t", " ")
    )
    return "".join(drawn)


def _wrapped(text: str, width: int) -> Sequence[str]:
    return [text[at : at + width] for at in range(0, len(text), width)] or [""]


def _unit(colour: RGB) -> tuple[float, float, float]:
    red, green, blue = (value / 255 for value in colour)
    return red, green, blue
