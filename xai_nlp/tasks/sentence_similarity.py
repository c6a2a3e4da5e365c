"""Sentence similarity: which words of two texts make their embeddings alike, and which pairs of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from typing_extensions import Unpack

from xai_nlp.core.arrays import AttentionAttribution
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method
from xai_nlp.core.result import Explanation, TargetSpec
from xai_nlp.core.targets import Target
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.hooks.points import Points
from xai_nlp.hooks.scope import ModulePoint
from xai_nlp.models.loading import LoadedModel
from xai_nlp.models.sentence_embedding import POOLINGS, EmbeddingHead, unit_length
from xai_nlp.models.tokenization import TokenWindow, segments_of
from xai_nlp.tasks.batch import TextSubject, WindowBatch, batch_forward
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.explainer import Explainer, check_choice
from xai_nlp.tasks.options import ExplainKeywords, Request
from xai_nlp.tasks.task import Task
from xai_nlp.tasks.two_texts import TextPair, TwoTextPoint
from xai_nlp.tasks.word_pairs import UNIT, token_pairs, word_pairs

PAIRS = "pairs"  # the name of the matrix of word pairs


class SentenceSimilarityExplainer(Explainer):
    """Explains the cosine similarity of two texts, each embedded by the same encoder (`AutoModel`).

    Hidden states are pooled, and go through the dense layers of a sentence-transformers model if it has any. Prompts
    are not added; write them into the texts.
    """

    task_name: ClassVar[str] = "sentence-similarity"
    unit: ClassVar[str] = UNIT

    def __init__(self, loaded: LoadedModel, task: Task | None = None) -> None:
        super().__init__(loaded, task)
        if self.model.config.is_encoder_decoder:
            raise Unsupported(
                f"{self.name} has a decoder; similarity needs an encoder, whose hidden states are pooled."
            )
        self.head = loaded.embedding or EmbeddingHead()

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}: {'+'.join(self.head.poolings)} pooling>"

    def explain(
        self,
        text: str | Sequence[str],
        pair: str | Sequence[str],
        *,
        pairs: bool = False,
        moves: str = "both",
        pooling: str | None = None,
        **options: Unpack[ExplainKeywords],
    ) -> Explanation | Explanations:
        """One signed score for each token of both texts: how much it made them alike.

        text, pair: the two texts, or lists of them.
        moves: "both" move from their baselines along one path, so the scores of both add up to f(x, y) − f(x₀, y₀). Two
            baselines are nearly alike, so such scores say what sets the texts apart, too. "text" or "pair" moves one,
            and compares it with the other as it is: f(x, y) − f(x₀, y).
        pairs: also the matrix of word pairs, `attention["pairs"]`: the words of `text` by those of `pair`. It adds up
            to f(x, y) − f(x₀, y) − f(x, y₀) + f(x₀, y₀) within 1 %, in one derivative for each word and point of the
            path; a number of `steps` sets the points.
        pooling: "mean", "cls" or "max"; None is the model's own, or the mean if the model does not say.
        options: those of `tasks.options.ExplainOptions` and of the method, but for attention matrices.

        Raises InvalidInput for an empty text and for one longer than the model, UnknownName for another pooling,
        Unsupported for attention matrices.
        Source of the matrix: Moeller, Nikolaev & Padó 2023, eq. 5 (arXiv:2310.05703), and 2024 (arXiv:2402.02883).
        """
        return self._explain(
            {"text": text, "pair": pair}, {"pairs": pairs, "moves": moves, "pooling": pooling, **options}
        )

    def request(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Request:
        request = super().request(inputs, options)
        check_choice("unit", request.options.unit, (UNIT,), "The similarity of two texts is a cosine.")
        if (pooling := request.own.get("pooling")) is not None:
            check_choice("pooling", pooling, tuple(POOLINGS))
        check_choice("moves", request.own.get("moves") or "both", ("both", "text", "pair"))
        if request.options.attention or not all(map(self.takes, request.methods)):
            raise Unsupported(
                "attention matrices are not scored where two texts are read apart; ask for the matrix of word pairs: "
                "pairs=True."
            )
        for e, example in enumerate(request.examples):
            for name in ("text", "pair"):
                where = f"{name} {e}" if len(request.examples) > 1 else f"the {name}"
                if len(segments_of(example[name], where)) > 1:
                    raise InvalidInput(f"{where} is one string here; give the other text as pair=….")
        return request

    def takes(self, method: Method | type[Method]) -> bool:
        return method.operates_on != "attention"

    # The encoder reads both texts as rows of one pass -----------------------------------------------------------------

    def encode(self, request: Request) -> list[TokenWindow]:
        options = replace(request.options, long="error")
        pooling, moves = request.own.get("pooling"), request.own.get("moves") or "both"
        sides = [self.encode_texts([one[name] for one in request.examples], options) for name in ("text", "pair")]
        return [TextPair.of(text, pair, pooling, moves) for text, pair in zip(*sides, strict=True)]

    def batch(self, windows: Sequence[TokenWindow]) -> WindowBatch:
        pairs = [window for window in windows if isinstance(window, TextPair)]
        side = max(max(window.sides) for window in pairs)
        batch = super().batch([window.padded(side, self.pad or 0) for window in pairs])
        for movable, window in zip(batch.movable, pairs, strict=True):
            if window.moves != "both":
                movable[slice(side, None) if window.moves == "text" else slice(side)] = False
        return batch

    def embeddings(self, batch: WindowBatch, owner: Tensor) -> Tensor:
        """The embeddings of both texts, of length 1: (R, 2, E)."""
        rows = {name: ids.view(len(ids) * 2, -1) for name, ids in batch.inputs.items()}
        places = torch.stack([2 * owner, 2 * owner + 1], 1).flatten()
        hidden = batch_forward(self.model, rows, places).last_hidden_state
        window = batch.windows[0]
        pooling = window.pooling if isinstance(window, TextPair) else None
        pooled = self.head(hidden, rows["attention_mask"][places].to(hidden.device), pooling)
        return unit_length(pooled).unflatten(0, (-1, 2))

    def run(self, batch: WindowBatch, arguments: Mapping[str, Tensor], owner: Tensor) -> Tensor:
        """The cosine similarity (R, 1)."""
        text, pair = self.embeddings(batch, owner).unbind(1)
        return (text * pair).sum(-1, keepdim=True)

    @cached_property
    def points(self) -> Points:
        named, two = super().points, TwoTextPoint.of
        return replace(
            named,
            word=named.word and two(named.word),
            position=named.position and two(named.position),
            types=named.types and two(named.types),
            embeddings=named.embeddings and two(named.embeddings),
            layers=tuple(map(two, named.layers)),
        )

    def layer(self, k: int) -> ModulePoint:
        return TwoTextPoint.of(super().layer(k))

    # What is explained ------------------------------------------------------------------------------------------------

    def targets(
        self, request: Request, windows: Sequence[TokenWindow], outputs: Sequence[Tensor]
    ) -> list[ExampleTarget]:
        return [
            ExampleTarget(
                segments=(example["text"], example["pair"]),
                windows=(w,),
                specs=(TargetSpec(kind="output", label="similarity", unit=UNIT),),
                weights=(output.new_ones(1, 1),),
                outputs={"similarity": float(output)},
                notes={"pooling": request.own.get("pooling"), "moves": request.own.get("moves")},
            )
            for w, (example, output) in enumerate(zip(request.examples, outputs, strict=True))
        ]

    def matrices(
        self, request: Request, windows: Sequence[TokenWindow], targets: Sequence[ExampleTarget]
    ) -> list[dict[str, AttentionAttribution]]:
        """The matrix of word pairs of each example, if it is asked for."""
        results: list[dict[str, AttentionAttribution]] = [{} for _ in targets]
        if request.own.get("pairs"):
            steps = next(
                (n for method in request.methods if isinstance(n := getattr(method, "steps", None), int)), None
            )
            pairs = [replace(cast("TextPair", window), moves="both") for window in windows]
            for group in self.groups(pairs):
                batch = self.batch([pairs[i] for i in group])
                problem = self._embedding_problem(request, batch)
                for b, i in enumerate(group):
                    alone = problem.part(problem.everyone[b : b + 1])
                    results[i][PAIRS] = word_pairs(*token_pairs(alone, steps), batch.windows[b], targets[i].segments)
        return results

    def _embedding_problem(self, request: Request, batch: WindowBatch) -> Problem:
        """The problem whose numbers are both embeddings, text first: (R, 2 · E)."""
        subject = TextSubject(
            explainer=self,
            batch=batch,
            target=Target(weights=torch.ones(len(batch.windows), 1, 1)),
            baseline=self.baseline_name(request),
            batching=request.options.batching,
        ).subject()

        def forward(arguments: Mapping[str, Tensor], owner: Tensor) -> Tensor:
            return self.embeddings(batch, owner)

        return replace(subject, forward=forward, read=lambda run, owner: run().flatten(1)).problem()
