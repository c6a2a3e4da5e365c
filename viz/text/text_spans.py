"""The original text cut into spans, scored ones and those between tokens; joined, they are the text again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.core.spans import Span


@dataclass(frozen=True)
class TextSpan:
    """A stretch of the original text, and the tokens that cover it."""

    text: str
    members: tuple[int, ...] = ()  # indices of tokens; empty for text between tokens
    score: float = 0.0  # sum of the members' scores
    starts: bool = True  # white space or the beginning of the text comes before it
    ends: bool = True  # white space or the end of the text comes after it
    in_answer: bool = False  # it belongs to the answer that is explained


def text_spans(explanation: Explanation, segment: int) -> list[TextSpan]:
    """The spans of one segment, whose texts add up to it exactly.

    White space at the edges of a token is left outside. Tokens that share their characters (bytes of one emoji) become
    one span with their sum, because a text can be shown only once.
    """
    text = explanation.segments[segment]
    pieces: list[tuple[Span, tuple[int, ...]]] = []
    position = 0
    for (start, end), members in _token_spans(explanation, segment):
        pieces += [((position, start), ()), ((start, end), members)]
        position = end
    pieces.append(((position, len(text)), ()))
    of_answer = explanation.answer[1] if explanation.answer and explanation.answer[0] == segment else (0, 0)
    touched = [span for span, members in pieces if members and span[0] < of_answer[1] and span[1] > of_answer[0]]
    first, last = (touched[0][0], touched[-1][1]) if touched else (0, 0)
    return [
        TextSpan(
            text=text[start:end],
            members=members,
            score=math.fsum(explanation.scores[i] for i in members),
            starts=start == 0 or text[start - 1].isspace(),
            ends=end == len(text) or text[end].isspace(),
            in_answer=first <= start and end <= last,
        )
        for (start, end), members in pieces
        if start < end
    ]


def tokens_without_text(explanation: Explanation) -> list[int]:
    """The tokens that cover no characters: special tokens, and those with an empty span."""
    return [
        i
        for i, (segment, span) in enumerate(zip(explanation.segment, explanation.offsets, strict=True))
        if segment == SPECIAL or _trimmed(span, explanation.segments[segment]) is None
    ]


def _token_spans(explanation: Explanation, segment: int) -> list[tuple[Span, tuple[int, ...]]]:
    """Spans in text order that do not overlap, and the tokens of each."""
    text = explanation.segments[segment]
    spans = [
        (span, i)
        for i, (s, offsets) in enumerate(zip(explanation.segment, explanation.offsets, strict=True))
        if s == segment and (span := _trimmed(offsets, text)) is not None
    ]
    merged: list[tuple[Span, tuple[int, ...]]] = []
    for (start, end), i in sorted(spans):
        previous = merged[-1][0][1] if merged else 0
        if merged and end <= previous:
            merged[-1] = (merged[-1][0], (*merged[-1][1], i))
        else:
            merged.append(((max(start, previous), end), (i,)))
    return merged


def _trimmed(span: Span, text: str) -> Span | None:
    """The span cut to the text, without white space at its edges (unless it is all white space); None if empty."""
    start, end = (min(max(0, position), len(text)) for position in span)
    if start >= end:
        return None
    inner = text[start:end]
    if not inner.strip():
        return start, end
    return start + len(inner) - len(inner.lstrip()), end - (len(inner) - len(inner.rstrip()))


def ranks(scores: Sequence[float]) -> list[int]:
    """The rank of each score by |score|, 1 for the largest; the first of equals ranks first."""
    ranks = [0] * len(scores)
    for rank, i in enumerate(sorted(range(len(scores)), key=lambda i: -abs(scores[i])), start=1):
        ranks[i] = rank
    return ranks


def strongest(scores: Sequence[float], top: int | None = None) -> list[int]:
    """The indices of the largest |score|, largest first, without zeros."""
    return sorted((i for i, score in enumerate(scores) if score), key=lambda i: -abs(scores[i]))[:top]


def strongest_words(explanation: Explanation, top: int | None = None) -> list[int]:
    """The tokens with the largest |score|, largest first, without special tokens and zeros."""
    return [i for i in strongest(explanation.scores) if explanation.segment[i] != SPECIAL][:top]
