"""A text as a picture: words on their colours, laid out line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from xai_nlp.core.result import Explanation
from xai_nlp.viz.canvas import WIDTH, drawable, figure_of, fraction, plain
from xai_nlp.viz.digits import MINUS, signed, unsigned
from xai_nlp.viz.pieces import Piece, apart, pieces
from xai_nlp.viz.scale import LIGHT, RGB, peak
from xai_nlp.viz.wording import NO_PROMISE, headline, method_name, segment_names, unexplained

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN = 0.4  # inches, as all lengths here but font sizes
LINE = 0.36  # from one line of the text to the next
BLANK = 0.055
SIZE, SMALL, LARGE = 12.0, 9.0, 16.0  # points
RAMP = 40  # steps of the legend's ramp


class Sheet:
    """Puts words down from the top left corner; how high the sheet is, is known at the end."""

    def __init__(self, words: Explanation) -> None:
        self.words = words
        self.peak = peak(words.scores)
        self.figure = figure_of(1.0)
        self.x, self.y = MARGIN, MARGIN + 0.15
        self.placed: list[tuple[Any, float, float]] = []  # artist, x, y from the top
        self.widths: dict[tuple[str, float, str], float] = {}

    def draw(self) -> Figure:
        """The finished figure."""
        self._head()
        for segment, name in enumerate(segment_names(self.words)):
            if name:
                self._line(name, SMALL, LIGHT.soft)
            for piece in pieces(self.words, segment):
                self._piece(piece)
            self._break(LINE * 1.25)
        self._specials()
        self._legend()
        height = self.y + MARGIN - 0.1
        self.figure.set_size_inches(WIDTH, height)
        for artist, x, y in self.placed:
            artist.set(x=x, y=height - y)
        return self.figure

    def _head(self) -> None:
        self._line(headline(self.words), LARGE, LIGHT.ink, "bold")
        self.y -= 0.06
        about = f"{method_name(self.words)} · target {self.words.target} · baseline {self.words.baseline}"
        self._line(about, SMALL, LIGHT.soft)
        self.y += 0.1

    def _piece(self, piece: Piece) -> None:
        if piece.members:
            self._word(drawable(piece.text), SIZE, piece.score, (piece.starts, piece.ends))
            return
        for n, line in enumerate(piece.text.split("\n")):
            if n:
                self._break(LINE)
            for m, word in enumerate(line.split()):
                self.x += BLANK * (m > 0)
                self._word(drawable(word), SIZE)
            self.x += BLANK * sum(character.isspace() for character in line)

    def _specials(self) -> None:
        marks = apart(self.words)
        if not marks:
            return
        self._word("added by the tokenizer", SMALL, colour=LIGHT.soft)
        for i in marks:
            score = self.words.scores[i]
            self.x += 3 * BLANK
            self._word(drawable(self.words.tokens[i]), SMALL, score)
            self.x += BLANK
            self._word(signed(score, self.peak or None), SMALL, colour=LIGHT.soft)
        self._break(0.34)

    def _legend(self) -> None:
        if self.peak:
            self._word(f"against {MINUS}{unsigned(self.peak)}", SMALL, colour=LIGHT.soft)
            self.x += 2 * BLANK
            for n in range(-RAMP, RAMP + 1):
                self._rectangle(self.x, 0.02, LIGHT.colour(n, RAMP), -0.01, 0.1)
                self.x += 0.02
            self.x += 2 * BLANK
            unit = f"unit: {self.words.unit}" if self.words.unit else "no unit"
            self._word(drawable(f"+{unsigned(self.peak)} for · {unit}, per word"), SMALL, colour=LIGHT.soft)
        else:
            self._word("every score is 0: nothing counts for or against", SMALL, colour=LIGHT.soft)
        self._break(0.28)
        left = unexplained(self.words)
        self._line(f"{left.value} {left.label}" if left else NO_PROMISE, SMALL, LIGHT.soft)
        self._break(-0.28)

    def _line(self, text: str, size: float, colour: RGB, weight: str = "normal") -> None:
        """A paragraph of its own, broken between words."""
        for n, word in enumerate(drawable(text).split()):
            self.x += BLANK * size / SIZE * (n > 0)
            self._word(word, size, colour=colour, weight=weight)
        self._break(0.28 + 0.1 * (size > SIZE))

    def _word(
        self,
        text: str,
        size: float,
        score: float = 0.0,
        edges: tuple[bool, bool] = (True, True),
        colour: RGB = LIGHT.ink,
        weight: str = "normal",
    ) -> None:
        """One word, on its colour; one that is wider than the sheet is broken anywhere."""
        width = self._width(text, size, weight)
        room = WIDTH - 2 * MARGIN
        if width > room and len(text) > 1:
            middle = len(text) // 2
            self._word(text[:middle], size, score, (edges[0], True), colour, weight)
            self._word(text[middle:], size, score, (True, edges[1]), colour, weight)
            return
        if self.x + width > WIDTH - MARGIN and self.x > MARGIN:
            self._break(LINE * size / SIZE)
        if score:
            self._mark(width, size / SIZE, score, edges)
        self._place(self._text(text, size, colour, weight), self.x, self.y)
        self.x += width

    def _mark(self, width: float, size: float, score: float, edges: tuple[bool, bool]) -> None:
        """The colour behind a word and the line under it: whole for, dashed against, so that grey tells them apart."""
        from matplotlib.lines import Line2D

        left, right = (0.03 * edge for edge in edges)
        x, wide = self.x - left, left + width + right
        self._rectangle(x, wide, LIGHT.colour(score, self.peak), -0.06 * size, 0.165 * size)
        shade = LIGHT.faded_line(score, self.peak)
        stroke = Line2D([0, 1], [0, 0], color=fraction(shade), linewidth=1.2, zorder=0.5)
        stroke.set_linestyle((0, (2.5, 1.5)) if score < 0 else "-")
        stroke.set_transform(self.figure.dpi_scale_trans)
        self.figure.add_artist(stroke)
        self.placed.append((_Stroke(stroke, wide), x, self.y + 0.06 * size))

    def _rectangle(self, x: float, width: float, colour: RGB, low: float, high: float) -> None:
        from matplotlib.patches import Rectangle

        patch = Rectangle((0, 0), width, high - low, facecolor=fraction(colour), edgecolor="none", zorder=0)
        patch.set_transform(self.figure.dpi_scale_trans)
        self.figure.add_artist(patch)
        self._place(patch, x, self.y - low)

    def _place(self, artist: Any, x: float, y: float) -> None:
        self.placed.append((artist, x, y))

    def _text(self, text: str, size: float, colour: RGB, weight: str) -> Any:
        artist = self.figure.text(
            0, 0, text, fontsize=size, color=fraction(colour), fontweight=weight, va="baseline", zorder=1, **plain()
        )
        artist.set_transform(self.figure.dpi_scale_trans)
        return artist

    def _width(self, text: str, size: float, weight: str) -> float:
        """Measured once for each word: asking matplotlib is most of the work."""
        if (text, size, weight) not in self.widths:
            artist = self._text(text, size, LIGHT.ink, weight)
            renderer = cast(Any, self.figure.canvas).get_renderer()
            extent = artist.get_window_extent(renderer)
            self.widths[text, size, weight] = float(extent.width) / self.figure.dpi
            artist.remove()
        return self.widths[text, size, weight]

    def _break(self, step: float) -> None:
        self.x, self.y = MARGIN, self.y + step


class _Stroke:
    """A line that is placed like the other artists, by its left end."""

    def __init__(self, line: Any, width: float) -> None:
        self.line, self.width = line, width

    def set(self, *, x: float, y: float) -> None:
        """Move it there."""
        self.line.set_data([x, x + self.width], [y, y])
