"""Masked language models: which words made the model expect a word at the mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import Unpack

from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import Explanation, TargetSpec
from xai_nlp.core.spans import Span
from xai_nlp.errors import InvalidInput
from xai_nlp.models.tokenization import TokenWindow, check_unicode, segments_of
from xai_nlp.tasks.batch import WindowBatch, batch_forward
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.explainer import Explainer, check_choice
from xai_nlp.tasks.options import ExplainKeywords, Request
from xai_nlp.tasks.task import SCORE_UNITS

LISTED = 10  # words that an explanation lists


class FillMaskExplainer(Explainer):
    """Explains the word that any `AutoModelForMaskedLM` expects at a mask. The masks themselves do not move."""

    task_name: ClassVar[str] = "fill-mask"

    def explain(
        self,
        text: str | Sequence[str],
        *,
        target: str | int | None = None,
        rather_than: str | int | None = None,
        mask: int = 1,
        **options: Unpack[ExplainKeywords],
    ) -> Explanation | Explanations:
        """One signed score for each token: how much it drove the word at the mask.

        text: a string that holds the tokenizer's mask token, such as "[MASK]", or a list of them.
        target: a word of one token, or a token id; None is the word that the model expects most. rather_than: another
            word; then the difference is explained, why this word and not that one.
        mask: which mask is explained, counted from 1; others stay masked.
        options: those of `tasks.options.ExplainOptions` and of the method.

        Raises InvalidInput for a text without a mask, and for a word that is several tokens.
        """
        own = {"target": target, "rather_than": rather_than, "mask": mask}
        return self._explain({"text": text}, {**own, **options})

    def example(self) -> dict[str, Any]:
        """The example with this tokenizer's own mask."""
        mask = str(self.tokenizer.mask_token)
        return {name: value.replace("[MASK]", mask) for name, value in super().example().items()}

    def encode(self, request: Request) -> list[TokenWindow]:
        mask_id, number = self.token_id("mask_token_id"), request.own.get("mask") or 1
        if mask_id is None:
            raise InvalidInput(f"the tokenizer of {self.name} has no mask token; this task needs one.")
        windows = self.encode_texts(self.texts(request), replace(request.options, long="error"))
        results = []
        for window in windows:
            places = [i for i, token in enumerate(window.inputs["input_ids"]) if token == mask_id]
            if not 1 <= number <= len(places):
                name = f"text {window.example}" if len(windows) > 1 else "the text"
                mask = self.tokenizer.mask_token
                has = f"{len(places)} of them" if places else "none"
                raise InvalidInput(f"mask {number} is explained, and {name} has {has}. This model's mask is {mask!r}.")
            results.append(replace(window, target_position=places[number - 1]))
        return results

    def batch(self, windows: Sequence[TokenWindow]) -> WindowBatch:
        batch = super().batch(windows)
        return replace(batch, movable=batch.movable & (batch.inputs["input_ids"] != self.token_id("mask_token_id")))

    def run(self, batch: WindowBatch, arguments: Mapping[str, Tensor], owner: Tensor) -> Tensor:
        """The logits of all tokens at the mask: (R, V)."""
        output = batch_forward(self.model, batch.inputs, owner)
        logits = self.output_field(output, "logits", ("rows", "tokens", "vocabulary"))
        places = torch.tensor([window.target_position for window in batch.windows], device=logits.device)
        return logits[torch.arange(len(logits), device=logits.device), places[owner.to(logits.device)]]

    def targets(
        self, request: Request, windows: Sequence[TokenWindow], outputs: Sequence[Tensor]
    ) -> list[ExampleTarget]:
        own, unit = request.own, request.options.unit or self.unit
        check_choice("unit", unit, SCORE_UNITS)
        results = []
        for w, (text, logits) in enumerate(zip(self.texts(request), outputs, strict=True)):
            probabilities = logits.double().softmax(0)
            listed = dict.fromkeys(probabilities.topk(min(LISTED, len(probabilities))).indices.tolist())
            token = next(iter(listed)) if own.get("target") is None else self._token(own["target"], logits)
            other = None if own.get("rather_than") is None else self._token(own["rather_than"], logits)
            if token == other:
                raise InvalidInput(f"the contrast compares {self._word(token)!r} with itself.")
            weights = torch.zeros(1, len(logits), device=logits.device)
            weights[0, token] = 1
            if other is not None:
                weights[0, other] = -1
            contrast = None if other is None else self._word(other)
            outputs_by_word: dict[str, float] = {}
            for i in (*listed, token, *([] if other is None else [other])):
                outputs_by_word.setdefault(self._word(i), float(probabilities[i]))
            results.append(
                ExampleTarget(
                    segments=segments_of(text),
                    windows=(w,),
                    specs=(TargetSpec(kind="word", label=self._word(token), contrast=contrast, unit=unit),),
                    weights=(weights,),
                    link=unit,
                    outputs=outputs_by_word,
                    answer=_place(windows[w]),
                    notes={"mask_position": windows[w].target_position},
                )
            )
        return results

    def _word(self, token: int) -> str:
        """A token as a word: without the space or mark that it begins with."""
        return self.tokenizer.decode([token]).strip() or self.tokenizer.convert_ids_to_tokens(token)

    def _token(self, word: str | int, logits: Tensor) -> int:
        """The token of a word, at the start of a text or after a space: the one that the model gives more to."""
        if isinstance(word, int) and not isinstance(word, bool):
            if not 0 <= word < len(logits):
                raise InvalidInput(f"token ids are from 0 to {len(logits) - 1}; got {word}.")
            return word
        check_unicode(str(word), "the word")
        spellings = [self.tokenizer(form, add_special_tokens=False)["input_ids"] for form in (f" {word}", str(word))]
        single = {ids[0] for ids in spellings if len(ids) == 1} - {self.token_id("unk_token_id")}
        if not single:
            raise InvalidInput(
                f"a mask holds one token; {word!r} is {len(spellings[1])} of this tokenizer, or unknown."
            )
        return max(single, key=lambda token: float(logits[token]))


def _place(window: TokenWindow) -> tuple[int, Span]:
    """Where the mask that is explained stands: its text, and its characters there."""
    start, end = window.offsets[window.target_position].tolist()
    return int(window.segment[window.target_position]), (start, end)
