"""A model at one short input, as the checks of `xai_nlp.doctor` need it: its output, what moves it, longer inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor

from xai_nlp.core.batching import Batching
from xai_nlp.core.subject import Subject
from xai_nlp.core.targets import Target
from xai_nlp.hooks.points import edit
from xai_nlp.hooks.scope import HookPoint
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks import run
from xai_nlp.tasks.batch import TextSubject, WindowBatch
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.options import Request

ROUNDING = 1000  # units in the last place by which an output may change through rounding, relative to the largest
PASSES = 3  # that are compared with the first one
MOST_ROUNDING = 0.05  # of the largest output, where a dtype has few digits
SMALLEST = 0.1  # outputs below it are held to its rounding


@dataclass(frozen=True, eq=False)
class Probe:
    """One example of a model. The model is in evaluation mode while it is probed.

    training: the paths of modules that were in training mode before.
    """

    explainer: Explainer
    example: Mapping[str, Any]
    training: Sequence[str] = ()

    def request(self, **changed: Any) -> Request:
        """The example as a call of `explain`, with other inputs or options."""
        explainer = self.explainer
        return explainer.request(*explainer.named_inputs((), {**self.example, **changed}))

    @cached_property
    def windows(self) -> list[TokenWindow]:
        """The example's windows; no pass is made."""
        return self.explainer.encode(self.request())

    @cached_property
    def target(self) -> ExampleTarget:
        """What is explained of the example. Raises InvalidInput for outputs of NaN."""
        request, outputs = self.request(), run.predict(self.explainer, self.windows, Batching())
        return self.explainer.targets(request, self.windows, outputs)[0]

    @cached_property
    def window(self) -> TokenWindow:
        """The window that is explained."""
        return self.windows[self.target.windows[0]]

    @cached_property
    def batch(self) -> WindowBatch:
        """The window by itself."""
        return self.explainer.batch([self.window])

    def run(
        self, batch: WindowBatch, rows: Sequence[int] = (0,), arguments: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """The outputs (R, *C) of these rows of a batch, in float32 or wider; under whatever hooks are open."""
        owner = torch.tensor(rows, device=batch.movable.device)
        with torch.no_grad():
            output = self.explainer.run(batch, arguments or {}, owner)
        return output.to(torch.promote_types(output.dtype, torch.float32))

    @cached_property
    def output(self) -> Tensor:
        """The outputs (1, *C) of the example."""
        return self.run(self.batch)

    @cached_property
    def noise(self) -> float:
        """By how much the outputs of equal passes differ."""
        return max(difference(self.run(self.batch), self.output) for _ in range(PASSES))

    @cached_property
    def rounding(self) -> float:
        """By how much an output may change where nothing that matters changed."""
        digits = torch.finfo(getattr(self.explainer.model, "dtype", torch.float32)).eps
        finite = self.output[self.output.isfinite()].abs()
        size = max(SMALLEST, float(finite.max()) if len(finite) else 0.0)
        return min(ROUNDING * digits, MOST_ROUNDING) * size

    def is_same(self, output: Tensor) -> bool:
        """Is it the example's output, but for rounding?"""
        return difference(output, self.output) <= self.rounding

    @cached_property
    def subject(self) -> Subject:
        """What explanations of the example are made from."""
        return TextSubject(
            explainer=self.explainer,
            batch=self.batch,
            target=Target(weights=self.target.weights[0][None], unit=self.target.link),
            baseline=self.explainer.baseline_name(self.request()),
            batching=Batching(),
        ).subject()

    def moves_output(
        self, points: Sequence[HookPoint], change: Callable[[Tensor], Tensor], reference: Tensor | None = None
    ) -> bool:
        """Does the output change where `change` replaces each tensor at these points?

        reference: the output without a change; None for that of a plain pass.
        """
        with edit({point: partial(_each, change) for point in points}):
            changed = self.run(self.batch)
        return difference(changed, self.output if reference is None else reference) > 2 * self.noise

    @cached_property
    def repeated_inputs(self) -> tuple[str, ...]:
        """The inputs that make the example longer: its long texts, or its texts where none is long."""
        fields = [one for one in self.explainer.task.inputs if isinstance(self.example.get(one.name), str)]
        long = [one.name for one in fields if one.kind == "long text"]
        return tuple(long or [one.name for one in fields if one.kind == "text"])

    def longer(self, more: int) -> TokenWindow:
        """The window of the example with so many more of its words. Raises InvalidInput if it is too long."""
        texts = {}
        for name in self.repeated_inputs:
            words = self.example[name].split()
            texts[name] = " ".join(islice(cycle(words), len(words) + more))
        return self.explainer.encode(self.request(**texts))[self.target.windows[0]]

    def share_a_batch(self, window: TokenWindow) -> bool:
        """Do texts of other examples run beside the example's window?"""
        key = self.explainer.batch_key
        return key(self.window) == key(replace(window, example=self.window.example + 1))


def difference(output: Tensor, other: Tensor) -> float:
    """The largest difference of two outputs where both have entries: padding may make one longer. NaN counts as ∞."""
    common = tuple(slice(min(sizes)) for sizes in zip(output.shape, other.shape, strict=True))
    a, b = output[common], other[common].to(output.device)
    apart = torch.where(a == b, 0.0, (a - b).abs())
    return float(apart.nan_to_num(nan=torch.inf).max()) if apart.numel() else 0.0


def other_numbers(tensor: Tensor) -> Tensor:
    """Random numbers of the same size as a tensor's; the same at each call."""
    draws = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(0))
    return (draws * tensor.float().std(correction=0).cpu().clamp_min(1e-3)).to(tensor)


def _each(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """The change of a tensor, or of each of several."""
    return tuple(map(change, value)) if isinstance(value, tuple) else change(value)
