"""Entities of token classification: tokens with the same label joined as the pipeline of transformers joins them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor
from transformers.pipelines.token_classification import AggregationStrategy, TokenClassificationPipeline

from xai_nlp.core.result import SPECIAL
from xai_nlp.core.spans import Span
from xai_nlp.models.tokenization import TokenWindow

AGGREGATIONS = ("simple", "first", "average", "max")
OUTSIDE = "O"  # the label of tokens that belong to no entity


@dataclass(frozen=True)
class Entity:
    """A stretch of the text with its type."""

    type: str
    span: Span  # characters of the text
    probability: float  # the mean over its words or tokens
    window: int  # which of the text's windows


class EntityGrouping(TokenClassificationPipeline):
    """The grouping of the `token-classification` pipeline, over logits that are known already."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer

    def entities(
        self, text: str, windows: Sequence[TokenWindow], logits: Sequence[Tensor], aggregation: str
    ) -> list[Entity]:
        """The entities of a text, in its order; where windows overlap, the longer and surer one.

        logits: of each window, (L, C). aggregation: one of AGGREGATIONS, as the pipeline's `aggregation_strategy`.
        """
        strategy, groups = AggregationStrategy(aggregation), []
        for w, (window, of_window) in enumerate(zip(windows, logits, strict=True)):
            tokens = self.gather_pre_entities(
                text,
                window.inputs["input_ids"],
                of_window.double().softmax(-1).cpu().numpy(),
                [tuple(span) for span in window.offsets.tolist()],
                window.segment == SPECIAL,
                strategy,
            )
            groups += [group | {"window": w} for group in self.aggregate(tokens, strategy)]
        inside = [group for group in groups if group["entity_group"] != OUTSIDE]
        if len(windows) > 1:
            inside = self.aggregate_overlapping_entities(inside)
        return [
            Entity(one["entity_group"], (one["start"], one["end"]), float(one["score"]), one["window"])
            for one in cast("list[dict[str, Any]]", inside)
        ]
