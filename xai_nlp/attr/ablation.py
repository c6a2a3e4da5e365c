"""The base of Captum's perturbation classes: features in masks, and functions of examples or of a whole batch."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from xai_nlp.attr.base import PerturbationAttribution, check_count
from xai_nlp.core.batching import Batching, is_out_of_memory
from xai_nlp.core.captum_types import Baselines, CaptumAssertion, NotRowwise, TensorOrTuple
from xai_nlp.core.features import NO_FEATURE, FeatureMask, Features
from xai_nlp.core.forward import Forward, as_tuple, baseline_tensors, select
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.errors import XaiError

#: A problem with features, and f(x) (B, T) if it is known -> (B, T, *S) each, or broadcastable.
ScoreFeatures = Callable[[Problem, Tensor | None], Tensors]


# Features are numbers in masks. ---------------------------------------------------------------------------------------


def broadcasts_to(t: Any, x: Tensor) -> bool:
    """True for a tensor that broadcasts to the shape of x."""
    if not isinstance(t, Tensor) or t.ndim > x.ndim:
        return False
    return all(m in (1, n) for m, n in zip(t.shape[::-1], x.shape[::-1], strict=False))


def feature_masks(inputs: Tensors, masks: TensorOrTuple | None) -> Tensors:
    """One mask for each input, with its dimensions: (1 or B, …) each; the smallest number is 0 or above.

    Raises CaptumAssertion for another number of masks than inputs, or one that does not broadcast to its input.
    """
    if masks is None:
        return FeatureMask.entries(tuple(x.new_empty(1, *x.shape[1:]) for x in inputs)).ids
    if len(as_tuple(masks)) != len(inputs):
        raise CaptumAssertion(f"{len(inputs)} inputs need as many feature masks; got {len(as_tuple(masks))}.")
    result = []
    for mask, x in zip(as_tuple(masks), inputs, strict=True):
        if not broadcasts_to(mask, x):
            raise CaptumAssertion(
                f"a feature mask of shape {tuple(mask.shape)} does not fit an input of {tuple(x.shape)}."
            )
        result.append(mask.view(*[1] * (x.ndim - mask.ndim), *mask.shape).long().to(x.device))
    return tuple(mask - min(smallest(result), 0) for mask in result)


def largest(masks: Sequence[Tensor]) -> int:
    """The largest number in the masks; -1 if they have no entries."""
    return max((int(mask.max()) for mask in masks if mask.numel()), default=NO_FEATURE)


def smallest(masks: Sequence[Tensor]) -> int:
    """The smallest number in the masks; 0 if they have no entries."""
    return min((int(mask.min()) for mask in masks if mask.numel()), default=0)


class DenseMask(FeatureMask):
    """Every number up to the largest is a feature of each example, whether it occurs there or not.

    Captum numbers features so, and our draws are its draws only if we do too.
    """

    @classmethod
    def of(cls, masks: Sequence[Tensor]) -> DenseMask:
        return cls(tuple(masks), largest(masks) + 1)

    def present(self, examples: int) -> Tensor:
        return torch.ones(examples, self.count, dtype=torch.bool, device=self.ids[0].device)


# The output has a row for each example, or belongs to the batch as a whole (a loss, say). -----------------------------


def batch_problem(forward: Forward, baselines: Tensors) -> Problem:
    """The whole batch as one example, perturbed as one."""

    def value(z: Tensors, owner: Tensor) -> Tensor:
        outputs = (forward(tuple(t[r] for t in z), forward.everyone) for r in range(len(owner)))
        return torch.stack([batch_target(forward, output).flatten() for output in outputs])

    return Problem(value=value, x=tuple(x[None] for x in forward.inputs), baseline=tuple(t[None] for t in baselines))


def batch_target(forward: Forward, output: Tensor) -> Tensor:
    """The target in the output for a whole batch; the output itself without a target."""
    if forward.target is None:
        return output
    return select(output, forward.target, torch.arange(len(output) if output.ndim else 1, device=output.device))


def check_one_batch(forward: Forward) -> None:
    """Raises NotRowwise if the inputs have different numbers of rows, or none."""
    if len({len(x) for x in forward.inputs}) > 1 or not forward.examples:
        raise NotRowwise("inputs of different batch sizes are perturbed as one, with perturbations_per_eval=1.")


def values_by_example(forward: Forward) -> Tensor | None:
    """f(x) (B, T), from one pass with the whole batch; None if it does not fit in memory.

    Raises NotRowwise if the output does not have a row for each example.
    """
    try:
        return select(forward.output, forward.target, forward.everyone)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return None


@dataclass
class RowValues:
    """`forward.value`, which gives the function one row more than the batch has where it is asked for as many.

    Else B numbers that belong to the batch as a whole would be taken for one number of each of B rows.
    sizes: the numbers of rows that the function gave as many rows for.
    """

    forward: Forward
    sizes: set[int] = field(default_factory=set)

    def __call__(self, z: Tensors, owner: Tensor) -> Tensor:
        rows = len(owner)
        if rows == self.forward.examples > 1:
            z, owner = tuple(torch.cat([t, t[:1]]) for t in z), torch.cat([owner, owner[:1]])
        values = self.forward.value(z, owner)
        self.sizes.add(len(owner))
        return values[:rows]


def needs_whole_batch(error: Exception) -> bool:
    """True for an error that a function may raise since it was given other rows than a whole batch.

    Errors of this package say what else is wrong.
    """
    return isinstance(error, NotRowwise) or not isinstance(error, XaiError)


def target_shape(forward: Forward) -> tuple[int, ...]:
    """The shape of the target in the output for the whole batch; (1,) of a number."""
    output = forward.output
    target = forward.target[0] if isinstance(forward.target, list) else forward.target
    index = () if target is None else (0,) if isinstance(target, Tensor) else as_tuple(target)
    return tuple(output.to("meta")[(slice(None), *index)].shape) if output.ndim else (1,)


def row_limit(perturbations_per_eval: int, examples: int) -> int | None:
    """The limit of rows for Captum's number of perturbations; None leaves it to the engine."""
    check_count("perturbations_per_eval", perturbations_per_eval)
    return perturbations_per_eval * examples if perturbations_per_eval > 1 else None


def masked_features(
    masks: Tensors, make: Callable[[Sequence[Tensor]], Features] = FeatureMask.of
) -> Callable[[bool], Features]:
    """Features that are numbers in masks: those of the examples, or with True those of the batch as one example."""

    def features(batch: bool) -> Features:
        if batch and any((mask != mask[:1]).any() for mask in masks):
            raise CaptumAssertion(
                "the output has no row for each example, so one feature mask must serve for all of them."
            )
        return make([mask[None, :1] for mask in masks] if batch else masks)

    return features


class AblationAttribution(PerturbationAttribution):
    """Scores of features, from values of the function with some of them at the baseline."""

    _rowwise: Callable[..., Any] | None = None  # the function, once it gave a row for each of two numbers of rows

    def _run_ablation(
        self,
        score: ScoreFeatures,
        forward: Forward,
        baselines: Baselines,
        features: Callable[[bool], Features],
        per_eval: int,
        show_progress: bool = False,
    ) -> Tensors:
        """Scores of each number of the output: (numbers, *S) each.

        features: makes the features of the examples, or with True those of the batch as one example.
        """
        x = forward.inputs
        starts = () if baselines is None else as_tuple(baselines)
        if len(starts) == len(x):
            pairs = zip(starts, x, strict=True)
            baselines = tuple(t.expand_as(own) if broadcasts_to(t, own) else t for t, own in pairs)
        x0 = baseline_tensors(x, baselines)
        limit = row_limit(per_eval, forward.examples)
        with self._progress(show_progress) as progress:
            try:
                check_one_batch(forward)
                known = forward.rowwise or self._rowwise is forward.func  # then f(x) needs no pass of its own
                value, of_rows = None if known else values_by_example(forward), RowValues(forward)
                rows = Batching(limit=limit, progress=progress)
                problem = Problem(value=of_rows, x=x, baseline=x0, features=features(False), rows=rows)
                scores = score(problem, value)
                if value is not None and of_rows.sizes - {forward.examples}:
                    self._rowwise = forward.func
                return tuple(s.expand(-1, -1, *t.shape[1:]).flatten(0, 1) for s, t in zip(scores, x, strict=True))
            except Exception as error:
                if limit or not needs_whole_batch(error):
                    raise
            value = batch_target(forward, forward.output).flatten()[None]
            problem = replace(batch_problem(forward, x0), features=features(True), rows=Batching(progress=progress))
            scores = score(problem, value)
            return tuple(s[0, :, 0].expand(-1, *t.shape[1:]) for s, t in zip(scores, x, strict=True))

    def attribute_future(self, *args: Any, **kwargs: Any) -> Any:
        """A future of what `attribute` returns, for a forward function that returns futures; same arguments.

        It returns when the function has been called once. Raises CaptumAssertion if the function does not return
        futures, and what `attribute` raises before that call; later errors are raised by the future.
        """
        synchronous, future = copy.copy(self), torch.futures.Future()  # type: ignore[var-annotated]
        called, refused = threading.Event(), []

        def wait(*inputs: Any) -> Any:
            output = self.forward_func(*inputs)
            if not isinstance(output, torch.futures.Future):
                raise CaptumAssertion(
                    f"attribute_future needs a forward function that returns futures; got {type(output)}."
                )
            called.set()
            return output.wait()

        def work() -> None:
            try:
                future.set_result(synchronous.attribute(*args, **kwargs))
            except Exception as error:
                refused.extend([] if called.is_set() else [error])
                future.set_exception(error)
            called.set()

        synchronous.forward_func = wait
        threading.Thread(target=work, daemon=True).start()
        called.wait()
        if refused:
            raise refused[0]
        return future
