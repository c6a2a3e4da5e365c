"""Examples as lines of a table: what each is, what the model said, what was strongest; each leads to its example."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from xai_nlp.core.result import Explanation
from xai_nlp.viz.digits import unsigned, with_unit
from xai_nlp.viz.pieces import all_scores, strongest
from xai_nlp.viz.scale import peak
from xai_nlp.viz.wording import gold_of, output_text, shortened

LISTED = 90  # characters of a text


@dataclass(frozen=True)
class Entry:
    """An example in a table."""

    id: str
    text: str
    prediction: str
    output: str  # how much the model gave to it
    level: float  # the same, to sort by
    gold: str
    right: bool | None
    largest: str  # |score|
    size: float  # the same, to sort by
    strongest: str  # word


def entry(number: int, items: Sequence[Explanation], words: Sequence[Explanation]) -> Entry:
    """The line of an example. number: its place, from 1; words: its explanations over words."""
    first = items[0]
    size = max(peak(all_scores(merged)) for merged in words)
    foremost = strongest(words[0], 1) if words[0].tokens else []
    return Entry(
        id=entry_id(number, first),
        text=shortened(" · ".join(" ".join(text.split()) for text in first.segments), LISTED) or f"example {number}",
        prediction=first.prediction,
        output=output_text(first, first.prediction) if first.outputs else "",
        level=first.outputs.get(first.prediction, 0.0),
        gold=gold_of(first),
        right=first.correct,
        largest=with_unit(unsigned(size), first.unit),
        size=size,
        strongest=words[0].tokens[foremost[0]] if foremost else "",
    )


def entry_id(number: int, item: Explanation) -> str:
    """Where a link to the example leads: the same for the same input.

    >>> entry_id(1, type("Item", (), {"segments": ("a film",), "model": "m"})())
    'e1-b10e9b'
    """
    told = "\0".join((*item.segments, item.model)).encode("utf-8", "surrogatepass")
    return f"e{number}-{hashlib.sha256(told).hexdigest()[:6]}"
