"""Head ablation: the target's loss when one attention head gives out nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xai_nlp.core.batching import Batching
from xai_nlp.core.targets import Target
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.attention import attention_points, intercept
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.scope import hooked
from xai_nlp.models.attention_families import attention_reach
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks import run
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.explainer import Explainer

Head = tuple[int, int]  # (layer, head), counted from 0; in an encoder–decoder attention computations in their order


@contextmanager
def ablated(explainer: Explainer, heads: Iterable[Head]) -> Iterator[None]:
    """While open, these heads give out nothing: their attention is zero, and the model goes on without them.

    Source: Michel, Levy & Neubig 2019, sec. 2.3 (arXiv:1905.10650).
    """
    by_layer: dict[int, list[int]] = {}
    for layer, head in heads:
        by_layer.setdefault(layer, []).append(head)

    def without(layer: int, module: nn.Module, probabilities: Tensor) -> Tensor | None:
        if layer not in by_layer:
            return None
        changed = probabilities.clone()
        changed[:, by_layer[layer]] = 0
        return changed

    with intercept(attention_reach(explainer.model), without):
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
    reach = attention_reach(explainer.model)
    points = attention_points(reach, lambda: outputs.append(explainer.run(batch, {}, batch.everyone)))
    heads = [(layer, head) for layer, point in enumerate(points) for head in range(point.heads)]
    number = Target(weights=target.weights[k][None], unit=target.link)
    losses = torch.zeros(len(points), max(point.heads for point in points), dtype=torch.float64)

    def values(part: Sequence[Head]) -> Tensor:
        """The target of each row (R,), in which one head gives out nothing."""
        rows: dict[int, list[int]] = {}
        for row, (layer, _) in enumerate(part):
            rows.setdefault(layer, []).append(row)

        def without(of_layer: Sequence[int], probabilities: Tensor) -> Tensor:
            changed = probabilities.clone()
            of_rows = slice(None) if len(part) == 1 else list(of_layer)  # an image may be several rows
            changed[of_rows, [part[row][1] for row in of_layer]] = 0
            return changed

        owner = batch.everyone.expand(len(part))
        with hooked([(points[layer], partial(without, of_layer)) for layer, of_layer in rows.items()]):
            return number(explainer.run(batch, {}, owner), owner)[:, 0].double()

    unchanged = number(outputs[0], batch.everyone)[0, 0].double()
    entries = explainer.row_entries(batch)
    # The side that looks at images may compute attention image by image, or a tile at a time: one row in a pass there.
    vision = [head for head in heads if points[head[0]].stack == "vision"]
    for members, rows in ((vision, Batching(limit=1)), ([head for head in heads if head not in vision], batching)):
        work = lambda part, members=members: values(members[part])  # noqa: E731
        for part, without_heads in rows.chunks(len(members), entries, batch.movable.device, work):
            losses[tuple(zip(*members[part], strict=True))] = (unchanged - without_heads).cpu()
    return losses.numpy()
