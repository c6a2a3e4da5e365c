"""A model that writes, with the tokenizer it writes by: what it answers, and how answers are spelt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from xai_nlp.hooks.offload import device_of

AnswerText = str | Sequence[int]  # as text, or as token ids


@dataclass(frozen=True)
class Generator:
    """A causal, image-to-text or encoder–decoder model that has `generate`."""

    model: Any
    tokenizer: Any

    def tokenize_answer(self, answer: AnswerText) -> list[int]:
        """The tokens of an answer as they follow a prompt."""
        if isinstance(answer, str):
            return self.tokenizer(answer, add_special_tokens=False)["input_ids"]
        return list(answer)

    def text(self, tokens: Sequence[int]) -> str:
        """Tokens as they read; those of white space alone in quotes."""
        text = self.tokenizer.decode(list(tokens))
        return text.strip() or repr(text)

    def generate(
        self, inputs: Mapping[str, Tensor], max_new_tokens: int, *, answer_start: int | None = None
    ) -> list[int]:
        """The tokens that the model writes, the likeliest at each step, without the one that ends them.

        answer_start: where the answer begins in what `generate` gives; None is after the prompt.
        """
        moved = {name: value.to(device_of(self.model)) for name, value in inputs.items()}
        whole = self.model.generate(**moved, max_new_tokens=max_new_tokens, do_sample=False)
        ids = whole[0, inputs["input_ids"].shape[1] if answer_start is None else answer_start :].tolist()
        special = set(self.tokenizer.all_special_ids)
        end = next((i for i, token in enumerate(ids) if token in special), len(ids))
        return ids[:end]


def apply_chat_template(templated: Any, message: str | list[dict[str, str]]) -> str:
    """A user's message as the chat template of a tokenizer or processor puts it, up to where the answer begins."""
    return templated.apply_chat_template(
        [{"role": "user", "content": message}], add_generation_prompt=True, tokenize=False
    )
