"""Rows of the table that lists all examples: text, prediction, strongest word; each row links to its example."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from xai_nlp.core.result import Explanation
from xai_nlp.viz.text.number_format import unsigned, with_unit
from xai_nlp.viz.text.text_marks import own_peaks
from xai_nlp.viz.text.text_spans import strongest, strongest_words
from xai_nlp.viz.text.wording import output_text, shortened

CHARACTERS = 90  # of a text


@dataclass(frozen=True)
class IndexRow:
    """One example in the table."""

    id: str
    text: str
    prediction: str
    output: str  # the model's output for the prediction
    output_value: float  # sort key of `output`
    gold: str
    correct: bool | None
    largest: str  # largest |score|, with its unit
    size: float  # sort key of `largest`
    strongest: str  # strongest word, or region of an image without a text


def index_row(number: int, items: Sequence[Explanation], words: Sequence[Explanation]) -> IndexRow:
    """The row of an example. number: its place, from 1; items, words: its explanations over tokens and over words."""
    first, image = items[0], items[0].image
    size = max(max(own_peaks(merged)) for merged in words)
    top = strongest_words(words[0], 1)
    alone = image is not None and not first.tokens  # an image without a text
    names = [words[0].tokens[i] for i in top]
    if image is not None and alone:
        names = [image.names[r] for r in strongest(image.scores, 1)]
    return IndexRow(
        id=example_id(number, first),
        text=shortened(" · ".join(" ".join(text.split()) for text in first.segments), CHARACTERS)
        or f"{'image' if alone else 'example'} {number}",
        prediction=first.prediction,
        output=output_text(first, first.prediction) if first.outputs else "",
        output_value=first.outputs.get(first.prediction, 0.0),
        gold=" / ".join(label or "no answer" for label in first.gold),
        correct=first.correct,
        largest=with_unit(unsigned(size), first.unit),
        size=size,
        strongest=names[0] if names else "",
    )


def example_id(number: int, item: Explanation) -> str:
    """The HTML id of an example: the same for the same input.

    >>> example_id(1, type("Item", (), {"segments": ("a film",), "model": "m"})())
    'e1-b10e9b'
    """
    content = "\0".join((*item.segments, item.model)).encode("utf-8", "surrogatepass")
    return f"e{number}-{hashlib.sha256(content).hexdigest()[:6]}"
