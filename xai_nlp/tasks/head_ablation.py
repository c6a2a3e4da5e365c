"""Attention heads: which matter, and what the model says without them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.attention import attention_site, intercepted
from xai_nlp.tasks.explainer import Explainer

Head = tuple[int, int]  # (layer, head), counted from 0; in an encoder–decoder attention computations in their order


@contextmanager
def ablated(explainer: Explainer, heads: Iterable[Head]) -> Iterator[None]:
    """While open, these heads give out nothing: their attention is zero, and the model goes on without them.

    Source: Michel, Levy & Neubig 2019, sec. 2.3 (arXiv:1905.10650).
    """
    gone: dict[int, list[int]] = {}
    for layer, head in heads:
        gone.setdefault(layer, []).append(head)

    def without(layer: int, probabilities: Tensor) -> Tensor | None:
        if layer not in gone:
            return None
        kept = probabilities.clone()
        kept[:, gone[layer]] = 0
        return kept

    with intercepted(explainer.model, without):
        yield


def head_ablation(explainer: Explainer, *inputs: Any, **how: Any) -> np.ndarray:
    """What the target loses without each head, f(x) − f(x without it): (layers, H), in the target's unit.

    Takes what the explainer's `explain` takes, for one input and one target. The target is fixed before the first head
    is taken away. Cost: a forward pass a head. Raises InvalidInput for several inputs or targets.

    >>> import xai_nlp
    >>> head_ablation(xai_nlp.load("sentiment"), "a gripping film").shape
    (3, 12)
    """
    whole = explainer.explain(*inputs, method="random", **how)  # type: ignore[attr-defined]
    if not isinstance(whole, Explanation):
        raise InvalidInput("heads are taken away for one input and one target; give one of each.")
    fixed = {**how, "target": str(whole.target)}
    if whole.task == "question-answering":
        fixed = {**how, "answer": None if whole.answer is None else whole.answer[1]}
    text: Any = whole.segments if len(whole.segments) > 1 else whole.segments[0]
    batch = explainer._batch(explainer._encode([text])[:1])
    matrices = attention_site(explainer.model, lambda: explainer._run(batch, batch.everyone)).matrices
    lost = torch.zeros(len(matrices), max(matrix.heads for matrix in matrices), dtype=torch.float64)
    for layer, matrix in enumerate(matrices):
        for head in range(matrix.heads):
            with ablated(explainer, [(layer, head)]):
                without = explainer.explain(*inputs, method="random", **fixed)  # type: ignore[attr-defined]
            lost[layer, head] = whole.value - without.value
    return lost.numpy()
