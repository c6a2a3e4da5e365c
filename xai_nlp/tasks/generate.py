"""Text that a model writes after a prompt: which of the prompt's words drove the answer, or each of its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from xai_nlp.core.result import SPECIAL, Explanation, Explanations
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.state import borrowed
from xai_nlp.models.encode import Row, Text
from xai_nlp.models.forced import FOLLOWS, last_logits
from xai_nlp.models.load import Loaded
from xai_nlp.models.looking import Generating
from xai_nlp.tasks.explainer import Aim, Explainer, How
from xai_nlp.tasks.pose import Batch

TARGETS = ("answer", "words")
UNITS = ("log-probability", "logit")
LONGEST = 25  # tokens of an answer that is written
ITS, OTHERS, LOG = range(
    3
)  # what is read of each place: its token's logit, another token's, its token's log-probability

Answer = str | Sequence[int]


class Writing(Generating):
    """A causal language model, whose prompt is a text alone."""

    @property
    def tokenizer(self) -> Any:
        return self.processor


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A prompt, and what is wanted of its answer."""

    prompt: str
    answer: Answer | None = None
    rather_than: Answer | None = None
    longest: int = LONGEST


@dataclass(frozen=True)
class Forced(Row):
    """A prompt with its answer after it, and what the answer is compared with: its own tokens but for one."""

    others: tuple[int, ...] = ()


class TextGenerationExplainer(Explainer):
    """Explains what any `AutoModelForCausalLM` writes after a prompt, or an answer of one's own.

    The answer is forced: its tokens stand after the prompt and stay as they are while the prompt's words move, so that
    the scores of a token are what the prompt added to it, given the tokens before it.
    """

    task: ClassVar[str] = "text-generation"

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded)
        self.writing = Writing(self.model, self.tokenizer)

    def explain(
        self,
        prompt: str | Sequence[str],
        *,
        target: str = "answer",
        answer: Answer | None = None,
        rather_than: Answer | None = None,
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
        how: the fields of `tasks.explainer.How` (method, baseline, unit, attention, …) and the options of the method;
            unit is "log-probability" or "logit". Prompts longer than the model are refused.

        Raises InvalidInput for an empty prompt, an answer without a token, or one for which there is no room.
        """
        asked = How.of({"unit": "log-probability", **how})
        if target not in TARGETS:
            raise UnknownName("target", target, TARGETS, "An answer of your own goes into answer=….")
        if asked.unit not in UNITS:
            raise UnknownName("unit", asked.unit, UNITS)
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        wanted = [Asked(prompt=p, answer=answer, rather_than=rather_than, longest=longest) for p in prompts]

        def aims(rows: list[Row], outputs: list[Tensor]) -> list[Aim]:
            return [self._aim(row, read, target, asked.unit, wanted) for row, read in zip(rows, outputs, strict=True)]

        found = self._explained(wanted, asked, aims)  # type: ignore[arg-type]
        alone = isinstance(prompt, str) and isinstance(asked.method, str) and target == "answer"
        return found[0] if alone else found

    def predict(self, prompt: str, *, longest: int = LONGEST) -> dict[str, float]:
        """The answer that the model writes, with its probability."""
        with borrowed(self.model, evaluate=True):
            (row,) = self._encode([Asked(prompt=prompt, longest=longest)])  # type: ignore[list-item]
            (read,) = self._outputs([row])
        return self._shown(row, read)

    # Encode ---------------------------------------------------------------------------------------------------------

    def _encode(
        self,
        texts: Sequence[Text],
        max_length: int | None = None,
        stride: int | None = None,
        *,
        long: str = "windows",
    ) -> list[Row]:
        wanted: Sequence[Asked] = texts  # type: ignore[assignment]
        rows = super()._encode([one.prompt for one in wanted], max_length, stride, long="error")
        return [self._answered(row, one) for row, one in zip(rows, wanted, strict=True)]

    def _answered(self, row: Row, one: Asked) -> Forced:
        """The prompt with its answer; the tokens of an explanation are the prompt's."""
        limit = self.adapter.max_length
        room = None if limit is None else limit - len(row)
        if one.answer is None:
            most = one.longest if room is None else min(one.longest, room)
            made = {name: torch.tensor([ids]) for name, ids in row.inputs.items()}
            written = self.writing.written(made, most) if most > 0 else []
        else:
            written = self._spelt(one.answer)
        n = len(written)
        if not n or (room is not None and n > room):
            raise InvalidInput(
                f"the answer has {n} tokens; it needs at least 1, and after this prompt there is room for "
                f"{'any number' if room is None else room}. Give another one: answer='…'."
            )
        inputs = {name: [*ids, *[FOLLOWS.get(name, 0)] * n] for name, ids in row.inputs.items()}
        inputs["input_ids"][len(row) :] = written
        return Forced(
            row.example,
            inputs,
            (*row.tokens, *self.tokenizer.convert_ids_to_tokens(written)),
            (*row.offsets, *[(0, 0)] * n),
            (*row.segment, *[SPECIAL] * n),
            told=tuple(range(len(row))),
            written=tuple(written),
            others=tuple(written if one.rather_than is None else self._differing(written, one.rather_than)),
        )

    def _spelt(self, answer: Answer) -> list[int]:
        return self.writing.spelt(answer) if isinstance(answer, str) else list(answer)

    def _differing(self, written: Sequence[int], rather_than: Answer) -> list[int]:
        """The answer's tokens, with the other answer's at the first place in which they differ."""
        other = self._spelt(rather_than)
        first = next((k for k, (a, b) in enumerate(zip(written, other, strict=False)) if a != b), None)
        if first is None:
            raise InvalidInput(
                f"{self._text(other)!r} does not differ from {self._text(written)!r} in any token of the shorter one."
            )
        return [*written[:first], other[first], *written[first + 1 :]]

    def _text(self, tokens: Sequence[int]) -> str:
        return self.tokenizer.decode(list(tokens)).strip() or repr(self.tokenizer.decode(list(tokens)))

    # Run ------------------------------------------------------------------------------------------------------------

    def _groups(self, rows: Sequence[Row], *, matrices: bool = False) -> list[list[int]]:
        """Prompts whose answers have as many tokens go together."""
        found = []
        for n in sorted({len(row.written) for row in rows}):
            mine = [i for i, row in enumerate(rows) if len(row.written) == n]
            groups = super()._groups([rows[i] for i in mine], matrices=matrices)
            found += [[mine[i] for i in group] for group in groups]
        return found

    def _run(self, batch: Batch, owner: Tensor) -> Tensor:
        """What is read of each place of the answers: (R, n, 3), the last axis ITS, OTHERS, LOG."""
        longest, n = batch.movable.shape[1], len(batch.rows[0].written)
        ends = [len(row) for row in batch.rows]  # rows are filled up after their answers
        kept = longest - min(ends) + n + 1
        logits, _ = last_logits(self.model, {name: t[owner] for name, t in batch.inputs.items()}, kept)
        device, owner = logits.device, owner.to(logits.device)
        before = torch.tensor([[end - longest + kept - n - 1 + k for k in range(n)] for end in ends], device=device)
        logits = logits.gather(1, before[owner][:, :, None].expand(-1, -1, logits.shape[2]))
        tokens = torch.tensor([[row.written, row.others] for row in batch.rows], device=device).transpose(1, 2)  # type: ignore[attr-defined]
        likely = logits.log_softmax(2).gather(2, tokens[owner][:, :, :1])
        return torch.cat([logits.gather(2, tokens[owner]), likely], 2)

    # Aim ------------------------------------------------------------------------------------------------------------

    def _aim(self, row: Row, read: Tensor, target: str, unit: str, wanted: Sequence[Asked]) -> Aim:
        """The answer as a whole, each of its tokens, or its first one that is not the other answer's."""
        assert isinstance(row, Forced)
        one, n = wanted[row.example], len(row.written)
        each = torch.zeros(n, n, 3, device=read.device)
        places = torch.arange(n)
        each[places, places, ITS if unit == "logit" else LOG] = 1
        names: tuple[str, ...] = (self._text(row.written),)
        if one.rather_than is not None:
            first = next(k for k in range(n) if row.written[k] != row.others[k])
            names = (f"{names[0]}-{self._text(self._spelt(one.rather_than))}",)
            each = torch.zeros_like(each[:1])
            each[0, first, ITS], each[0, first, OTHERS] = 1, -1  # of probabilities the logarithms differ by as much
        elif target == "words":
            names = tuple(self._text([token]) for token in row.written)
        else:
            each = each.sum(0, keepdim=True)
        shown = self._shown(row, read)
        return Aim(segments=(one.prompt,), rows=(row.example,), names=names, weights=(each,), outputs=shown)

    def _shown(self, row: Row, read: Tensor) -> dict[str, float]:
        """The answer's probability."""
        return {self._text(row.written): float(read[:, LOG].double().sum().exp())}
