"""Question answering: which words of the question and the context drove the start of the answer, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from xai_nlp.core.result import Explanation, Explanations, TargetSpec
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.offload import device_of
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.explainer import Aim, Explainer, How
from xai_nlp.tasks.qa_decoding import CONTEXT, LONGEST, Answer, Given, Reading

UNITS = {"logit": "logit", "probability": "probability", "log-probability": "log-probability"}
TARGETS = ("start", "end", "span")
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

        def aims(rows: list[TokenWindow], outputs: list[Tensor]) -> list[Aim]:
            found, first = [], 0
            for reading in _readings(pairs, rows, outputs):
                answers = reading.answers(longest=longest, unanswerable=unanswerable)
                wanted = answers[0] if answer is None else reading.given(answer)
                other = None if rather_than is None else reading.given(rather_than, window=wanted.window)
                if other is not None and (other.start, other.end) == (wanted.start, wanted.end):
                    raise InvalidInput(f"the contrast compares {wanted.text!r} with itself.")
                found.append(self._aim(reading, first, names, asked.unit, answers, wanted, other))
                first += len(reading.windows)
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
        with frozen_model(self.model, evaluate=True):
            rows = self._encode(pairs, How(max_length=max_length, stride=stride))
            outputs = self._outputs(rows)
        readings = _readings(pairs, rows, outputs)
        return [reading.answers(best=best, longest=longest, unanswerable=unanswerable) for reading in readings]

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

    def _aim(
        self,
        reading: Reading,
        first: int,
        names: Sequence[str],
        unit: str,
        answers: Sequence[Answer],
        wanted: Answer,
        other: Answer | None,
    ) -> Aim:
        """Start, end or span of the wanted answer, less those of the other; `first` is its first window's number."""
        weights = torch.zeros(len(names), 2, len(reading.windows[wanted.window]), device=device_of(self.model))
        for t, name in enumerate(names):
            for one, sign in ((wanted, 1.0), (other, -1.0)):
                if one is not None:
                    weights[t, 0, one.start] += sign * (name != "end")
                    weights[t, 1, one.end] += sign * (name != "start")
        shown: dict[str, float] = {}
        for listed in answers[:SHOWN]:  # equal texts at several places count together
            shown[listed.text] = shown.get(listed.text, 0.0) + listed.probability
        notes: dict[str, Any] = {"no_answer_score": reading.no_answer_score, "answer_score": wanted.score}
        if len(reading.windows) > 1:
            notes |= {"window": wanted.window, "windows_read": len(reading.windows)}
        contrast = None if other is None else other.text
        return Aim(
            segments=(reading.question, reading.context),
            rows=(first + wanted.window,),
            targets=tuple(
                TargetSpec(kind=name, label=wanted.text, contrast=contrast, unit=unit)  # type: ignore[arg-type]
                for name in names
            ),
            weights=(weights,),
            link=UNITS[unit],
            outputs=shown,
            more={"answer": None if wanted.span is None else (CONTEXT, wanted.span)},
            notes=notes,
        )


def _readings(
    pairs: Sequence[tuple[str, str]], rows: Sequence[TokenWindow], outputs: Sequence[Tensor]
) -> list[Reading]:
    """Each question as the model read it; rows come question by question."""
    readings = []
    for e, pair in enumerate(pairs):
        mine = [(row, out[:, : len(row)].cpu()) for row, out in zip(rows, outputs, strict=True) if row.example == e]
        readings.append(Reading(*pair, *zip(*mine, strict=True)))
    return readings
