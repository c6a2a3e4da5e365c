"""A Subject: a model function bound to B examples, the inputs that can move, and the number that is read.

`subject.problem(...)` poses the Problem that a method works on. `subject.at(point)` enters the model at a point inside:
the tensors there become what moves, and the modules before it do not run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.core.batching import Batching, Result
from xai_nlp.core.features import FeatureMask
from xai_nlp.core.problem import Problem, Tensors, cat_each, row_entries
from xai_nlp.hooks.attention import AttentionPoint
from xai_nlp.hooks.points import Points
from xai_nlp.hooks.prefix_cache import CachedPrefix, cached_prefixes, use_cached
from xai_nlp.hooks.scope import HookPoint, captured, replaced, tensors_of

Run = Callable[[], Any]  # one forward pass under whatever hooks are open -> the raw output


@dataclass(frozen=True, kw_only=True, eq=False)
class MovableInput:
    """Tensors that go from a baseline to x: word embeddings, pixels, a layer's output, attention matrices.

    point: where they pass inside the model; None if they enter as an argument of the forward callable.
    features: the number of the feature that each entry belongs to, broadcastable to x; None if there are no features.
    positions: how many positions at the end of a layer's sequence belong to parts of this input, where that is known
        and the same in every layer.
    """

    x: Tensors  # (B, *S) each
    baseline: Tensors  # (B, *S) each
    point: HookPoint | None = None
    features: Tensor | None = None
    positions: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A model function bound to B examples.

    forward: arguments by the name of their input, and the example of each row (R,) -> the raw output of R rows. An
        input that is not among the arguments is at x.
    read: a forward pass and the example of each row (R,) -> the T numbers that are explained (R, T).
    inputs: what can move, by name; attention and layers become inputs through `at`.
    layer: where scores are asked instead of the inputs; None for the inputs themselves.
    points: the named hook points of the model, where they are known.
    attention_root: the module whose attention matrices belong to this subject.
    prefix: modules whose output is known and that do not run.
    """

    forward: Callable[[Mapping[str, Tensor], Tensor], Any]
    read: Callable[[Run, Tensor], Tensor]
    inputs: Mapping[str, MovableInput]
    examples: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    layer: HookPoint | None = None
    points: Points | None = None
    attention_root: nn.Module | None = None
    prefix: CachedPrefix = field(default_factory=CachedPrefix)
    batching: Batching = field(default_factory=Batching)

    @property
    def everyone(self) -> Tensor:
        """The example of each row when every example is one row: (B,)."""
        return torch.arange(self.examples, device=self.device)

    def problem(
        self, move: Sequence[str] = (), *, observe: Sequence[HookPoint] = (), also_inputs: bool = False
    ) -> Problem:
        """The problem in which the named inputs move; all of them if none is named.

        observe: hook points whose tensors are scored instead of the inputs; with `also_inputs`, before the inputs.
        """
        moving = {name: self.inputs[name] for name in move or self.inputs}

        def value(z: Tensors, owner: Tensor) -> Tensor:
            return self.read(lambda: self.run(owner, moving, z), owner)

        features = [one.features for one in moving.values() for _ in one.x]
        return Problem(
            value=value,
            x=tuple(t for one in moving.values() for t in one.x),
            baseline=tuple(t for one in moving.values() for t in one.baseline),
            sites=tuple(observe),
            also_inputs=also_inputs,
            features=None if None in features else FeatureMask.of([f for f in features if f is not None]),
            rows=self.batching,
        )

    def tensors(self, points: Sequence[HookPoint], *, at_baseline: bool = False) -> list[Tensors]:
        """The tensors at hook points for x, or for the baseline: (B, *S) each, for each point."""
        problem = self.problem(observe=points)
        return problem.site_tensors(problem.baseline if at_baseline else problem.x)

    def at(
        self, points: HookPoint | Sequence[HookPoint], baseline: Callable[[Tensor], Tensor] | None = None
    ) -> Subject:
        """The same subject entered at hook points: their tensors move, and the modules before them run no more.

        baseline: makes the baseline of a tensor; None is what passes when the inputs are at their baselines. Several
        points move together; none should depend on another's output.
        """
        (entered,) = self.at_each([points if isinstance(points, Sequence) else [points]], baseline)
        return entered

    def at_each(
        self, groups: Sequence[Sequence[HookPoint]], baseline: Callable[[Tensor], Tensor] | None = None
    ) -> list[Subject]:
        """One subject for each group of points that move together, as `at` makes it, from shared passes."""
        points = list(dict.fromkeys(point for group in groups for point in group))
        x, prefixes = self._tensors_and_prefixes(points)
        if baseline:
            start = [tuple(map(baseline, t)) for t in x]
        else:
            start = self.tensors(points, at_baseline=True)
        at_x, at_start = (dict(zip(points, tensors, strict=True)) for tensors in (x, start))
        subjects = []
        for group in groups:
            prefix = min((prefixes[point] for point in group), key=lambda one: len(one.outputs))
            inputs = {
                str(n): MovableInput(x=at_x[point], baseline=at_start[point], point=prefix.after(point))
                for n, point in enumerate(group)
            }
            subjects.append(replace(self, inputs=inputs, prefix=prefix, layer=None))
        return subjects

    def _tensors_and_prefixes(self, points: Sequence[HookPoint]) -> tuple[list[Tensors], dict[HookPoint, CachedPrefix]]:
        """The tensors at each point for x, and its prefix, from one pass with a part of the examples at a time."""

        def work(part: slice) -> tuple[list[Tensors], tuple[CachedPrefix, ...]]:
            passed = []

            def output(owner: Tensor) -> Tensor:
                with captured(points, rows=len(owner)) as capture:
                    passed.append(capture)
                    return tensors_of(self.run(owner))[0]

            prefixes = cached_prefixes(points, output, self.everyone[part], limit=self.batching.limit)
            return passed[0].tensors(), prefixes

        tensors, prefixes = zip(*(found for _, found in self.chunks(work)), strict=True)
        joined = map(CachedPrefix.joined, zip(*prefixes, strict=True))
        return list(map(cat_each, zip(*tensors, strict=True))), dict(zip(points, joined, strict=True))

    @cached_property
    def attention(self) -> tuple[AttentionPoint, ...]:
        """The attention matrices of a forward pass, in their order. Raises Unsupported if they cannot be reached."""
        assert self.attention_root is not None and self.points is not None, "this subject has no attention"
        return self.points.attention_in(self.attention_root, lambda: self.run(self.everyone[:1]))

    def run(self, owner: Tensor, moving: Mapping[str, MovableInput] | None = None, z: Tensors = ()) -> Any:
        """A forward pass with the moving inputs at z and the others at x: the raw output of rows of `owner` (R,)."""
        tensors = iter(z)
        arguments: dict[str, Tensor] = {}
        inside: list[tuple[HookPoint, list[Tensor]]] = []
        for name, one in (moving or {}).items():
            own = [next(tensors) for _ in one.x]
            if one.point is None:
                (arguments[name],) = own
            else:
                inside.append((one.point, own))
        if not inside and not self.prefix.outputs:  # a small model would notice two contexts that do nothing
            return self.forward(arguments, owner)
        with use_cached(self.prefix, owner, self.examples), replaced(inside):
            return self.forward(arguments, owner)

    def chunks(self, work: Callable[[slice], Result]) -> Iterator[tuple[slice, Result]]:
        """`work` over the examples, as many at a time as memory allows."""
        x = tuple(t for one in self.inputs.values() for t in one.x)
        return self.batching.chunks(self.examples, row_entries(x), self.device, work)
