"""Answers that a language model writes: scored by teacher forcing, as a whole, token by token, or as a contrast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.result import SPECIAL, TargetSpec
from xai_nlp.errors import InvalidInput
from xai_nlp.models.generation import AnswerText, Generator
from xai_nlp.models.loading import LoadedModel
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.explainer import Explainer, check_choice
from xai_nlp.tasks.options import Request
from xai_nlp.tasks.task import Task

TARGETS = ("answer", "words")
UNITS = ("log-probability", "logit")
LOGIT, CONTRAST_LOGIT, LOG_PROBABILITY = 0, 1, 2  # columns of `read_answers`, for each token of an answer


@dataclass(frozen=True)
class GeneratedAnswers:
    """Answers of a generating model as targets."""

    generator: Generator

    def with_answer(
        self, window: TokenWindow, answer_ids: Sequence[int], rather_than: AnswerText | None
    ) -> TokenWindow:
        """The window with the tokens of its answer, and the tokens that they are compared with."""
        contrast = answer_ids
        if rather_than is not None:
            contrast = self._first_difference(answer_ids, self.generator.tokenize_answer(rather_than))
        return replace(window, answer_ids=tuple(answer_ids), contrast_ids=tuple(contrast))

    def _first_difference(self, answer: Sequence[int], other: Sequence[int]) -> list[int]:
        """The answer's tokens, with the other answer's at the first place in which they differ."""
        first = next((k for k, (a, b) in enumerate(zip(answer, other, strict=False)) if a != b), None)
        if first is None:
            texts = (self.generator.text(tokens) for tokens in (other, answer))
            raise InvalidInput("{!r} does not differ from {!r} in any token of the shorter one.".format(*texts))
        return [*answer[:first], other[first], *answer[first + 1 :]]

    def target(
        self,
        text: str,
        window: TokenWindow,
        number: int,
        values: Tensor,
        *,
        target: str | None,
        unit: str,
        rather_than: AnswerText | None,
        answer: AnswerText | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> ExampleTarget:
        """The answer as a whole, each of its tokens, or its first token that differs from the contrast's.

        number: the window's index. values: of `read_answers` for this window (n, 3). answer: what the user gave.
        Raises UnknownName for a target or a unit that written answers do not have.
        """
        target = "answer" if target is None else target
        check_choice("target", target, TARGETS, "An answer of your own goes into answer=….")
        check_choice("unit", unit, UNITS)
        ids = window.answer_ids
        n, written = len(ids), self.generator.text(ids)
        specs = [TargetSpec(kind="answer", label=written, unit=unit)]
        weights = torch.zeros(n, n, 3, device=values.device)
        weights[range(n), range(n), LOGIT if unit == "logit" else LOG_PROBABILITY] = 1
        if rather_than is not None:
            first = next(k for k in range(n) if window.answer_ids[k] != window.contrast_ids[k])
            contrast = self.generator.text(self.generator.tokenize_answer(rather_than))
            specs = [replace(specs[0], contrast=contrast)]
            weights = torch.zeros_like(weights[:1])
            weights[0, first, LOGIT], weights[0, first, CONTRAST_LOGIT] = 1, -1  # log-probabilities differ by as much
        elif target == "words":
            specs = [
                TargetSpec(kind="token", label=self.generator.text([token]), position=k, answer=written, unit=unit)
                for k, token in enumerate(window.answer_ids)
            ]
        else:
            weights = weights.sum(0, keepdim=True)
        probability = float(values[:, LOG_PROBABILITY].double().sum().exp())
        return ExampleTarget(
            segments=(text,),
            windows=(number,),
            specs=tuple(specs),
            weights=(weights,),
            outputs={written: probability},
            notes={
                **(notes or {}),
                "answer_ids": list(ids),
                "answer_text": self.generator.raw_text(ids),
                "answer_given": None if answer is None else True,
            },
        )


class WritingExplainer(Explainer):
    """The base of tasks whose models write an answer to one text: the answer is fixed, and its tokens are targets."""

    unit: ClassVar[str] = "log-probability"

    def __init__(self, loaded: LoadedModel, task: Task | None = None) -> None:
        super().__init__(loaded, task)
        self.generated = GeneratedAnswers(Generator(self.model, self.tokenizer))

    def example(self) -> dict[str, Any]:
        return {**super().example(), "answer": " good"}  # its own might be empty

    def gives_several(self, request: Request) -> bool:
        return bool(request.own.get("target") == "words")

    def batch_key(self, window: TokenWindow) -> int:
        """Texts whose answers have as many tokens share a batch."""
        return len(window.answer_ids)

    def targets(
        self, request: Request, windows: Sequence[TokenWindow], outputs: Sequence[Tensor]
    ) -> list[ExampleTarget]:
        name, unit = self.task.inputs[0].name, request.options.unit or self.unit
        options: dict[str, Any] = {option: request.own.get(option) for option in ("target", "rather_than", "answer")}
        return [
            self.generated.target(request.examples[window.example][name], window, w, values, unit=unit, **options)
            for w, (window, values) in enumerate(zip(windows, outputs, strict=True))
        ]


def read_answers(logits: Tensor, windows: Sequence[TokenWindow], owner: Tensor) -> Tensor:
    """Each answer token's logit, its contrast's logit and its log-probability (R, n, 3).

    logits: before each of the answers' tokens (R, n, V).
    """
    logits, owner = logits.to(torch.promote_types(logits.dtype, torch.float32)), owner.to(logits.device)
    ids = torch.tensor([[window.answer_ids, window.contrast_ids] for window in windows], device=logits.device)
    ids = ids.transpose(1, 2)[owner]
    log_probabilities = logits.log_softmax(2).gather(2, ids[:, :, :1])
    return torch.cat([logits.gather(2, ids), log_probabilities], 2)


def prompt_positions(segment: np.ndarray) -> tuple[int, ...] | None:
    """The positions of the prompt, where a template surrounds it; None where only [CLS] and [SEP] do."""
    inside = tuple((segment != SPECIAL).nonzero()[0].tolist())
    return inside if len(inside) + 2 < len(segment) else None
