"""From start and end logits to answers: which stretch of the context a question-answering model points at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xai_nlp.core.reduce import Span
from xai_nlp.models.encode import Row

CONTEXT = 1  # the segment that answers are cut from
LONGEST = 30  # tokens of an answer


@dataclass(frozen=True)
class Answer:
    """A stretch of the context, and how much the model gives to it; the empty text where it says there is none."""

    text: str
    span: Span | None  # characters of the context; None for no answer
    score: float  # start logit + end logit
    probability: float  # among all allowed stretches of all windows
    window: int  # which of the example's rows
    start: int  # token of that row
    end: int  # token of that row, included


def decoded(
    rows: Sequence[Row],
    logits: Sequence[Tensor],
    context: str,
    *,
    best: int = 20,
    longest: int = LONGEST,
    unanswerable: bool = False,
) -> list[Answer]:
    """The best answers, the best first: start ≤ end, at most `longest` tokens, inside the context.

    logits: (2, L) of each row, start and end. Probabilities are over every allowed stretch of every window, a stretch
    that two windows see counted once, by its better score; with `unanswerable` also over "no answer", which is start
    and end at the first token, in the window that believes least in it.
    """
    found: dict[tuple[int, int], tuple[float, int, int, int]] = {}
    for window, (row, of_row) in enumerate(zip(rows, logits, strict=True)):
        for score, start, end in _allowed(row, of_row, longest):
            span = (row.offsets[start][0], row.offsets[end][1])
            if span not in found or score > found[span][0]:
                found[span] = (score, window, start, end)
    ranked = sorted(found.items(), key=lambda item: (-item[1][0], item[0]))
    nothing = min((float(of_row[:, 0].sum()), w) for w, of_row in enumerate(logits))
    scores = [score for _, (score, *_) in ranked] + [nothing[0]] * unanswerable
    top = max(scores, default=0.0)
    total = math.fsum(math.exp(score - top) for score in scores)
    share = lambda score: math.exp(score - top) / total  # noqa: E731
    answers = [
        Answer(context[span[0] : span[1]], span, score, share(score), *place) for span, (score, *place) in ranked[:best]
    ]
    if unanswerable:
        answers.append(Answer("", None, nothing[0], share(nothing[0]), nothing[1], 0, 0))
    return sorted(answers, key=lambda answer: -answer.score)[:best]


def no_answer_score(logits: Sequence[Tensor]) -> float:
    """Start and end logit of the first token, in the window that believes least in "no answer"."""
    return min(float(of_row[:, 0].sum()) for of_row in logits)


def _allowed(row: Row, logits: Tensor, longest: int) -> list[tuple[float, int, int]]:
    """(score, start, end) of every stretch of the context in this row."""
    inside = torch.tensor([s == CONTEXT and b > a for s, (a, b) in zip(row.segment, row.offsets, strict=True)])
    sums = logits[0][:, None].double() + logits[1][None, :].double()  # (L, L)
    places = torch.arange(len(row))
    gap = places[None] - places[:, None]
    allowed = inside[:, None] & inside[None] & (gap >= 0) & (gap < longest)
    starts, ends = allowed.nonzero(as_tuple=True)
    return list(zip(sums[starts, ends].tolist(), starts.tolist(), ends.tolist(), strict=True))
