"""Question answering: which words of the question and the context drove the start of the answer, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from xai_nlp.core.reduce import Span
from xai_nlp.core.result import Explanation, Explanations
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.state import borrowed
from xai_nlp.models.encode import Row
from xai_nlp.tasks.explainer import Aim, Explainer, How
from xai_nlp.tasks.spans import CONTEXT, LONGEST, Answer, decoded, no_answer_score

UNITS = {"logit": "logit", "probability": "probability", "log-probability": "log-probability"}
TARGETS = ("start", "end", "span")
Given = str | Span  # an answer as the user gives it: its text, or its characters
SHOWN = 8  # answers that an explanation lists


class QuestionAnsweringExplainer(Explainer):
    """Explains any `AutoModelForQuestionAnswering`: the answer it gives, or one that you give."""

    task: ClassVar[str] = "question-answering"
    cut: ClassVar[int | None] = CONTEXT

    def read(self, output: Any) -> Tensor:
        """Start and end logits: (R, 2, L)."""
        return torch.stack([output.start_logits, output.end_logits], 1)

    def explain(
        self,
        question: str | Sequence[str],
        context: str | Sequence[str],
        *,
        target: str | Sequence[str] = "span",
        answer: Given | None = None,
        rather_than: Given | None = None,
        unanswerable: bool = False,
        longest: int = LONGEST,
        **how: Any,
    ) -> Explanation | Explanations:
        """One signed score a token of question and context: how much each drove the answer.

        question, context: a string each, or lists of equal length; one context may serve many questions.
        target: "start", "end", or "span", their sum; several give one explanation each, from the same passes.
        answer: what is explained: the model's own answer if None; a text that stands in the context, or its characters.
        rather_than: another answer; then what is explained is the difference, why this one and not that.
        unanswerable: the model may say that there is no answer (SQuAD 2): start and end at the first token.
        longest: tokens that an answer may have.
        how: the fields of `tasks.explainer.How` (method, baseline, unit, layers, attention, …) and the options of the
            method. A context longer than the model is read in windows; the one with the answer is explained.

        Raises InvalidInput for an empty question or context, a question that leaves no room, or an answer that the
        context does not hold.
        """
        asked = How.of(how)
        names = self._targets(target, asked.unit)
        single = isinstance(question, str) and isinstance(context, str)
        pairs = self._pairs(question, context)

        def aims(rows: list[Row], outputs: list[Tensor]) -> list[Aim]:
            found = []
            for e, pair in enumerate(pairs):
                mine = [r for r, row in enumerate(rows) if row.example == e]
                answers, of_mine = self._answers(rows, outputs, mine, pair[1], unanswerable, longest)
                wanted = answers[0] if answer is None else self._given(answer, rows, outputs, mine, pair[1])
                other = self._other(rather_than, wanted, rows, outputs, mine, pair[1])
                found.append(self._aim(pair, names, asked.unit, mine, answers, wanted, other, of_mine))
            return found

        found = self._explained(pairs, asked, aims)
        one = single and isinstance(target, str) and isinstance(asked.method, str)
        return found[0] if one else found

    def answers(
        self, question: str, context: str, *, best: int = 20, unanswerable: bool = False, longest: int = LONGEST
    ) -> list[Answer]:
        """The best answers with their probabilities, the best first."""
        return self.predict([question], [context], best=best, unanswerable=unanswerable, longest=longest)[0]

    def predict(
        self,
        question: str | Sequence[str],
        context: str | Sequence[str],
        *,
        best: int = 20,
        unanswerable: bool = False,
        longest: int = LONGEST,
        max_length: int | None = None,
        stride: int | None = None,
    ) -> list[list[Answer]]:
        """The best answers to each question, the best first."""
        pairs = self._pairs(question, context)
        with borrowed(self.model, evaluate=True):
            rows = self._encode(pairs, max_length, stride)
            outputs = self._outputs(rows)
        found = []
        for e, (_, text) in enumerate(pairs):
            mine = [r for r, row in enumerate(rows) if row.example == e]
            found.append(self._answers(rows, outputs, mine, text, unanswerable, longest, best)[0])
        return found

    # Encode ---------------------------------------------------------------------------------------------------------

    @staticmethod
    def _pairs(question: str | Sequence[str], context: str | Sequence[str]) -> list[tuple[str, str]]:
        questions = [question] if isinstance(question, str) else list(question)
        contexts = [context] * len(questions) if isinstance(context, str) else list(context)
        if len(questions) != len(contexts) or not questions:
            raise InvalidInput(f"each question needs a context; got {len(questions)} and {len(contexts)}.")
        for name, texts in (("question", questions), ("context", contexts)):
            empty = next((i for i, text in enumerate(texts) if not isinstance(text, str) or not text.strip()), None)
            if empty is not None:
                raise InvalidInput(f"{name} {empty} is empty: a {name} is a text with at least one word.")
        return list(zip(questions, contexts, strict=True))

    # Aim ------------------------------------------------------------------------------------------------------------

    @staticmethod
    def _targets(target: str | Sequence[str], unit: str) -> tuple[str, ...]:
        names = (target,) if isinstance(target, str) else tuple(target)
        for name in names:
            if name not in TARGETS:
                raise UnknownName("target", name, TARGETS, "An answer of your own goes into answer=….")
        if unit not in UNITS:
            raise UnknownName("unit", unit, UNITS)
        if unit == "probability" and "span" in names:
            raise InvalidInput(
                "the probabilities of start and end do not add up; use unit='log-probability' for 'span'."
            )
        return names

    @staticmethod
    def _answers(
        rows: Sequence[Row],
        outputs: Sequence[Tensor],
        mine: Sequence[int],
        context: str,
        unanswerable: bool,
        longest: int,
        best: int = 20,
    ) -> tuple[list[Answer], list[Tensor]]:
        logits = [outputs[r][:, : len(rows[r])].cpu() for r in mine]
        of_mine = [rows[r] for r in mine]
        found = decoded(of_mine, logits, context, best=best, longest=longest, unanswerable=unanswerable)
        if not found:
            raise InvalidInput("the context has no word that could be an answer.")
        return found, logits

    def _given(
        self, given: Given, rows: Sequence[Row], outputs: Sequence[Tensor], mine: Sequence[int], context: str
    ) -> Answer:
        """The user's answer where the model gives most to it. Raises InvalidInput if the context does not hold it."""
        spans = _places(given, context)
        whole = [rows[r] for r in mine]
        logits = [outputs[r].cpu() for r in mine]
        found = []
        for window, row in enumerate(whole):
            for a, b in spans:
                covered = [
                    i for i, (s, (x, y)) in enumerate(zip(row.segment, row.offsets, strict=True))
                    if s == CONTEXT and x < b and y > a
                ]  # fmt: skip
                if covered and row.offsets[covered[0]][0] <= a and row.offsets[covered[-1]][1] >= b:
                    start, end = covered[0], covered[-1]
                    score = float(logits[window][0, start] + logits[window][1, end])
                    span = (row.offsets[start][0], row.offsets[end][1])
                    found.append(Answer(context[slice(*span)], span, score, float("nan"), window, start, end))
        if not found:
            raise InvalidInput(
                f"no window of the context holds {given!r} whole; use larger windows (max_length, stride)."
            )
        return max(found, key=lambda answer: answer.score)

    def _other(
        self,
        given: Given | None,
        wanted: Answer,
        rows: Sequence[Row],
        outputs: Sequence[Tensor],
        mine: Sequence[int],
        context: str,
    ) -> Answer | None:
        """The answer to compare with, in the same window as the one that is explained."""
        if given is None:
            return None
        window = [mine[wanted.window]]
        other = self._given(given, rows, outputs, window, context)
        if (other.start, other.end) == (wanted.start, wanted.end):
            raise InvalidInput(f"the contrast compares {wanted.text!r} with itself.")
        return other

    def _aim(
        self,
        pair: tuple[str, str],
        names: Sequence[str],
        unit: str,
        mine: Sequence[int],
        answers: Sequence[Answer],
        wanted: Answer,
        other: Answer | None,
        logits: Sequence[Tensor],
    ) -> Aim:
        row = mine[wanted.window]
        weights = torch.zeros(len(names), 2, logits[wanted.window].shape[1], device=self.model.device)
        for t, name in enumerate(names):
            for one, sign in ((wanted, 1.0), (other, -1.0)):
                if one is not None:
                    weights[t, 0, one.start] += sign * (name != "end")
                    weights[t, 1, one.end] += sign * (name != "start")
        shown: dict[str, float] = {}
        for listed in answers[:SHOWN]:  # equal texts at several places count together
            shown[listed.text] = shown.get(listed.text, 0.0) + listed.probability
        span = None if wanted.span is None else (CONTEXT, wanted.span)
        notes: dict[str, Any] = {"no_answer_score": no_answer_score(logits), "answer_score": wanted.score}
        if len(mine) > 1:
            notes |= {"window": wanted.window, "windows_read": len(mine)}
        versus = "" if other is None else f" of “{wanted.text}” rather than “{other.text}”"
        return Aim(
            segments=pair,
            rows=(row,),
            names=tuple(name + versus for name in names),
            weights=(weights,),
            link=UNITS[unit],
            outputs=shown,
            more={"answer": span},
            notes=notes,
        )


def _places(given: Given, context: str) -> list[Span]:
    """Where the answer stands in the context, as characters."""
    if not isinstance(given, str):
        start, end = given
        if not 0 <= start < end <= len(context):
            raise InvalidInput(f"an answer's characters lie within 0 and {len(context)}; got {given}.")
        return [(start, end)]
    places, at = [], context.find(given) if given.strip() else -1
    while at >= 0:
        places.append((at, at + len(given)))
        at = context.find(given, at + 1)
    if not places:
        raise InvalidInput(f"the context does not hold the answer {given[:60]!r}; give it letter for letter.")
    return places
