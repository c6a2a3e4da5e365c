"""Text generation: which of the prompt's words drove the answer, or each of its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Unpack

from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.models.generation import AnswerText, apply_chat_template
from xai_nlp.models.teacher_forcing import append_answer, last_logits
from xai_nlp.models.tokenization import TokenWindow, segments_of
from xai_nlp.models.vision_language import offsets_within
from xai_nlp.tasks.batch import WindowBatch
from xai_nlp.tasks.generated_answers import WritingExplainer, prompt_positions, read_answers
from xai_nlp.tasks.options import ExplainKeywords, Request

LONGEST = 25  # tokens of a generated answer


class TextGenerationExplainer(WritingExplainer):
    """Explains what any `AutoModelForCausalLM` writes after a prompt, or an answer of one's own.

    By teacher forcing: the answer's tokens stand after the prompt and stay fixed while the prompt's words move, so the
    scores of a token are the prompt's contribution to it, given the tokens before it.
    """

    task_name: ClassVar[str] = "text-generation"

    def explain(
        self,
        prompt: str | Sequence[str],
        *,
        target: str = "answer",
        answer: AnswerText | None = None,
        rather_than: AnswerText | None = None,
        chat: bool = False,
        longest: int = LONGEST,
        **options: Unpack[ExplainKeywords],
    ) -> Explanation | Explanations:
        """One signed score for each word of the prompt: how much it drove the answer.

        target: "answer", the whole answer's log-probability, or "words", an Explanation for each of its tokens: the
            matrix of prompt and answer.
        answer: the answer to explain, as it goes on after the prompt, with its space; or its token ids. None is the
            one that the model writes, the likeliest token at each step, up to `longest` of them.
        rather_than: another answer; then the first token in which they differ is explained, why this one and not that.
        chat: the prompt is a user's message, put into the tokenizer's chat template; its own words are scored.
        options: those of `tasks.options.ExplainOptions` and of the method; unit is "log-probability" or "logit".
            Prompts longer than the model are refused.

        Raises InvalidInput for an empty prompt, an answer without a token, or one for which there is no room.
        """
        own = {"target": target, "answer": answer, "rather_than": rather_than, "chat": chat, "longest": longest}
        return self._explain({"prompt": prompt}, {**own, **options})

    def encode(self, request: Request) -> list[TokenWindow]:
        prompts = [example["prompt"] for example in request.examples]
        if request.own.get("chat"):
            names = [f"text {e}" for e in range(len(prompts))] if len(prompts) > 1 else ["the text"]
            for prompt, name in zip(prompts, names, strict=True):
                segments_of(prompt, name)
            windows = [self._in_chat(e, prompt) for e, prompt in enumerate(prompts)]
        else:
            windows = self.encode_texts(prompts, replace(request.options, long="error"))
        return [self._with_answer(window, request) for window in windows]

    def _in_chat(self, example: int, prompt: str) -> TokenWindow:
        """The prompt as a user's message; the template's own tokens count as special ones."""
        if not getattr(self.tokenizer, "chat_template", None):
            raise InvalidInput(f"the tokenizer of {self.name} has no chat template; leave out chat=True.")
        message, text = prompt.strip(), apply_chat_template(self.tokenizer, prompt)
        if message not in text:
            raise Unsupported(f"the chat template of {self.name} rewrites the prompt; leave out chat=True.")
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        spans = offsets_within(encoded["offset_mapping"], message, text.rindex(message))
        first = prompt.index(message)
        names = ("input_ids", "attention_mask", "token_type_ids")
        return TokenWindow(
            example,
            {name: list(encoded[name]) for name in names if name in encoded},
            tuple(self.tokenizer.convert_ids_to_tokens(encoded["input_ids"])),
            np.array([(0, 0) if span is None else (span[0] + first, span[1] + first) for span in spans]),
            np.array([SPECIAL if span is None else 0 for span in spans]),
        )

    def _with_answer(self, window: TokenWindow, request: Request) -> TokenWindow:
        """The prompt with its answer after it; the answer's tokens are not listed."""
        answer, longest = request.own.get("answer"), request.own.get("longest", LONGEST)
        limit, length = self.adapter.max_length, len(window)
        room = None if limit is None else max(0, limit - length)
        inputs = {name: torch.tensor([ids]) for name, ids in window.inputs.items()}
        generator = self.generated.generator
        if answer is None:
            most = longest if room is None else min(longest, room)
            ids = generator.generate(inputs, most) if most > 0 else []
        else:
            ids = generator.tokenize_answer(answer)
        n = len(ids)
        if not n or (room is not None and n > room):
            raise InvalidInput(
                f"the answer has {n} tokens; it needs at least 1, and after this prompt there is room for "
                f"{'any number' if room is None else room}. Give another one: answer='…'."
            )
        window = replace(
            window,
            inputs={name: row[0].tolist() for name, row in append_answer(inputs, torch.tensor(ids)).items()},
            tokens=(*window.tokens, *self.tokenizer.convert_ids_to_tokens(ids)),
            offsets=np.concatenate([window.offsets, np.zeros((n, 2), dtype=np.int64)]),
            segment=np.concatenate([window.segment, np.full(n, SPECIAL)]),
            visible_positions=prompt_positions(window.segment) or tuple(range(length)),
        )
        return self.generated.with_answer(window, ids, request.own.get("rather_than"))

    def run(self, batch: WindowBatch, arguments: Mapping[str, Tensor], owner: Tensor) -> Tensor:
        """The values of `read_answers` for each token of the answers: (R, n, 3)."""
        longest, n = batch.movable.shape[1], len(batch.windows[0].answer_ids)
        ends = [len(window) for window in batch.windows]  # windows are filled up after their answers
        tail = longest - min(ends) + n + 1
        logits, _ = last_logits(self.model, {name: t[owner] for name, t in batch.inputs.items()}, tail)
        before = torch.tensor([[end - longest + tail - n - 1 + k for k in range(n)] for end in ends])
        places = before.to(logits.device)[owner.to(logits.device)]
        logits = logits.gather(1, places[:, :, None].expand(-1, -1, logits.shape[2]))
        return read_answers(logits, batch.windows, owner)
