"""The lines of an explanation that a terminal prints and a figure lays out, as runs of text in one style each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xai_nlp.core.result import Explanation
from xai_nlp.viz.text import wording
from xai_nlp.viz.text.number_format import MINUS, signed, unsigned
from xai_nlp.viz.text.text_marks import own_peaks, scoring_specials
from xai_nlp.viz.text.text_spans import text_spans

#: Kind of a part of a sentence → its colour, a field of `Theme`.
COLOURS = {"em": "accent", "p": "positive_line", "n": "negative_line", "": "ink"}


@dataclass(frozen=True)
class Run:
    """Text in one style."""

    text: str
    colour: str = "ink"  # a field of `Theme`
    bold: bool = False
    score: float = 0.0  # it stands on the colour of this score
    starts: bool = True  # white space or the beginning of the text comes before it
    ends: bool = True  # white space or the end of the text comes after it


def sentence_runs(words: Explanation) -> list[Run]:
    """The sentence about an explanation, bold, its parts in their colours."""
    return bold_runs(wording.sentence([words]))


def bold_runs(sentence: wording.Sentence) -> list[Run]:
    """A sentence, bold, its parts in their colours."""
    return [Run(text, COLOURS[kind], bold=True) for text, kind in sentence]


def about(words: Explanation) -> list[str]:
    """Method, model and baseline, those that are known."""
    baseline = wording.baseline_name(words)
    names = (wording.plain(words.method), words.model, baseline and f"compared with {baseline}")
    return [name for name in names if name]


def text_runs(words: Explanation, segment: int) -> list[Run]:
    """One input text, each word on its colour, the answer bold."""
    return [
        Run(span.text, bold=span.in_answer, score=span.score, starts=span.starts, ends=span.ends)
        for span in text_spans(words, segment)
    ]


def special_runs(words: Explanation) -> list[Run]:
    """The tokens without text that score, each on its colour with its number; [] without any."""
    largest = own_peaks(words)[0]
    runs = [Run("added by the tokenizer:", "soft")]
    for i in scoring_specials(words):
        number = Run(f" {signed(words.scores[i], largest or None)}", "soft")
        runs += [Run("  "), Run(words.tokens[i], score=words.scores[i]), number]
    return runs[1:] and runs


def legend_runs(words: Explanation, ramp: int) -> list[Run]:
    """The ends of the colour scale, and between them `ramp` blanks on each side of zero on their colours."""
    largest, of_image = own_peaks(words)
    peak = largest or of_image
    if not peak:
        return [Run("every score is 0: nothing counts for or against", "soft")]
    image = f"; the image has a scale of its own, up to {unsigned(of_image)}" if words.image and words.tokens else ""
    return [
        Run("against ", "soft"),
        Run(f"{MINUS}{unsigned(peak)} "),
        *(Run(" ", score=n / ramp * peak, starts=n > -ramp, ends=False) for n in range(-ramp, ramp + 1)),
        Run(f" +{unsigned(peak)}"),
        Run(f" for · {f'unit: {words.unit}' if words.unit else 'no unit'}{image}", "soft"),
    ]


def promise(words: Explanation) -> Iterator[str]:
    """What the scores add up to, and how much of it is left unexplained; nothing without a method."""
    if words.method:
        fact, residual = wording.explained_fact(words), wording.unexplained(words)
        yield f"{fact.label} {fact.value}"
        yield f"{residual.label} {residual.value}" if residual else wording.NOT_COMPLETE
