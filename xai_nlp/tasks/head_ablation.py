"""Head ablation: the target's loss when one attention head gives out nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.batching import Batching
from xai_nlp.core.targets import Target
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.attention import attention_points, intercept
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks import run
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.run import ExampleTarget

Head = tuple[int, int]  # (layer, head), counted from 0; in an encoder–decoder attention computations in their order


@contextmanager
def ablated(explainer: Explainer, heads: Iterable[Head]) -> Iterator[None]:
    """While open, these heads give out nothing: their attention is zero, and the model goes on without them.

    Source: Michel, Levy & Neubig 2019, sec. 2.3 (arXiv:1905.10650).
    """
    by_layer: dict[int, list[int]] = {}
    for layer, head in heads:
        by_layer.setdefault(layer, []).append(head)

    def without(layer: int, probabilities: Tensor) -> Tensor | None:
        if layer not in by_layer:
            return None
        changed = probabilities.clone()
        changed[:, by_layer[layer]] = 0
        return changed

    with intercept(explainer.model, without):
        yield


def head_ablation(explainer: Explainer, *inputs: Any, **options: Any) -> np.ndarray:
    """The target's loss without each head, f(x) − f(x without it): (layers, H), in the target's unit.

    inputs, options: those of the explainer's `explain`, for one input and one target, of any task. The target is fixed
    before the first head is ablated. Cost: one model row for each head, several in a pass, and two rows of the input
    itself: one to fix the target, one to find the heads of each window.
    Raises InvalidInput for several inputs or targets.

    >>> import xai_nlp
    >>> head_ablation(xai_nlp.load("sentiment"), "a gripping film").shape
    (3, 12)
    """
    request = explainer.request(*explainer.named_inputs(inputs, options))
    with frozen_model(explainer.model, evaluate=True), torch.no_grad():
        windows = explainer.encode(request)
        targets = explainer.targets(request, windows, run.predict(explainer, windows, request.options.batching))
        if len(targets) != 1 or len(targets[0].specs) != 1:
            raise InvalidInput("heads are ablated for one input and one target; give one of each.")
        (target,) = targets
        losses = [
            _window_losses(explainer, windows[w], target, k, request.options.batching)
            for k, w in enumerate(target.windows)
        ]
    return np.mean(losses, axis=0)


def _window_losses(
    explainer: Explainer, window: TokenWindow, target: ExampleTarget, k: int, batching: Batching
) -> np.ndarray:
    batch, outputs = explainer.batch([window]), []
    points = attention_points(explainer.model, lambda: outputs.append(explainer.run(batch, {}, batch.everyone)))
    heads = [(layer, head) for layer, point in enumerate(points) for head in range(point.heads)]
    number = Target(weights=target.weights[k][None], unit=target.link)

    def values(part: Sequence[Head]) -> Tensor:
        owner = batch.everyone.expand(len(part))

        def without(layer: int, probabilities: Tensor) -> Tensor | None:
            rows = [r for r, (of_row, _) in enumerate(part) if of_row == layer]
            if not rows or len(probabilities) != len(part):
                return None
            changed = probabilities.clone()
            changed[rows, [part[r][1] for r in rows]] = 0
            return changed

        with intercept(explainer.model, without):
            return number(explainer.run(batch, {}, owner), owner)[:, 0]

    whole = number(outputs[0], batch.everyone)[0, 0].double()
    entries = batch.movable.shape[1] * explainer.width
    device = batch.movable.device
    parts = [v for _, v in batching.chunks(len(heads), entries, device, lambda part: values(heads[part]))]
    losses = torch.zeros(len(points), max(point.heads for point in points), dtype=torch.float64)
    losses[tuple(zip(*heads, strict=True))] = (whole - torch.cat(parts).double()).cpu()
    return losses.numpy()
