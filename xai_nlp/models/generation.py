"""Text generation: the answer that a model writes after a prompt, and the tokens of an answer that is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from torch import Tensor

from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.offload import device_of
from xai_nlp.models.tokenization import check_unicode

AnswerText = str | Sequence[int]  # an answer as text, or as token ids


@dataclass(frozen=True)
class Generator:
    """A model that has `generate` (causal, image-to-text or encoder–decoder), with its tokenizer."""

    model: Any
    tokenizer: Any

    def tokenize_answer(self, answer: AnswerText) -> list[int]:
        """The token ids of an answer that follows a prompt; no special tokens are added."""
        if isinstance(answer, str):
            check_unicode(answer, "the answer")
            return self.tokenizer(answer, add_special_tokens=False)["input_ids"]
        ids: list[Any] = list(answer) if isinstance(answer, (list, tuple)) else [None]
        if not all(isinstance(i, Integral) and 0 <= int(i) < len(self.tokenizer) for i in ids):
            limit = len(self.tokenizer)
            raise InvalidInput(f"an answer is a text, or a list of token ids below {limit}; got {answer!r}.")
        return [int(i) for i in ids]

    def text(self, ids: Sequence[int]) -> str:
        """The text of tokens, without white space at its ends; white space alone is quoted."""
        text = self.raw_text(ids)
        return text.strip() or repr(text)

    def raw_text(self, ids: Sequence[int]) -> str:
        """The text of tokens as it stands in an answer, white space included."""
        return self.tokenizer.decode(list(ids))

    def generate(self, inputs: Mapping[str, Tensor], max_new_tokens: int, *, start: int | None = None) -> list[int]:
        """The token ids of greedy decoding, without the special token that ends the answer.

        inputs: the model's arguments for one prompt, (1, L) and others.
        start: position of the answer in the output of `model.generate`; None means after the prompt.
        """
        arguments = {name: value.to(device_of(self.model)) for name, value in inputs.items()}
        output = self.model.generate(**arguments, max_new_tokens=max_new_tokens, do_sample=False)
        ids = output[0, inputs["input_ids"].shape[1] if start is None else start :].tolist()
        special = set(self.tokenizer.all_special_ids)
        end = next((i for i, token in enumerate(ids) if token in special), len(ids))
        return ids[:end]


def apply_chat_template(processor: Any, message: str | list[dict[str, str]]) -> str:
    """A user's message in the chat template of a tokenizer or processor, up to the beginning of the answer."""
    messages = [{"role": "user", "content": message}]
    return processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
