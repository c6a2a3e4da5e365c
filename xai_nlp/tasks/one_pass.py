"""One pass for prediction and explanation.

A method that looks at x first makes the pass that predicts, too: the outputs of a row fix its target, in the same pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xai_nlp.core.targets import Target
from xai_nlp.errors import InvalidInput
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.example_target import ExampleTarget, padded_weights
from xai_nlp.tasks.options import Request

if TYPE_CHECKING:
    from xai_nlp.tasks.explainer import Explainer


def takes_one_pass(explainer: Explainer, request: Request, windows: Sequence[TokenWindow]) -> bool:
    """Can the pass that explains be the one that predicts? Predictions are in the precision of the weights."""
    (first, *others) = request.methods
    options = request.options
    return (
        first.looks_at_x_first
        and not (others or options.layers or options.attention)
        and explainer.one_target
        and len(windows) == len(request.examples)
        and options.precision is None
    )


@dataclass(eq=False)
class TargetOfOutputs:
    """A target that is fixed for each window when its outputs are first seen.

    windows: of all examples, one each. members: the indices of those in the batch. found: the targets by index.
    of_batch: the targets of the batch, when all are fixed.
    """

    explainer: Explainer
    request: Request
    windows: Sequence[TokenWindow]
    members: Sequence[int]
    found: dict[int, ExampleTarget] = field(default_factory=dict)
    of_batch: Target | None = None

    def __call__(self, outputs: Tensor, owner: Tensor) -> Tensor:
        """The targets (R, T) of outputs (R, *C) of rows that belong to the windows `owner` (R,) of the batch.

        The first row of each window is at x.
        """
        if self.of_batch is not None:
            return self.of_batch(outputs, owner)
        indices = [self.members[b] for b in owner.tolist()]
        new = {index: row for row, index in reversed([*enumerate(indices)]) if index not in self.found}
        if new:
            self._fix([*new], outputs.detach()[[*new.values()]])
        if self.found.keys() >= set(self.members):
            self.of_batch = self._target(self.members)
            return self.of_batch(outputs, owner)
        return self._target(indices)(outputs, torch.arange(len(indices), device=outputs.device))

    def _target(self, indices: Sequence[int]) -> Target:
        targets = [self.found[index] for index in indices]
        return Target(weights=padded_weights([target.weights[0] for target in targets]), unit=targets[0].link)

    def _fix(self, indices: Sequence[int], outputs: Tensor) -> None:
        outputs = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
        check_outputs(outputs, self.windows, indices)
        windows = [replace(self.windows[index], example=e) for e, index in enumerate(indices)]
        request = self.request.part([self.windows[index].example for index in indices])
        targets = self.explainer.targets(request, windows, list(outputs))
        self.found.update(
            (index, replace(target, windows=(index,))) for index, target in zip(indices, targets, strict=True)
        )


def check_outputs(outputs: Tensor, windows: Sequence[TokenWindow], indices: Sequence[int]) -> None:
    """Raise InvalidInput, which names the example, for outputs (R, *C) of NaN and +∞. A label may be impossible: −∞.

    indices: of the windows of the rows.
    """
    broken = (outputs.isnan() | outputs.isposinf()).flatten(1).any(1)
    if broken.any():
        name = example_name(windows, indices[int(broken.nonzero()[0])])
        raise InvalidInput(f"the model gives NaN or infinity for {name}. Load it in float32, or check its weights.")


def example_name(windows: Sequence[TokenWindow], window: int) -> str:
    """What messages call the example of a window: by its index, if there are several."""
    several = len({one.example for one in windows}) > 1
    return f"example {windows[window].example}" if several else "the input"
