"""The layout of an explanation on a sheet: positions of words, colour boxes, lines and image frames, in inches.

It draws nothing: `viz/figure/plots.py` turns the items into matplotlib artists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xai_nlp.core.result import Explanation
from xai_nlp.viz.text import wording
from xai_nlp.viz.text.number_format import MINUS, percent, signed, unsigned
from xai_nlp.viz.text.scale import LIGHT, RGB
from xai_nlp.viz.text.text_marks import own_peaks
from xai_nlp.viz.text.text_spans import TextSpan, in_answer, text_spans, tokens_without_text

WIDTH = 8.0  # inches, as all lengths here but font sizes
MARGIN = 0.4
LINE = 0.36  # from one line of the text to the next
BLANK = 0.08  # between words; a coloured word reaches 0.03 into it
GUTTER = 0.2  # between the image and its regions
TALLEST = 4.2  # height of an image
SIZE, SMALL, LARGE = 12.0, 9.0, 14.0  # points
RAMP = 40  # steps of the legend's ramp on each side of zero


@dataclass(frozen=True)
class TextRun:
    """Text whose baseline starts at (x, y); y counts from the top."""

    x: float
    y: float
    text: str
    size: float
    colour: RGB
    bold: bool = False


@dataclass(frozen=True)
class FilledBox:
    """A filled rectangle, (x, y) its lower left corner."""

    x: float
    y: float
    width: float
    height: float
    colour: RGB


@dataclass(frozen=True)
class ImageFrame:
    """The place of a view of the image, (x, y) its upper left corner."""

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


class TextLayout:
    """Items placed from the top left corner down; `height` is the sheet's."""

    def __init__(self, words: Explanation, measure: Measure, drawable: Callable[[str], str]) -> None:
        self.words = words
        self.measure, self.drawable = measure, drawable
        self.peak, self.image_peak = own_peaks(words)
        self.x, self.y = MARGIN, MARGIN + 0.15
        self.items: list[TextRun | FilledBox | Stroke] = []
        self.frames: list[ImageFrame] = []
        self._head()
        for segment, name in enumerate(wording.segment_names(words)):
            if name:
                self._line(name, SMALL, LIGHT.soft)
            spans = text_spans(words, segment)
            for span, inside in zip(spans, in_answer(words, segment, spans), strict=True):
                self._span(span, bold=inside)
            self._break(LINE * 1.25)
        self._specials()
        self._image()
        self._legend()
        self.height = self.y + MARGIN - 0.1

    def _head(self) -> None:
        colours = {"em": LIGHT.accent, "p": LIGHT.positive_line, "n": LIGHT.negative_line}
        blank, gap = BLANK * LARGE / SIZE, False
        for text, kind in wording.sentence([self.words]):
            gap = gap or text[:1].isspace()
            for n, word in enumerate(self.drawable(text).split()):
                self.x += blank * (self.x > MARGIN and (gap or n > 0))
                self._word(word, LARGE, colour=colours.get(kind, LIGHT.ink), bold=True)
            gap = text[-1:].isspace()
        self._break(0.32)
        baseline = wording.baseline_name(self.words)
        about = [wording.method_name(self.words), self.words.model, baseline and f"compared with {baseline}"]
        self._line(" · ".join(filter(None, about)), SMALL, LIGHT.soft)
        self.y += 0.1

    def _span(self, span: TextSpan, bold: bool) -> None:
        if span.members:
            self._word(self.drawable(span.text), SIZE, span.score, (span.starts, span.ends), bold=bold)
            return
        for n, line in enumerate(span.text.split("\n")):
            if n:
                self._break(LINE)
            for m, word in enumerate(line.split()):
                self.x += BLANK * (m > 0)
                self._word(self.drawable(word), SIZE)
            self.x += BLANK * sum(character.isspace() for character in line)

    def _specials(self) -> None:
        specials = tokens_without_text(self.words)
        if not specials:
            return
        self._word("added by the tokenizer", SMALL, colour=LIGHT.soft)
        for i in specials:
            score = self.words.scores[i]
            self.x += 3 * BLANK
            self._word(self.drawable(self.words.tokens[i]), SMALL, score)
            self.x += BLANK
            self._word(signed(score, self.peak or None), SMALL, colour=LIGHT.soft)
        self._break(0.34)

    def _image(self) -> None:
        """The image and its regions side by side, as large as fits."""
        image = self.words.image
        if image is None:
            return
        across, down = image.size
        width = (WIDTH - 2 * MARGIN - GUTTER) / 2
        height = min(width * down / across, TALLEST)
        for n, view in enumerate(("original_image", "regions")):
            x = MARGIN + n * (width + GUTTER)
            self.frames.append(ImageFrame(x, self.y - 0.1, min(width, height * across / down), height, view))
        self.y += height + 0.25
        shares = " · ".join(f"{name} {percent(share)}" for name, share in self.words.shares.items())
        if shares and self.words.tokens:
            self._line(f"of all that counts: {shares}", SMALL, LIGHT.soft)

    def _legend(self) -> None:
        if self.peak or self.image_peak:
            peak = self.peak or self.image_peak
            self._word(f"against {MINUS}{unsigned(peak)}", SMALL, colour=LIGHT.soft)
            self.x += 2 * BLANK
            for n in range(-RAMP, RAMP + 1):
                self.items.append(FilledBox(self.x, self.y + 0.01, 0.021, 0.11, LIGHT.colour(n, RAMP)))
                self.x += 0.02
            self.x += 2 * BLANK
            unit = f"unit: {self.words.unit}" if self.words.unit else "no unit"
            image = f"; the image has a scale of its own, up to {unsigned(self.image_peak)}"
            per = f"+{unsigned(peak)} for · {unit}{image * bool(self.peak and self.image_peak)}"
            self._line(per, SMALL, LIGHT.soft)
        else:
            self._line("every score is 0: nothing counts for or against", SMALL, LIGHT.soft)
        residual = wording.unexplained(self.words)
        if self.words.method:
            self._line(f"{residual.value} {residual.label}" if residual else wording.NOT_COMPLETE, SMALL, LIGHT.soft)
        self._break(-0.28)

    def _line(self, text: str, size: float, colour: RGB) -> None:
        """A paragraph of its own, broken between words."""
        for n, word in enumerate(self.drawable(text).split()):
            self.x += BLANK * size / SIZE * (n > 0)
            self._word(word, size, colour=colour)
        self._break(0.28)

    def _word(
        self,
        text: str,
        size: float,
        score: float = 0.0,
        edges: tuple[bool, bool] = (True, True),
        colour: RGB = LIGHT.ink,
        bold: bool = False,
    ) -> None:
        """One word on its colour; a word wider than the sheet is broken in the middle."""
        width = self.measure(text, size, bold)
        if width > WIDTH - 2 * MARGIN and len(text) > 1:
            middle = len(text) // 2
            self._word(text[:middle], size, score, (edges[0], True), colour, bold)
            self._word(text[middle:], size, score, (True, edges[1]), colour, bold)
            return
        if self.x + width > WIDTH - MARGIN and self.x > MARGIN:
            self._break(LINE if size == SIZE else 0.022 * size)
        if score:
            self._colour(width, size / SIZE, score, edges)
        self.items.append(TextRun(self.x, self.y, text, size, colour, bold))
        self.x += width

    def _colour(self, width: float, size: float, score: float, edges: tuple[bool, bool]) -> None:
        """The colour behind a word and the line under it, solid for, dashed against: grey paper tells them apart."""
        left, right = (0.03 * edge for edge in edges)
        x, low, wide = self.x - left, self.y + 0.06 * size, left + width + right
        self.items.append(FilledBox(x, low, wide, 0.225 * size, LIGHT.colour(score, self.peak)))
        self.items.append(Stroke(x, low, wide, LIGHT.faded_line(score, self.peak), dashed=score < 0))

    def _break(self, step: float) -> None:
        self.x, self.y = MARGIN, self.y + step
