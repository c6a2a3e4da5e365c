"""Text to text: which words of the input drove the translation, the summary or the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import Unpack

from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput
from xai_nlp.models.generation import AnswerText
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.batch import WindowBatch
from xai_nlp.tasks.generated_answers import WritingExplainer, read_answers
from xai_nlp.tasks.options import ExplainKeywords, Request

LONGEST = 60  # tokens of an answer


class Text2TextExplainer(WritingExplainer):
    """Explains what any `AutoModelForSeq2SeqLM` (T5, BART, Marian) writes for a text, or an answer of one's own.

    By teacher forcing: the decoder reads the answer, which stays fixed while the words of the text move, so the scores
    of a token are the text's contribution to it, given the tokens before it.
    """

    task_name: ClassVar[str] = "text2text-generation"

    def explain(
        self,
        text: str | Sequence[str],
        *,
        target: str = "answer",
        answer: AnswerText | None = None,
        rather_than: AnswerText | None = None,
        longest: int = LONGEST,
        **options: Unpack[ExplainKeywords],
    ) -> Explanation | Explanations:
        """One signed score for each word of the text: how much it drove the answer.

        text: a string with the prefix that the model was trained with ("translate English to German: …"), or a list.
        target: "answer", the whole answer's log-probability, or "words", an Explanation for each of its tokens: the
            matrix of text and answer.
        answer: the answer to explain, or its token ids; None is the one that the model writes (greedy).
        rather_than: another answer; then the difference is explained, at the first token in which the two differ.
        longest: tokens of the model's own answer, at most.
        options: those of `tasks.options.ExplainOptions` and of the method.

        Raises InvalidInput for an empty text or answer, and for a text longer than the model.
        """
        own = {"target": target, "answer": answer, "rather_than": rather_than, "longest": longest}
        return self._explain({"text": text}, {**own, **options})

    def encode(self, request: Request) -> list[TokenWindow]:
        windows = self.encode_texts(self.texts(request), replace(request.options, long="error"))
        return [self._with_answer(window, request) for window in windows]

    def _with_answer(self, window: TokenWindow, request: Request) -> TokenWindow:
        answer, generator = request.own.get("answer"), self.generated.generator
        if answer is None:
            inputs = {name: torch.tensor([values]) for name, values in window.inputs.items()}
            longest = request.own.get("longest") or LONGEST
            ids = generator.generate(inputs, longest + len(self.start) - 1, start=len(self.start))
        else:
            ids = generator.tokenize_answer(answer)
        if not ids:
            raise InvalidInput("the answer has no token; give one that has: answer='…'.")
        return self.generated.with_answer(window, ids, request.own.get("rather_than"))

    @property
    def start(self) -> list[int]:
        """The tokens that the decoder begins with: its start token, and the one that generation forces after it."""
        config = self.model.generation_config
        tokens = [config.decoder_start_token_id, config.forced_bos_token_id]
        if tokens[0] is None:
            tokens[0] = getattr(self.model.config, "decoder_start_token_id", None) or self.token_id("bos_token_id")
        return [token for token in tokens if token is not None]

    def run(self, batch: WindowBatch, arguments: Mapping[str, Tensor], owner: Tensor) -> Tensor:
        """The values of `read_answers` for each token of the answers: (R, n, 3)."""
        answers = torch.tensor([(*self.start, *window.answer_ids[:-1]) for window in batch.windows])
        inputs = {name: tensor[owner] for name, tensor in batch.inputs.items()}
        decoder = answers.to(owner.device)[owner]
        logits = self.model(**inputs, decoder_input_ids=decoder, use_cache=False).logits
        return read_answers(logits[:, len(self.start) - 1 :], batch.windows, owner)
