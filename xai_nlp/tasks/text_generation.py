"""Text that a model writes after a prompt: which of the prompt's words drove the answer, or each of its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from xai_nlp.core.result import SPECIAL, Explanation, Explanations
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.models.generation import AnswerText, Generator, apply_chat_template
from xai_nlp.models.loading import LoadedModel
from xai_nlp.models.teacher_forcing import append_answer, last_logits
from xai_nlp.models.tokenization import TokenWindow, segments_of
from xai_nlp.models.vision_language import offsets_within
from xai_nlp.tasks.explainer import AS_USUAL, Aim, Explainer, How
from xai_nlp.tasks.generated_answers import Forced, prompt_positions
from xai_nlp.tasks.pose import Batch

LONGEST = 25  # tokens of an answer that is written


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A prompt, and what is wanted of its answer."""

    prompt: str
    answer: AnswerText | None = None
    rather_than: AnswerText | None = None
    chat: bool = False
    longest: int = LONGEST


class TextGenerationExplainer(Explainer):
    """Explains what any `AutoModelForCausalLM` writes after a prompt, or an answer of one's own.

    The answer is forced: its tokens stand after the prompt and stay as they are while the prompt's words move, so that
    the scores of a token are what the prompt added to it, given the tokens before it.
    """

    task: ClassVar[str] = "text-generation"

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        self.forced = Forced(Generator(self.model, self.tokenizer))

    def explain(
        self,
        prompt: str | Sequence[str],
        *,
        target: str = "answer",
        answer: AnswerText | None = None,
        rather_than: AnswerText | None = None,
        chat: bool = False,
        longest: int = LONGEST,
        **how: Any,
    ) -> Explanation | Explanations:
        """One signed score a word of the prompt: how much each drove the answer.

        target: "answer", the whole answer's log-probability, or "words", an Explanation for each of its tokens: the
            matrix of prompt and answer.
        answer: the one explained, as it goes on after the prompt, with its space; or its token ids. None is the one
            that the model writes, the likeliest token at each step, up to `longest` of them.
        rather_than: another answer; then what is explained is why this and not that, at the first token in which they
            differ.
        chat: the prompt is a user's message, put as the tokenizer's chat template has it; its own words are scored.
        how: the fields of `tasks.explainer.How` (method, baseline, unit, attention, …) and the options of the method;
            unit is "log-probability" or "logit". Prompts longer than the model are refused.

        Raises InvalidInput for an empty prompt, an answer without a token, or one for which there is no room.
        """
        asked = How.of({"unit": "log-probability", **how})
        target = self.forced.checked(target, asked.unit)
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        given = {"answer": answer, "rather_than": rather_than, "chat": chat, "longest": longest}
        wanted = [Asked(prompt=p, **given) for p in prompts]  # type: ignore[arg-type]

        def aims(rows: list[TokenWindow], outputs: list[Tensor]) -> list[Aim]:
            as_asked = {"target": target, "unit": asked.unit, "rather_than": rather_than}
            return [
                self.forced.aim(one.prompt, row, read, **as_asked)  # type: ignore[arg-type]
                for one, row, read in zip(wanted, rows, outputs, strict=True)
            ]

        found = self._explained(wanted, asked, aims)
        alone = isinstance(prompt, str) and isinstance(asked.method, str) and target == "answer"
        return found[0] if alone else found

    def predict(self, prompt: str, *, chat: bool = False, longest: int = LONGEST) -> dict[str, float]:
        """The answer that the model writes, with its probability."""
        with frozen_model(self.model, evaluate=True):
            (row,) = self._encode([Asked(prompt=prompt, chat=chat, longest=longest)])
            (read,) = self._outputs([row])
        return self.forced.shown(row, read)

    # Encode ---------------------------------------------------------------------------------------------------------

    def _encode(self, wanted: Sequence[Asked], how: How = AS_USUAL) -> list[TokenWindow]:
        alone = super()._encode([one.prompt for one in wanted if not one.chat], replace(how, long="error"))
        rows = iter(alone)
        return [
            self._answered(self._in_chat(e, one.prompt) if one.chat else replace(next(rows), example=e), one)
            for e, one in enumerate(wanted)
        ]

    def _in_chat(self, example: int, prompt: str) -> TokenWindow:
        """The prompt as a user's message; the template's own tokens count as special ones."""
        if not getattr(self.tokenizer, "chat_template", None):
            raise InvalidInput(f"the tokenizer of {self.name} has no chat template; leave out chat=True.")
        segments_of(prompt)
        message, text = prompt.strip(), apply_chat_template(self.tokenizer, prompt)
        if message not in text:
            raise Unsupported(f"the chat template of {self.name} rewrites the prompt; leave out chat=True.")
        made = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        spans = offsets_within(made["offset_mapping"], message, text.rindex(message))
        first = prompt.index(message)
        return TokenWindow(
            example,
            {name: list(made[name]) for name in ("input_ids", "attention_mask", "token_type_ids") if name in made},
            tuple(self.tokenizer.convert_ids_to_tokens(made["input_ids"])),
            tuple((0, 0) if span is None else (span[0] + first, span[1] + first) for span in spans),
            tuple(SPECIAL if span is None else 0 for span in spans),
        )

    def _answered(self, row: TokenWindow, one: Asked) -> TokenWindow:
        """The prompt with its answer after it, which an explanation does not tell of."""
        limit, length = self.adapter.max_length, len(row)
        room = None if limit is None else max(0, limit - length)
        made = {name: torch.tensor([ids]) for name, ids in row.inputs.items()}
        if one.answer is None:
            most = one.longest if room is None else min(one.longest, room)
            written = self.forced.writer.generate(made, most) if most > 0 else []
        else:
            written = self.forced.writer.tokenize_answer(one.answer)
        n = len(written)
        if not n or (room is not None and n > room):
            raise InvalidInput(
                f"the answer has {n} tokens; it needs at least 1, and after this prompt there is room for "
                f"{'any number' if room is None else room}. Give another one: answer='…'."
            )
        row = replace(
            row,
            inputs={name: ids[0].tolist() for name, ids in append_answer(made, torch.tensor(written)).items()},
            tokens=(*row.tokens, *self.tokenizer.convert_ids_to_tokens(written)),
            offsets=(*row.offsets, *[(0, 0)] * n),
            segment=(*row.segment, *[SPECIAL] * n),
            visible_positions=prompt_positions(row.segment) or tuple(range(length)),
        )
        return self.forced.row(row, written, one.rather_than)

    # Run ------------------------------------------------------------------------------------------------------------

    def _kind(self, row: TokenWindow) -> int:
        """Prompts whose answers have as many tokens go together."""
        return len(row.answer_ids)

    def _run(self, batch: Batch, owner: Tensor) -> Tensor:
        """What can be aimed at in each place of the answers: (R, n, 3)."""
        longest, n = batch.movable.shape[1], len(batch.rows[0].answer_ids)
        ends = [len(row) for row in batch.rows]  # rows are filled up after their answers
        kept = longest - min(ends) + n + 1
        logits, _ = last_logits(self.model, {name: t[owner] for name, t in batch.inputs.items()}, kept)
        before = torch.tensor([[end - longest + kept - n - 1 + k for k in range(n)] for end in ends])
        places = before.to(logits.device)[owner.to(logits.device)]
        logits = logits.gather(1, places[:, :, None].expand(-1, -1, logits.shape[2]))
        return self.forced.read(logits, batch.rows, owner)
