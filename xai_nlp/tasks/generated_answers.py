"""Answers that a model writes, forced upon it: aimed at as a whole, token by token, or as one rather than another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from xai_nlp.core.result import SPECIAL, TargetSpec
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.models.generation import AnswerText, Generator
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.explainer import Aim

TARGETS = ("answer", "words")
UNITS = ("log-probability", "logit")
ITS, OTHERS, LOG = 0, 1, 2  # read of each place: its token's logit, another token's, its token's log-probability


@dataclass(frozen=True)
class Forced:
    """How answers of this writer are read and aimed at."""

    writer: Generator

    @staticmethod
    def checked(target: str | None, unit: str) -> str:
        """The target, "answer" if None. Raises UnknownName for a target or a unit that answers do not have."""
        wanted = "answer" if target is None else target
        if wanted not in TARGETS:
            raise UnknownName("target", wanted, TARGETS, "An answer of your own goes into answer=….")
        if unit not in UNITS:
            raise UnknownName("unit", unit, UNITS)
        return wanted

    def row(self, row: TokenWindow, written: Sequence[int], rather_than: AnswerText | None) -> TokenWindow:
        """With the answer, and what it is compared with: its own tokens but for one."""
        others = written if rather_than is None else self._differing(written, self.writer.tokenize_answer(rather_than))
        return replace(row, answer_ids=tuple(written), contrast_ids=tuple(others))

    def _differing(self, written: Sequence[int], other: Sequence[int]) -> list[int]:
        """The answer's tokens, with the other answer's at the first place in which they differ."""
        first = next((k for k, (a, b) in enumerate(zip(written, other, strict=False)) if a != b), None)
        if first is None:
            named = (self.writer.text(tokens) for tokens in (other, written))
            raise InvalidInput("{!r} does not differ from {!r} in any token of the shorter one.".format(*named))
        return [*written[:first], other[first], *written[first + 1 :]]

    @staticmethod
    def read(logits: Tensor, rows: Sequence[TokenWindow], owner: Tensor) -> Tensor:
        """Of logits before each of the answers' tokens (R, n, V), what can be aimed at: (R, n, 3)."""
        logits, owner = logits.to(torch.promote_types(logits.dtype, torch.float32)), owner.to(logits.device)
        tokens = torch.tensor([[row.answer_ids, row.contrast_ids] for row in rows], device=logits.device).transpose(
            1, 2
        )[owner]
        likely = logits.log_softmax(2).gather(2, tokens[:, :, :1])
        return torch.cat([logits.gather(2, tokens), likely], 2)

    def aim(
        self,
        asked: str,
        row: TokenWindow,
        read: Tensor,
        *,
        target: str,
        unit: str,
        rather_than: AnswerText | None,
        **more: Any,
    ) -> Aim:
        """The answer as a whole, each of its tokens, or its first one that is not the other answer's."""
        n = len(row.answer_ids)
        text = self.writer.text(row.answer_ids)
        targets = [TargetSpec(kind="answer", label=text, unit=unit)]
        each = torch.zeros(n, n, 3, device=read.device)
        each[range(n), range(n), ITS if unit == "logit" else LOG] = 1
        if rather_than is not None:
            first = next(k for k in range(n) if row.answer_ids[k] != row.contrast_ids[k])
            contrast = self.writer.text(self.writer.tokenize_answer(rather_than))
            targets = [replace(targets[0], contrast=contrast)]
            each = torch.zeros_like(each[:1])
            each[0, first, ITS], each[0, first, OTHERS] = 1, -1  # of probabilities the logarithms differ by as much
        elif target == "words":
            targets = [
                TargetSpec(kind="token", label=self.writer.text([token]), position=k, answer=text, unit=unit)
                for k, token in enumerate(row.answer_ids)
            ]
        else:
            each = each.sum(0, keepdim=True)
        return Aim(
            segments=(asked,),
            rows=(row.example,),
            targets=tuple(targets),
            weights=(each,),
            outputs=self.shown(row, read),
            **more,
        )

    def shown(self, row: TokenWindow, read: Tensor) -> dict[str, float]:
        """The answer's probability."""
        return {self.writer.text(row.answer_ids): float(read[:, LOG].double().sum().exp())}


def prompt_positions(segment: Sequence[int]) -> tuple[int, ...] | None:
    """The tokens of a row that were asked with, where a template surrounds them; all where [CLS] and [SEP] do."""
    asked = tuple(i for i, segment_of in enumerate(segment) if segment_of != SPECIAL)
    return asked if len(asked) + 2 < len(segment) else None
