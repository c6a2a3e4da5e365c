"""A text laid out line by line for a picture: what is drawn where, and nothing about how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xai_nlp.core.result import Explanation
from xai_nlp.viz.digits import MINUS, percent, signed, unsigned
from xai_nlp.viz.pieces import Piece, all_scores, apart, in_answer, pieces
from xai_nlp.viz.scale import LIGHT, RGB, peak
from xai_nlp.viz.wording import NO_PROMISE, headline, method_name, segment_names, target_name, unexplained

WIDTH = 8.0  # inches, as all lengths here but font sizes
MARGIN = 0.4
LINE = 0.36  # from one line of the text to the next
BLANK = 0.08  # between words; a coloured word reaches 0.03 into it
ASIDE = 0.2  # between the image and its regions
TALLEST = 4.2  # of an image
SIZE, SMALL, LARGE = 12.0, 9.0, 16.0  # points
RAMP = 40  # steps of the legend's ramp on each side of zero


@dataclass(frozen=True)
class Words:
    """Text whose baseline starts at (x, y); y counts from the top."""

    x: float
    y: float
    text: str
    size: float
    colour: RGB
    bold: bool = False


@dataclass(frozen=True)
class Box:
    """A filled rectangle, (x, y) its lower left corner."""

    x: float
    y: float
    width: float
    height: float
    colour: RGB


@dataclass(frozen=True)
class Frame:
    """Where a view of the image goes, (x, y) its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    view: str


@dataclass(frozen=True)
class Stroke:
    """A line to the right of (x, y)."""

    x: float
    y: float
    width: float
    colour: RGB
    dashed: bool


Measure = Callable[[str, float, bool], float]  # text, size, bold -> width


class Sheet:
    """Puts words down from the top left corner; how high the sheet is, is known at the end."""

    def __init__(self, words: Explanation, measure: Measure, drawable: Callable[[str], str]) -> None:
        self.words = words
        self.measure, self.drawable = measure, drawable
        self.peak = peak(all_scores(words))
        self.x, self.y = MARGIN, MARGIN + 0.15
        self.marks: list[Words | Box | Stroke] = []
        self.frames: list[Frame] = []
        self._head()
        for segment, name in enumerate(segment_names(self.words)):
            if name:
                self._line(name, SMALL, LIGHT.soft)
            cut = pieces(self.words, segment)
            for piece, answers in zip(cut, in_answer(self.words, segment, cut), strict=True):
                self._piece(piece, bold=answers)
            self._break(LINE * 1.25)
        self._specials()
        self._image()
        self._legend()
        self.height = self.y + MARGIN - 0.1

    def _head(self) -> None:
        self._line(headline(self.words), LARGE, LIGHT.ink, bold=True)
        self.y -= 0.06
        about = f"{method_name(self.words)} · target {target_name(self.words.target)} · baseline {self.words.baseline}"
        self._line(about, SMALL, LIGHT.soft)
        self.y += 0.1

    def _piece(self, piece: Piece, bold: bool) -> None:
        if piece.members:
            self._word(self.drawable(piece.text), SIZE, piece.score, (piece.starts, piece.ends), bold=bold)
            return
        for n, line in enumerate(piece.text.split("\n")):
            if n:
                self._break(LINE)
            for m, word in enumerate(line.split()):
                self.x += BLANK * (m > 0)
                self._word(self.drawable(word), SIZE)
            self.x += BLANK * sum(character.isspace() for character in line)

    def _specials(self) -> None:
        marks = apart(self.words)
        if not marks:
            return
        self._word("added by the tokenizer", SMALL, colour=LIGHT.soft)
        for i in marks:
            score = self.words.scores[i]
            self.x += 3 * BLANK
            self._word(self.drawable(self.words.tokens[i]), SMALL, score)
            self.x += BLANK
            self._word(signed(score, self.peak or None), SMALL, colour=LIGHT.soft)
        self._break(0.34)

    def _image(self) -> None:
        """The image and its regions beside each other, as large as fits."""
        if self.words.image is None:
            return
        across, down = self.words.image.size
        width = (WIDTH - 2 * MARGIN - ASIDE) / 2
        height = min(width * down / across, TALLEST)
        for n, view in enumerate(("original_image", "regions")):
            self.frames.append(
                Frame(MARGIN + n * (width + ASIDE), self.y - 0.1, min(width, height * across / down), height, view)
            )
        self.y += height + 0.25
        shares = " · ".join(f"{name} {percent(share)}" for name, share in self.words.shares.items())
        if shares:
            self._line(f"of all that was scored: {shares}", SMALL, LIGHT.soft)

    def _legend(self) -> None:
        if self.peak:
            self._word(f"against {MINUS}{unsigned(self.peak)}", SMALL, colour=LIGHT.soft)
            self.x += 2 * BLANK
            for n in range(-RAMP, RAMP + 1):
                self.marks.append(Box(self.x, self.y + 0.01, 0.021, 0.11, LIGHT.colour(n, RAMP)))
                self.x += 0.02
            self.x += 2 * BLANK
            unit = f"unit: {self.words.unit}" if self.words.unit else "no unit"
            self._word(
                self.drawable(f"+{unsigned(self.peak)} for · {unit}, per word{' and region' * bool(self.words.image)}"),
                SMALL,
                colour=LIGHT.soft,
            )
        else:
            self._word("every score is 0: nothing counts for or against", SMALL, colour=LIGHT.soft)
        self._break(0.28)
        left = unexplained(self.words)
        self._line(f"{left.value} {left.label}" if left else NO_PROMISE, SMALL, LIGHT.soft)
        self._break(-0.28)

    def _line(self, text: str, size: float, colour: RGB, bold: bool = False) -> None:
        """A paragraph of its own, broken between words."""
        for n, word in enumerate(self.drawable(text).split()):
            self.x += BLANK * size / SIZE * (n > 0)
            self._word(word, size, colour=colour, bold=bold)
        self._break(0.28 + 0.1 * (size > SIZE))

    def _word(
        self,
        text: str,
        size: float,
        score: float = 0.0,
        edges: tuple[bool, bool] = (True, True),
        colour: RGB = LIGHT.ink,
        bold: bool = False,
    ) -> None:
        """One word, on its colour; one that is wider than the sheet is broken anywhere."""
        width = self.measure(text, size, bold)
        room = WIDTH - 2 * MARGIN
        if width > room and len(text) > 1:
            middle = len(text) // 2
            self._word(text[:middle], size, score, (edges[0], True), colour, bold)
            self._word(text[middle:], size, score, (True, edges[1]), colour, bold)
            return
        if self.x + width > WIDTH - MARGIN and self.x > MARGIN:
            self._break(LINE * size / SIZE)
        if score:
            self._mark(width, size / SIZE, score, edges)
        self.marks.append(Words(self.x, self.y, text, size, colour, bold))
        self.x += width

    def _mark(self, width: float, size: float, score: float, edges: tuple[bool, bool]) -> None:
        """The colour behind a word and the line under it: whole for, dashed against, so that grey tells them apart."""
        left, right = (0.03 * edge for edge in edges)
        x, low, wide = self.x - left, self.y + 0.06 * size, left + width + right
        self.marks.append(Box(x, low, wide, 0.225 * size, LIGHT.colour(score, self.peak)))
        self.marks.append(Stroke(x, low, wide, LIGHT.faded_line(score, self.peak), dashed=score < 0))

    def _break(self, step: float) -> None:
        self.x, self.y = MARGIN, self.y + step
