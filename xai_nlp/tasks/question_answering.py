"""Question answering: which words of the question and the context drove the start of the answer, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import Unpack

from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import Explanation, TargetSpec
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.offload import device_of
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks import run
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.explainer import Explainer, check_choice
from xai_nlp.tasks.options import ExplainKeywords, Request
from xai_nlp.tasks.qa_decoding import CONTEXT, LONGEST, AnswerChoice, QAAnswer, QAOutput
from xai_nlp.tasks.task import SCORE_UNITS

TARGETS = ("start", "end", "span")
LISTED = 8  # answers that an explanation lists


class QuestionAnsweringExplainer(Explainer):
    """Explains any `AutoModelForQuestionAnswering`: the answer it gives, or one that you give."""

    task_name: ClassVar[str] = "question-answering"
    divided_segment: ClassVar[int | None] = CONTEXT
    token_axis: ClassVar[int | None] = 1

    def explain(
        self,
        question: str | Sequence[str],
        context: str | Sequence[str] | None = None,
        *,
        target: str | Sequence[str] = "span",
        answer: AnswerChoice | None = None,
        rather_than: AnswerChoice | None = None,
        unanswerable: bool = False,
        longest: int = LONGEST,
        **options: Unpack[ExplainKeywords],
    ) -> Explanation | Explanations:
        """One signed score for each token of question and context: how much it drove the answer.

        question, context: a string each, or lists of equal length; one context may serve many questions.
        target: "start", "end", or "span", their sum; several give one explanation each, from the same passes.
        answer: the answer to explain: the model's own if None; a text that stands in the context, or its characters.
        rather_than: another answer; then the difference is explained, why this one and not that.
        unanswerable: the model may say that there is no answer (SQuAD 2): start and end at the first token.
        longest: tokens that an answer may have.
        options: those of `tasks.options.ExplainOptions` and of the method. A context longer than the model is read in
            windows; the one with the answer is explained.

        Raises InvalidInput for an empty question or context, a question that leaves no room, or an answer that the
        context does not hold.
        """
        own = {"target": target, "answer": answer, "rather_than": rather_than, "unanswerable": unanswerable}
        return self._explain({"question": question, "context": context}, {**own, "longest": longest, **options})

    def answers(
        self, question: str, context: str, *, best: int = 20, unanswerable: bool = False, longest: int = LONGEST
    ) -> list[QAAnswer]:
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
        batch_size: int | None = None,
    ) -> list[list[QAAnswer]]:
        """The best answers to each question, the best first."""
        options = {"max_length": max_length, "stride": stride, "batch_size": batch_size}
        request = self.request({"question": question, "context": context}, options)
        with frozen_model(self.model, evaluate=True):
            windows = self.encode(request)
            outputs = run.predict(self, windows, request.options.batching)
        of_questions = _qa_outputs(request, windows, outputs)
        return [one.answers(best=best, longest=longest, unanswerable=unanswerable) for one in of_questions]

    def read(self, output: Any) -> Tensor:
        """Start and end logits: (R, 2, L)."""
        axes = ("rows", "tokens")
        return torch.stack([self.output_field(output, name, axes) for name in ("start_logits", "end_logits")], 1)

    def texts(self, request: Request) -> list[Any]:
        for name in ("question", "context"):
            texts = [example[name] for example in request.examples]
            empty = next((i for i, text in enumerate(texts) if not isinstance(text, str) or not text.strip()), None)
            if empty is not None:
                raise InvalidInput(f"{name} {empty} is empty: a {name} is a text with at least one word.")
        return [(example["question"], example["context"]) for example in request.examples]

    def targets(
        self, request: Request, windows: Sequence[TokenWindow], outputs: Sequence[Tensor]
    ) -> list[ExampleTarget]:
        own, unit = request.own, request.options.unit or self.unit
        names = _target_names(own.get("target", "span"), unit)
        search = {"longest": own.get("longest", LONGEST), "unanswerable": own.get("unanswerable", False)}
        results, first = [], 0
        for output in _qa_outputs(request, windows, outputs):
            answers = output.answers(**search)
            answer = answers[0] if own.get("answer") is None else output.locate(own["answer"])
            contrast = None
            if own.get("rather_than") is not None:
                contrast = output.locate(own["rather_than"], window=answer.window)
                if (contrast.start, contrast.end) == (answer.start, answer.end):
                    raise InvalidInput(f"the contrast compares {answer.text!r} with itself.")
            results.append(self._target(output, first, names, unit, answers, answer, contrast))
            first += len(output.windows)
        return results

    def _target(
        self,
        output: QAOutput,
        first: int,
        names: Sequence[str],
        unit: str,
        answers: Sequence[QAAnswer],
        answer: QAAnswer,
        contrast: QAAnswer | None,
    ) -> ExampleTarget:
        """Start, end or span of the answer, less those of the contrast; `first` is its first window's number."""
        weights = torch.zeros(len(names), 2, len(output.windows[answer.window]))
        for t, name in enumerate(names):
            for one, sign in ((answer, 1.0), (contrast, -1.0)):
                if one is not None:
                    weights[t, 0, one.start] += sign * (name != "end")
                    weights[t, 1, one.end] += sign * (name != "start")
        listed: dict[str, float] = {}
        for one in answers[:LISTED]:  # equal texts at several places count together
            listed[one.text] = listed.get(one.text, 0.0) + one.probability
        notes: dict[str, Any] = {"no_answer_score": output.no_answer_score, "answer_score": answer.score}
        if len(output.windows) > 1:
            notes |= {"window": answer.window, "windows_read": len(output.windows)}
        other = None if contrast is None else contrast.text
        return ExampleTarget(
            segments=(output.question, output.context),
            windows=(first + answer.window,),
            specs=tuple(TargetSpec(kind=name, label=answer.text, contrast=other, unit=unit) for name in names),  # type: ignore[arg-type]
            weights=(weights.to(device_of(self.model)),),
            link=unit,
            outputs=listed,
            answer=None if answer.span is None else (CONTEXT, answer.span),
            notes=notes,
        )


def _target_names(target: str | Sequence[str], unit: str) -> tuple[str, ...]:
    names = tuple(target) if isinstance(target, (list, tuple)) else (target,)
    if not names:
        raise InvalidInput(f"target names nothing; name at least one of {', '.join(TARGETS)}.")
    for name in names:
        check_choice("target", name, TARGETS, "An answer of your own goes into answer=….")
    check_choice("unit", unit, SCORE_UNITS)
    if unit == "probability" and "span" in names:
        raise InvalidInput("the probabilities of start and end do not add up; use unit='log-probability' for 'span'.")
    return names


def _qa_outputs(request: Request, windows: Sequence[TokenWindow], outputs: Sequence[Tensor]) -> list[QAOutput]:
    """The output for each question; windows come question by question."""
    members: list[list[tuple[TokenWindow, Tensor]]] = [[] for _ in request.examples]
    for window, output in zip(windows, outputs, strict=True):
        members[window.example].append((window, output[:, : len(window)].cpu()))
    return [
        QAOutput(example["question"], example["context"], *zip(*of_example, strict=True))
        for example, of_example in zip(request.examples, members, strict=True)
    ]
