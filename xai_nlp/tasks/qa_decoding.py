"""Question-answering decoding: from start and end logits to answers, which are spans of the context."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from xai_nlp.core.spans import Span, as_span
from xai_nlp.errors import InvalidInput
from xai_nlp.models.tokenization import TokenWindow

CONTEXT = 1  # the segment that answers are cut from
LONGEST = 30  # tokens of an answer
AnswerChoice = str | Span  # an answer that a user names: its text, or its characters


@dataclass(frozen=True)
class QAAnswer:
    """A span of the context with its score and probability; the empty text stands for "no answer"."""

    text: str
    span: Span | None  # characters of the context; None for no answer
    score: float  # start logit + end logit
    probability: float  # among all allowed stretches of all windows; NaN for one that was given
    window: int  # which of the question's windows
    start: int  # token of that window
    end: int  # token of that window, included


@dataclass(frozen=True)
class QAOutput:
    """The output of a question-answering model for one question: its windows, and the logits of each."""

    question: str
    context: str
    windows: tuple[TokenWindow, ...]
    logits: tuple[Tensor, ...]  # (2, L) each, start and end, on the CPU

    @property
    def no_answer_score(self) -> float:
        """Start and end logit of the first token, in the window that believes least in "no answer"."""
        return min(float(of_window[:, 0].sum()) for of_window in self.logits)

    def answers(self, *, best: int = 20, longest: int = LONGEST, unanswerable: bool = False) -> list[QAAnswer]:
        """The best answers, the best first: start ≤ end, at most `longest` tokens, inside the context.

        Probabilities are over every allowed stretch of every window, a stretch that two windows see counted once, by
        its better score; with `unanswerable` also over "no answer", which is start and end at the first token. Raises
        InvalidInput where there is nothing to choose from.
        """
        spans: dict[Span, tuple[float, int, int, int]] = {}
        for window, (row, of_window) in enumerate(zip(self.windows, self.logits, strict=True)):
            for score, start, end in _allowed(row, of_window, longest):
                span = (int(row.offsets[start][0]), int(row.offsets[end][1]))
                if span not in spans or score > spans[span][0]:
                    spans[span] = (score, window, start, end)
        ranked = sorted(spans.items(), key=lambda item: (-item[1][0], item[0]))
        scores = [score for _, (score, *_) in ranked] + [self.no_answer_score] * unanswerable
        if not scores:
            raise InvalidInput("the context has no word that could be an answer.")
        top = max(scores)
        total = math.fsum(math.exp(score - top) for score in scores)
        share = lambda score: math.exp(score - top) / total  # noqa: E731
        answers = [
            QAAnswer(self.context[slice(*span)], span, score, share(score), *place)
            for span, (score, *place) in ranked[:best]
        ]
        if unanswerable:
            least = min(range(len(self.logits)), key=lambda w: float(self.logits[w][:, 0].sum()))
            answers.append(QAAnswer("", None, self.no_answer_score, share(self.no_answer_score), least, 0, 0))
        return sorted(answers, key=lambda answer: -answer.score)[:best]

    def locate(self, answer: AnswerChoice, *, window: int | None = None) -> QAAnswer:
        """A user's answer, at the place, in the window (or the one named), that the model gives most to.

        Raises InvalidInput if the context does not hold it, or no window holds it whole.
        """
        spans, located = _places(answer, self.context), []
        for w in range(len(self.windows)) if window is None else [window]:
            row, logits = self.windows[w], self.logits[w]
            for a, b in spans:
                touched = (row.segment == CONTEXT) & (row.offsets[:, 0] < b) & (row.offsets[:, 1] > a)
                inside = touched.nonzero()[0].tolist()
                if inside and row.offsets[inside[0]][0] <= a and row.offsets[inside[-1]][1] >= b:
                    span = (int(row.offsets[inside[0]][0]), int(row.offsets[inside[-1]][1]))
                    score = float(logits[0, inside[0]] + logits[1, inside[-1]])
                    text = self.context[slice(*span)]
                    located.append(QAAnswer(text, span, score, math.nan, w, inside[0], inside[-1]))
        if not located:
            raise InvalidInput(
                f"no window of the context holds {answer!r} whole; use larger windows (max_length, stride)."
            )
        return max(located, key=lambda answer: answer.score)


def _allowed(row: TokenWindow, logits: Tensor, longest: int) -> list[tuple[float, int, int]]:
    """(score, start, end) of every stretch of the context in this window."""
    inside = torch.from_numpy((row.segment == CONTEXT) & (row.offsets[:, 1] > row.offsets[:, 0]))
    sums = logits[0][:, None].double() + logits[1][None, :].double()  # (L, L)
    places = torch.arange(len(row))
    gap = places[None] - places[:, None]
    allowed = inside[:, None] & inside[None] & (gap >= 0) & (gap < min(longest, len(row)))
    starts, ends = allowed.nonzero(as_tuple=True)
    return list(zip(sums[starts, ends].tolist(), starts.tolist(), ends.tolist(), strict=True))


def _places(answer: AnswerChoice, context: str) -> list[Span]:
    """Where the answer stands in the context, as characters."""
    if not isinstance(answer, str):
        start, end = as_span(answer, "an answer")
        if not 0 <= start < end <= len(context):
            raise InvalidInput(f"an answer's characters lie within 0 and {len(context)}; got {answer}.")
        return [(start, end)]
    places, at = [], context.find(answer) if answer.strip() else -1
    while at >= 0:
        places.append((at, at + len(answer)))
        at = context.find(answer, at + 1)
    if not places:
        raise InvalidInput(f"the context does not hold the answer {answer[:60]!r}; give it letter for letter.")
    return places
