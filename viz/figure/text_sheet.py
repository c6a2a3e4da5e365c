"""The text of an explanation on a sheet: a figure with words on their colours, a legend, and room for the image."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xai_nlp.core.result import Explanation
from xai_nlp.viz.figure.canvas import WIDTH, drawable, figure_of, fraction, measure, text_artist
from xai_nlp.viz.text.number_format import percent
from xai_nlp.viz.text.scale import LIGHT
from xai_nlp.viz.text.text_lines import (
    Run,
    about,
    legend_runs,
    promise,
    sentence_runs,
    special_runs,
    text_runs,
)
from xai_nlp.viz.text.text_marks import own_peaks
from xai_nlp.viz.text.wording import segment_names

if TYPE_CHECKING:
    from matplotlib.transforms import Bbox

MARGIN = 0.4  # inches, as all lengths here but font sizes
LINE = 0.36  # from one line of the text to the next
BLANK = 0.08  # between words of the text; a coloured word reaches 0.03 into it
GUTTER = 0.2  # between the image and its regions
TALLEST = 4.2  # height of an image
SIZE, SMALL, LARGE = 12.0, 9.0, 14.0  # points
RAMP = 20  # steps of the legend's ramp on each side of zero


class TextSheet:
    """Words placed on `figure` from the top left corner down; `frames` are free for views of the image.

    frames: name of the view -> its box, (x0, y0) the upper left corner; y counts from the top.

    words: an explanation over words; width_of: text, size, bold -> width.
    """

    def __init__(self, words: Explanation, width_of: Callable[[str, float, bool], float] | None = None) -> None:
        from matplotlib.transforms import Affine2D

        self.figure, self.width_of = figure_of(1.0), width_of or measure()
        self.lift = Affine2D()  # places y = 0 at the top, once the height is known
        self.inches = self.lift + self.figure.dpi_scale_trans
        largest, of_image = own_peaks(words)
        self.peak = largest or of_image
        self.x, self.y = MARGIN, MARGIN + 0.15
        self.frames: dict[str, Bbox] = {}
        self._line(sentence_runs(words), LARGE, below=0.38)
        for segment, name in enumerate(segment_names(words)):
            self._note([name])
            self._line(text_runs(words, segment), SIZE, below=LINE * 1.25)
        self._line(special_runs(words), SMALL, below=0.34)
        self._image(words)
        self._line(legend_runs(words, RAMP), SMALL)
        self._note(promise(words))
        self._note(about(words))
        self.height = self.y + MARGIN - 0.38
        self.figure.set_size_inches(WIDTH, self.height)
        self.lift.translate(0, self.height)

    def _image(self, words: Explanation) -> None:
        """The image and its regions side by side, as large as fits."""
        from matplotlib.transforms import Bbox

        if words.image is None:
            return
        across, down = words.image.size
        width = (WIDTH - 2 * MARGIN - GUTTER) / 2
        height = min(width * down / across, TALLEST)
        for n, view in enumerate(("original_image", "regions")):
            x = MARGIN + n * (width + GUTTER)
            self.frames[view] = Bbox.from_bounds(x, self.y - 0.1, min(width, height * across / down), height)
        self.y += height + 0.25
        if words.tokens and words.shares:
            shares = " · ".join(f"{name} {percent(share)}" for name, share in words.shares.items())
            self._note([f"of all that counts: {shares}"])

    def _note(self, parts: Iterable[str], below: float = 0.28) -> None:
        """A small line of parts, those that are not empty."""
        self._line([Run(text, "soft") for text in [" · ".join(parts)] if text], SMALL, below)

    def _line(self, runs: Sequence[Run], size: float, below: float = 0.28) -> None:
        """Runs, broken between words where they do not fit, and the room below them; nothing without runs."""
        for run in runs:
            for piece in [run.text] if run.score else re.findall(r"\n|[^\S\n]|\S+", run.text):
                if run.score or not piece.isspace():
                    self._word(drawable(piece), run, size)
                elif piece == "\n":
                    self._break(LINE)
                else:
                    self.x += BLANK * size / SIZE
        self._break(below if runs else 0.0)

    def _word(self, text: str, run: Run, size: float) -> None:
        """One word on its colour; a word wider than the sheet is broken in the middle."""
        width = self.width_of(text, size, run.bold)
        if width > WIDTH - 2 * MARGIN and len(text) > 1:
            middle = len(text) // 2
            self._word(text[:middle], replace(run, ends=True), size)
            self._word(text[middle:], replace(run, starts=True), size)
            return
        if self.x + width > WIDTH - MARGIN and self.x > MARGIN:
            self._break(LINE if size == SIZE else 0.022 * size)
        if run.score:
            self._colour(width, run, size / SIZE, line=not text.isspace())
        if not text.isspace():
            style = dict(color=fraction(getattr(LIGHT, run.colour)), transform=self.inches, zorder=2)
            self.figure.add_artist(text_artist(text, size, run.bold, x=self.x, y=-self.y, **style))
        self.x += width

    def _colour(self, width: float, run: Run, size: float, line: bool) -> None:
        """The colour behind a word and the line under it, solid for, dashed against: grey paper tells them apart."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Rectangle

        left, right = self.x - 0.03 * run.starts, self.x + width + 0.03 * run.ends
        low, colour = -self.y - 0.06 * size, fraction(LIGHT.colour(run.score, self.peak))
        box = (left, low), right - left, 0.225 * size
        self.figure.add_artist(Rectangle(*box, facecolor=colour, edgecolor="none", transform=self.inches, zorder=0))
        if line:
            style: Any = (0, (2.5, 1.5)) if run.score < 0 else "-"
            colour = fraction(LIGHT.faded_line(run.score, self.peak))
            ends = [left, right], [low, low]
            self.figure.add_artist(
                Line2D(*ends, color=colour, linewidth=1.2, linestyle=style, transform=self.inches, zorder=1)
            )

    def _break(self, below: float) -> None:
        self.x, self.y = MARGIN, self.y + below
