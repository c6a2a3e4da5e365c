"""Explanations as a table: one row for each token and each region of an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from xai_nlp.core.result import Explanation


class ScoreRow(NamedTuple):
    """One scored token or region, beside what its explanation is about."""

    explanation: int  # its place among the explanations
    method: str
    target: str
    model: str
    unit: str
    kind: str  # "token" or "region"
    text: str  # the token, or the region's name
    segment: int | None  # of a token the text that holds it, −1 for special tokens
    start: int | None  # first character in that text
    end: int | None  # the character behind the last one
    score: float


def score_rows(explanations: Iterable[Explanation], first: int = 0) -> Iterator[ScoreRow]:
    """A row for each token and region; explanations are counted from `first`."""
    for number, item in enumerate(explanations, first):
        about = (number, item.method, str(item.target), item.model, item.unit)
        for token, segment, span, score in zip(item.tokens, item.segment, item.offsets, item.scores, strict=True):
            yield ScoreRow(*about, "token", token, segment, *span, score)
        if item.image is not None:
            for name, score in zip(item.image.names, item.image.scores, strict=True):
                yield ScoreRow(*about, "region", name, None, None, None, score)
