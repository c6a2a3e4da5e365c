"""How a model sees an input: the last layer's output, pooled, and the entropy of what the model gives out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from xai_nlp.core.result import TargetSpec
from xai_nlp.core.subject import Subject
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.scope import captured
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.batch import WindowBatch
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.options import Request
from xai_nlp.tasks.removals import removal_subject
from xai_nlp.tasks.run import predict


def embedding_subject(
    explainer: Any,
    request: Request,
    windows: Sequence[TokenWindow],
    target: ExampleTarget,
    removal: str,
    **options: Any,
) -> Subject:
    """The subject of `tasks.removals.removal_subject`, which reads how the model sees the input: T = D + 1 numbers.

    They are the mean of the last layer over the positions that are not padding, and then the entropy of the output in
    nats; 0 where the outputs are no distribution (regression, written answers). `metrics.out_of_distribution` takes it.
    Arguments and errors are those of `removal_subject`.
    """
    reader: Any = EmbeddingReader(explainer, target.link)
    numbers = predict(reader, [windows[target.windows[0]]], request.options.batching)[0]
    every = torch.eye(len(numbers), device=numbers.device)
    spec = TargetSpec(kind="output", label="embedding")
    read = replace(target, specs=(spec,) * len(numbers), weights=(every,) * len(target.windows), link="logit")
    return removal_subject(reader, request, windows, read, removal, **options)


def input_embeddings(explainer: Any, request: Request, windows: Sequence[TokenWindow], link: str = "logit") -> Tensor:
    """The same D + 1 numbers of windows as they are: (windows, D + 1).

    windows: of `explainer.encode(request)`. link: that of the targets.
    """
    reader: Any = EmbeddingReader(explainer, link)
    with frozen_model(explainer.model, evaluate=True):
        return torch.stack(predict(reader, windows, request.options.batching))


@dataclass(frozen=True, eq=False)
class EmbeddingReader:
    """An explainer of the same task, whose outputs are D + 1 numbers that say how the model sees each row."""

    explainer: Any
    link: str  # a key of core.targets.UNITS
    token_axis: ClassVar[int | None] = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.explainer, name)

    def run(self, batch: WindowBatch, arguments: Mapping[str, Tensor], owner: Tensor) -> Tensor:
        """The pooled embedding and the entropy of rows that belong to `owner` (R,): (R, D + 1)."""
        last = self.explainer.layer(len(self.explainer.adapter.layers) - 1)
        with captured([last], differentiable=False) as result:
            outputs = self.explainer.run(batch, arguments, owner)
        hidden = result.tensors()[0][0]
        read = batch.inputs["attention_mask"][owner] > 0 if "attention_mask" in batch.inputs else None
        wide = torch.promote_types(outputs.dtype, torch.float32)
        return torch.cat([_pooled(hidden.to(wide), read), self._entropy(outputs.to(wide), read)[:, None]], 1)

    def _entropy(self, outputs: Tensor, read: Tensor | None) -> Tensor:
        """Of outputs (R, *C), the mean over their distributions, in nats: (R,)."""
        if getattr(self.explainer, "generated", None) is not None:
            return outputs.new_zeros(len(outputs))
        axis = self.explainer.token_axis
        over_tokens = axis is not None and axis == outputs.ndim - 2  # which token it is: start and end of an answer
        if over_tokens and read is not None:
            outputs = outputs.masked_fill(~read[:, None], -torch.inf)
        if self.link == "independent probability":
            shares = outputs.sigmoid()
            entropies = torch.special.entr(shares) + torch.special.entr(1 - shares)
        else:
            entropies = torch.special.entr(outputs.softmax(-1)).sum(-1, keepdim=True)
        if axis is not None and not over_tokens and read is not None:
            return (entropies * read[:, :, None]).flatten(1).sum(1) / read.sum(1)
        return entropies.flatten(1).mean(1)


def _pooled(hidden: Tensor, read: Tensor | None) -> Tensor:
    """The mean over places, of a sequence (R, S, D) without its padding or of a map (R, D, H, W): (R, D).

    read: which of the first positions of the sequence are not padding (R, L).
    """
    if hidden.ndim == 4:
        return hidden.flatten(2).mean(2)
    weights = hidden.new_ones(hidden.shape[:2])
    if read is not None:
        weights[:, : read.shape[1]] = read.to(weights)[:, : weights.shape[1]]
    return (hidden * weights[:, :, None]).sum(1) / weights.sum(1, keepdim=True)
