"""The original text, cut into scored pieces and what lies between them: joined, the pieces are the text again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.core.spans import Span


@dataclass(frozen=True)
class Piece:
    """A stretch of the original text, and the tokens that it shows."""

    text: str
    members: tuple[int, ...] = ()  # indices of tokens; none for text between tokens
    score: float = 0.0  # their sum
    starts: bool = True  # stands after white space or at the beginning
    ends: bool = True  # stands before white space or at the end


def pieces(explanation: Explanation, segment: int) -> list[Piece]:
    """One segment as pieces whose texts add up to it exactly.

    White space at the edges of a token is left outside. Tokens that share their characters (bytes of one emoji) become
    one piece with their sum, since a text can be shown only once.
    """
    text = explanation.segments[segment]
    cut: list[Piece] = []
    at = 0
    for (start, end), members in _owners(explanation, segment):
        if start > at:
            cut.append(Piece(text[at:start]))
        score = math.fsum(explanation.scores[i] for i in members)
        starts = start == 0 or text[start - 1].isspace()
        ends = end == len(text) or text[end].isspace()
        cut.append(Piece(text[start:end], members, score, starts, ends))
        at = end
    return [*cut, Piece(text[at:])] if at < len(text) else cut


def in_answer(explanation: Explanation, segment: int, cut: Sequence[Piece]) -> list[bool]:
    """Which pieces of a segment belong to the answer that is explained."""
    if explanation.answer is None or explanation.answer[0] != segment:
        return [False] * len(cut)
    _, (start, end) = explanation.answer
    ends = list(accumulate(len(piece.text) for piece in cut))
    inside = [at - len(p.text) < end and at > start and bool(p.members) for p, at in zip(cut, ends, strict=True)]
    known = [n for n, is_inside in enumerate(inside) if is_inside]
    return [bool(known) and known[0] <= n <= known[-1] for n in range(len(cut))]


def apart(explanation: Explanation) -> list[int]:
    """The tokens that stand for no characters: special ones, and those with an empty span."""
    return [
        i
        for i, (segment, span) in enumerate(zip(explanation.segment, explanation.offsets, strict=True))
        if segment == SPECIAL or _empty(_clamped(span, explanation.segments[segment]))
    ]


def _owners(explanation: Explanation, segment: int) -> list[tuple[Span, tuple[int, ...]]]:
    """Spans in the order of the text, that do not overlap, and the tokens each one shows."""
    text = explanation.segments[segment]
    spans = [
        (_trimmed(span, text), i)
        for i, (s, offsets) in enumerate(zip(explanation.segment, explanation.offsets, strict=True))
        if s == segment and not _empty(span := _clamped(offsets, text))
    ]
    owners: list[tuple[Span, tuple[int, ...]]] = []
    for (start, end), i in sorted(spans):
        previous = owners[-1][0][1] if owners else 0
        if owners and end <= previous:
            owners[-1] = (owners[-1][0], (*owners[-1][1], i))
        else:
            owners.append(((max(start, previous), end), (i,)))
    return owners


def _clamped(span: Span, text: str) -> Span:
    start, end = (min(max(0, at), len(text)) for at in span)
    return start, end


def _empty(span: Span) -> bool:
    return span[0] >= span[1]


def _trimmed(span: Span, text: str) -> Span:
    """The span without white space at its edges; a token that is nothing but white space keeps it."""
    start, end = span
    inner = text[start:end]
    if not inner.strip():
        return span
    return start + len(inner) - len(inner.lstrip()), end - (len(inner) - len(inner.rstrip()))


def all_scores(explanation: Explanation) -> tuple[float, ...]:
    """Those of the tokens and of the image's regions, which are on one scale."""
    return explanation.scores + (explanation.image.scores if explanation.image else ())


def ranks(scores: Sequence[float]) -> list[int]:
    """The place of each by |score|, 1 for the strongest; the first of equals goes first."""
    order = sorted(range(len(scores)), key=lambda i: -abs(scores[i]))
    places = [0] * len(scores)
    for place, i in enumerate(order, start=1):
        places[i] = place
    return places


def strongest(explanation: Explanation, top: int | None = None) -> list[int]:
    """The tokens with the largest |score|, strongest first, without special ones and zeros."""
    known = [i for i, s in enumerate(explanation.segment) if s != SPECIAL and explanation.scores[i] != 0]
    return sorted(known, key=lambda i: -abs(explanation.scores[i]))[:top]
