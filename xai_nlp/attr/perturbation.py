"""Captum's names for scores from taking parts of the input away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from xai_nlp.attr.base import Attribution
from xai_nlp.attr.forward import Baselines, Forward, NotRowwise, TargetType, TensorOrTuple, as_tuple, select, tensorized
from xai_nlp.core.features import Features, Groups, Windows
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.rows import Rows, progress_bar
from xai_nlp.errors import InvalidInput
from xai_nlp.methods.perturbation import Occlusion as Leave


def _rowwise(forward: Forward, baselines: Tensors, features: Features, rows: Rows) -> Tensors:
    """Each row of the output belongs to a row of the input: perturbations of all examples go together."""
    problem = Problem(value=forward.value, x=forward.inputs, baseline=baselines, features=features, rows=rows)
    scores = Leave().scores(problem).tensors
    return tuple(
        s.expand(-1, -1, *x.shape[1:]).reshape(-1, *x.shape[1:]) for s, x in zip(scores, forward.inputs, strict=True)
    )


def _whole(forward: Forward, baselines: Tensors, masks: Tensors, rows: Rows) -> Tensors:
    """The output belongs to the batch as a whole (a loss, say): the batch is one example, perturbed as one."""
    if any(len(mask) != 1 for mask in masks):
        raise InvalidInput("the output has no row for each example, so one feature mask must serve for all of them.")

    def value(z: Tensors, owner: Tensor) -> Tensor:
        outputs = (forward(tuple(t[r] for t in z), forward.everyone) for r in range(len(owner)))
        return torch.stack([_column(output, forward).flatten() for output in outputs])

    problem = Problem(
        value=value,
        x=tuple(x[None] for x in forward.inputs),
        baseline=tuple(x0[None] for x0 in baselines),
        features=Groups.of([mask[None] for mask in masks]),
        rows=rows,
    )
    scores = Leave().scores(problem).tensors  # (1, T, 1, *S) each
    return tuple(s[0, :, 0].expand(-1, *x.shape[1:]) for s, x in zip(scores, forward.inputs, strict=True))


def _column(output: Tensor, forward: Forward) -> Tensor:
    if forward.target is None:
        return output
    return select(output, forward.target, torch.arange(len(output) if output.ndim else 1, device=output.device))


class _Ablation(Attribution):
    _multiply_by_inputs = True

    def _ablated(
        self,
        forward: Forward,
        baselines: Baselines,
        features: Features,
        masks: Tensors | None,
        perturbations_per_eval: int,
        show_progress: bool,
    ) -> Tensors:
        if not isinstance(perturbations_per_eval, int) or perturbations_per_eval < 1:
            raise InvalidInput(
                f"perturbations_per_eval must be a whole number of at least 1; got {perturbations_per_eval!r}."
            )
        limit = perturbations_per_eval * forward.examples if perturbations_per_eval > 1 else None
        given = tensorized(forward.inputs, baselines)
        with forward.lent(), progress_bar(self.get_name()) if show_progress else nullcontext() as progress:
            try:
                return _rowwise(forward, given, features, Rows(limit=limit, progress=progress))
            except NotRowwise:
                if masks is None:
                    raise
                return _whole(forward, given, masks, Rows(progress=progress))


class FeatureAblation(_Ablation):
    """`methods.perturbation.Occlusion` with features given by a mask; without one every entry is a feature.

    Several perturbations are evaluated at once also by default, since the scores do not depend on it;
    `perturbations_per_eval` above 1 sets how many.
    """

    def attribute(
        self,
        inputs: TensorOrTuple,
        baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        feature_mask: TensorOrTuple | None = None,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
        **kwargs: Any,
    ) -> Any:
        if kwargs:
            raise TypeError(f"FeatureAblation.attribute() has no argument {next(iter(kwargs))!r}")
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        masks = _masks(forward.inputs, feature_mask)
        scores = self._ablated(forward, baselines, Groups.of(masks), masks, perturbations_per_eval, show_progress)
        return scores if isinstance(inputs, tuple) else scores[0]


def _masks(inputs: Tensors, given: TensorOrTuple | None) -> Tensors:
    """One mask an input, each broadcastable to it, with the batch dimension in place."""
    if given is None:
        return Groups.entries(inputs).ids
    masks = as_tuple(given)
    if len(masks) != len(inputs):
        raise InvalidInput(f"{len(inputs)} inputs need as many feature masks; got {len(masks)}.")
    made = []
    for mask, x in zip(masks, inputs, strict=True):
        full = mask.view(*[1] * (x.ndim - mask.ndim), *mask.shape)
        if full.ndim != x.ndim or any(m not in (1, n) for m, n in zip(full.shape, x.shape, strict=True)):
            raise InvalidInput(
                f"a feature mask of shape {tuple(mask.shape)} does not fit an input of {tuple(x.shape)}."
            )
        made.append(full.long())
    return tuple(made)


class Occlusion(_Ablation):
    """A window slid over the inputs and replaced by the baseline; an entry's score is the mean over its windows."""

    def __init__(self, forward_func: Callable[..., Any]) -> None:
        super().__init__(forward_func)

    def attribute(
        self,
        inputs: TensorOrTuple,
        sliding_window_shapes: tuple[int, ...] | tuple[tuple[int, ...], ...],
        strides: int | tuple[int, ...] | tuple[int | tuple[int, ...], ...] | None = None,
        baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
    ) -> Any:
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        windows = (sliding_window_shapes,) if isinstance(sliding_window_shapes[0], int) else sliding_window_shapes
        count = len(forward.inputs)
        steps: Any = (1,) * count if strides is None else strides
        if count == 1 and not (isinstance(steps, tuple) and len(steps) == 1):
            steps = (steps,)
        if len(windows) != count or not isinstance(steps, tuple) or len(steps) != count:
            raise InvalidInput(f"{count} inputs need as many windows and strides; got {windows} and {strides}.")
        features = Windows.slid(forward.inputs, windows, steps)
        scores = self._ablated(forward, baselines, features, None, perturbations_per_eval, show_progress)
        return scores if isinstance(inputs, tuple) else scores[0]
