"""What Captum's perturbation classes share: features in masks, and functions of examples or of a whole batch."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from xai_nlp.attr.base import PerturbationAttribution
from xai_nlp.core.batching import Batching, progress_bar
from xai_nlp.core.features import NO_FEATURE, FeatureMask, Features
from xai_nlp.core.forward import (
    Baselines,
    CaptumAssertion,
    Forward,
    NotRowwise,
    TensorOrTuple,
    as_tuple,
    baseline_tensors,
    select,
)
from xai_nlp.core.problem import Problem, Tensors

Score = Callable[[Problem], Tensors]  # (B, T, *S) each, or broadcastable


# The features: numbers in masks. ------------------------------------------------------------------------------------


def fits(t: Any, x: Tensor) -> bool:
    """Is this a tensor that broadcasts to the shape of x?"""
    if not isinstance(t, Tensor) or t.ndim > x.ndim:
        return False
    return all(m in (1, n) for m, n in zip(t.shape[::-1], x.shape[::-1], strict=False))


def masks_of(inputs: Tensors, given: TensorOrTuple | None) -> Tensors:
    """One mask an input, each broadcastable to it, with the batch dimension in place; numbers start at 0 or above."""
    masks = as_tuple(given)
    if given is None:
        masks = FeatureMask.entries(tuple(x.new_empty(1, *x.shape[1:]) for x in inputs)).ids
    if len(masks) != len(inputs):
        raise CaptumAssertion(f"{len(inputs)} inputs need as many feature masks; got {len(masks)}.")
    made = []
    for mask, x in zip(masks, inputs, strict=True):
        if not fits(mask, x):
            raise CaptumAssertion(
                f"a feature mask of shape {tuple(mask.shape)} does not fit an input of {tuple(x.shape)}."
            )
        made.append(mask.view(*[1] * (x.ndim - mask.ndim), *mask.shape).long().to(x.device))
    lowest = min((int(mask.min()) for mask in made if mask.numel()), default=0)
    return tuple(mask - min(lowest, 0) for mask in made)


def largest(masks: Sequence[Tensor]) -> int:
    return max((int(mask.max()) for mask in masks if mask.numel()), default=NO_FEATURE)


class DenseMask(FeatureMask):
    """Every number up to the largest is a feature that each example has, whether it occurs or not.

    Captum deals so, and its draws are ours only if we do too.
    """

    @classmethod
    def of(cls, masks: Sequence[Tensor]) -> DenseMask:
        return cls(tuple(masks), largest(masks) + 1)

    def present(self, examples: int) -> Tensor:
        return torch.ones(examples, self.count, dtype=torch.bool, device=self.ids[0].device)


# A function whose output has a row for each example, or belongs to the batch as a whole (a loss, say). ---------------


def as_one(forward: Forward, baselines: Tensors) -> Problem:
    """The batch as one example, perturbed as one."""

    def value(z: Tensors, owner: Tensor) -> Tensor:
        return torch.stack([targeted(forward, tuple(t[r] for t in z)).flatten() for r in range(len(owner))])

    return Problem(value=value, x=tuple(x[None] for x in forward.inputs), baseline=tuple(t[None] for t in baselines))


def targeted(forward: Forward, inputs: Tensors) -> Tensor:
    """What a batch as a whole gives out: the target of it, if there is one."""
    output = forward(inputs, forward.everyone)
    if forward.target is None:
        return output
    return select(output, forward.target, torch.arange(len(output) if output.ndim else 1, device=output.device))


def shape_of(forward: Forward) -> tuple[int, ...]:
    """What the target leaves of the output's shape; (1,) of a number."""
    with torch.no_grad():
        output = forward(forward.inputs, forward.everyone)
    target = forward.target[0] if isinstance(forward.target, list) else forward.target
    index = () if target is None else (0,) if isinstance(target, Tensor) else as_tuple(target)
    return tuple(output.to("meta")[(slice(None), *index)].shape) if output.ndim else (1,)


def limit_of(per_eval: int, examples: int) -> int | None:
    """Rows at a time, from Captum's number of perturbations; None leaves it to the engine."""
    if not isinstance(per_eval, int) or per_eval < 1:
        raise CaptumAssertion(f"perturbations_per_eval must be a whole number of at least 1; got {per_eval!r}.")
    return per_eval * examples if per_eval > 1 else None


class Sweeping(PerturbationAttribution):
    """What these classes share."""

    def _run_ablation(
        self,
        score: Score,
        forward: Forward,
        baselines: Baselines,
        features: Callable[[bool], Features],
        per_eval: int,
        show_progress: bool = False,
    ) -> Tensors:
        """Scores of each number of the output: (numbers, *S) each.

        features: of the examples, or (True) of the batch as one.
        """
        x = forward.inputs
        given = () if baselines is None else as_tuple(baselines)
        wide = tuple(t.expand_as(own) if fits(t, own) else t for t, own in zip(given, x, strict=False))
        x0 = baseline_tensors(x, wide if len(given) == len(x) else baselines)
        limit = limit_of(per_eval, forward.examples)
        with progress_bar(self.get_name()) if show_progress else nullcontext() as progress:
            if len({len(t) for t in x}) == 1 and len(x[0]):
                rows = Batching(limit=limit, progress=progress)
                try:
                    found = score(Problem(value=forward.value, x=x, baseline=x0, features=features(False), rows=rows))
                    return tuple(s.expand(-1, -1, *t.shape[1:]).flatten(0, 1) for s, t in zip(found, x, strict=True))
                except NotRowwise:
                    if per_eval > 1:
                        raise
            whole = replace(as_one(forward, x0), features=features(True), rows=Batching(progress=progress))
            return tuple(s[0, :, 0].expand(-1, *t.shape[1:]) for s, t in zip(score(whole), x, strict=True))

    def _masked(self, score: Score, forward: Forward, baselines: Baselines, masks: Tensors, *how: Any, of: Any) -> Any:
        """The same for features that are numbers in masks."""

        def features(whole: bool) -> Features:
            if whole and any(len(mask) > 1 for mask in masks):
                raise CaptumAssertion(
                    "the output has no row for each example, so one feature mask must serve for all of them."
                )
            return of([mask[None] for mask in masks] if whole else masks)

        return self._run_ablation(score, forward, baselines, features, *how)

    def _promised(self, *args: Any, **kwargs: Any) -> Any:
        """`attribute`, in the background, of a forward function that returns futures."""
        waiting, promise = copy.copy(self), torch.futures.Future()  # type: ignore[var-annotated]

        def waited(*inputs: Any) -> Any:
            output = self.forward_func(*inputs)
            if not isinstance(output, torch.futures.Future):
                raise CaptumAssertion(
                    f"attribute_future needs a forward function that returns futures; got {type(output)}."
                )
            return output.wait()

        def work() -> None:
            try:
                promise.set_result(waiting.attribute(*args, **kwargs))
            except Exception as error:
                promise.set_exception(error)

        waiting.forward_func = waited
        threading.Thread(target=work, daemon=True).start()
        return promise
