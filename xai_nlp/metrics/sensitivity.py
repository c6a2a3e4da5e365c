"""Sensitivity: how much scores change where the input hardly does."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from xai_nlp.attr.base import Attribution, InternalAttribution
from xai_nlp.attr.problems import Layer, from_layer, layer_points, subject_of
from xai_nlp.core.captum_types import CaptumAssertion, TensorOrTuple
from xai_nlp.core.forward import Forward, as_tuple
from xai_nlp.core.problem import Tensors
from xai_nlp.core.registry import Method
from xai_nlp.core.subject import MovableInput, Subject
from xai_nlp.errors import InvalidInput
from xai_nlp.metrics.perturbed import check_perturbed, copies_at_once, repeat_arguments, uniform_entries


def default_perturb_func(inputs: TensorOrTuple, perturb_radius: float = 0.02) -> Tensors:
    """The inputs plus noise that is uniform in [−perturb_radius, perturb_radius], in their shapes."""

    def noisy(x: Tensor) -> Tensor:
        noise = torch.empty(x.shape).uniform_(-perturb_radius, perturb_radius).to(x.device)
        return x + (noise.to(x.dtype) if x.is_floating_point() else noise)

    return tuple(map(noisy, as_tuple(inputs)))


def sensitivity_max(
    explanation_func: Callable[..., Any],
    inputs: TensorOrTuple,
    perturb_func: Callable[..., Any] = default_perturb_func,
    perturb_radius: float = 0.02,
    n_perturb_samples: int = 10,
    norm_ord: str | float = "fro",
    max_examples_per_batch: int | None = None,
    *,
    layer: Layer | None = None,
    **kwargs: Any,
) -> Tensor:
    """The largest ‖scores(x̃) − scores(x)‖ / ‖scores(x)‖ over perturbations of each example: (B,). 0 is best.

    explanation_func: makes scores, a tensor or a tuple of tensors (B, …), from inputs and kwargs: the `attribute`
        method of an attribution, or a function.
    inputs: the examples, a tensor or a tuple of tensors: (B, …) each.
    perturb_func: a function of copies of the inputs (B · copies, …), one example's after the other, and if it takes it
        of perturb_radius. It returns the perturbed inputs in their shape.
    perturb_radius: how far the default perturb_func goes in each entry, in the inputs' unit.
    n_perturb_samples: perturbations of each example.
    norm_ord: the norm of a row of scores: a number, inf, or "fro" and "nuc", which are 2 here.
    max_examples_per_batch: examples in each call of explanation_func; None takes all copies at once.
    layer: a torch module or a hook point such as `xai_nlp.points(model).word`: the tensors there are perturbed and
        explained instead of the inputs. Needs the `attribute` method of an attribution of inputs.
    kwargs: arguments of explanation_func. Rows of examples among them (targets, baselines, feature masks, additional
        arguments) are repeated for the copies.

    Raises CaptumAssertion for arguments that do not fit, and for noise on token ids.
    Warns if max_examples_per_batch is less than there are examples: each call takes at least a copy of each.
    Source: Yeh et al. 2019, definition 3.1 (arXiv:1901.09392).

    >>> sensitivity_max(lambda x: torch.ones_like(x), torch.zeros(2, 3))
    tensor([0., 0.])
    """
    given = inputs
    x = as_tuple(inputs)
    if not x or not all(isinstance(t, Tensor) and t.ndim for t in x):
        raise CaptumAssertion(f"inputs are a tensor or a tuple of tensors; got {type(inputs).__name__}.")
    B = len(x[0])
    if max_examples_per_batch is not None and 0 < max_examples_per_batch < B:
        warnings.warn(
            f"{B} examples go together; max_examples_per_batch is only {max_examples_per_batch}.", stacklevel=2
        )
    if layer is not None:
        explanation_func, given, kwargs = _at_layer(explanation_func, inputs, layer, kwargs)
        x = as_tuple(given)
    takes_radius = len(signature(perturb_func).parameters) > 1
    order = 2 if norm_ord in ("fro", "nuc") else float(norm_ord)

    def like_inputs(tensors: Tensors) -> TensorOrTuple:
        return tensors if isinstance(given, tuple) else tensors[0]

    largest: Tensor | None = None
    with torch.no_grad():
        scores = _flat(explanation_func(given, **kwargs))
        size = torch.linalg.vector_norm(scores, order, dim=1)
        size = size.where(size != 0, torch.ones_like(size))
        for copies in copies_at_once(n_perturb_samples, max_examples_per_batch, B):
            several = tuple(t.repeat_interleave(copies, 0) for t in x)
            repeated = several if len(several) > 1 else several[0]
            perturbed = perturb_func(repeated, perturb_radius) if takes_radius else perturb_func(repeated)
            z = like_inputs(check_perturbed(x, perturbed, copies))
            moved = _flat(explanation_func(z, **repeat_arguments(kwargs, x, copies)))
            if len(moved) != B * copies:
                raise CaptumAssertion(f"{B * copies} examples need as many rows of scores; got {len(moved)}.")
            changes = torch.linalg.vector_norm(scores[:, None] - moved.view(B, copies, -1), order, dim=2)
            furthest = changes.amax(1) / size
            largest = furthest if largest is None else torch.maximum(largest, furthest)
    assert largest is not None
    return largest


def _flat(scores: Any) -> Tensor:
    """All scores of each example in a row: (B, N)."""
    if not all(isinstance(t, Tensor) and t.ndim for t in as_tuple(scores)):
        raise CaptumAssertion(
            "explanation_func must return a tensor or a tuple of tensors, with a row for each example."
        )
    return torch.cat([t.detach().reshape(len(t), -1) for t in as_tuple(scores)], 1)


def _at_layer(
    explanation_func: Callable[..., Any], inputs: TensorOrTuple, layer: Layer, kwargs: dict[str, Any]
) -> tuple[Callable[..., Any], TensorOrTuple, dict[str, Any]]:
    """The explanation as a function of the tensors at a layer, those tensors, and its arguments with them.

    Raises CaptumAssertion for a function whose forward function is not known or is no function of inputs alone.
    """
    method = getattr(explanation_func, "__self__", None)
    if not isinstance(method, Attribution) or method._needs_module or hasattr(method, "attribution_method"):
        raise CaptumAssertion(
            "with a layer, explanation_func is the `attribute` method of an attribution of any function's inputs, such "
            "as xai_nlp.attr.IntegratedGradients(model).attribute."
        )
    if isinstance(method, InternalAttribution):
        raise CaptumAssertion(
            f"{type(method).__name__} explains a layer of its own; with `layer=` give the method of inputs, such as "
            "IntegratedGradients for LayerIntegratedGradients."
        )
    forward = Forward.bind(method.forward_func, inputs, kwargs.get("additional_forward_args"), kwargs.get("target"))
    with forward.frozen():
        entered = from_layer(forward, layer)
        arguments = {**kwargs, "additional_forward_args": entered.extra}
        if kwargs.get("baselines") is not None:
            subject = subject_of(forward, kwargs["baselines"])
            (start,) = subject.tensors(layer_points(layer)[:1], at_baseline=True)
            arguments["baselines"] = start if len(start) > 1 else start[0]
    moved = copy.copy(method)
    moved.forward_func = entered.func
    return moved.attribute, entered.like_inputs(entered.inputs), arguments


def input_sensitivity(
    subject: Subject, method: Method, *, radius: float = 0.02, samples: int = 10, seed: int = 0
) -> Tensor:
    """The largest ‖scores(x̃) − scores(x)‖ / ‖scores(x)‖ where noise moves the inputs: (B, T). 0 is best.

    Range: from 0 up. Noise is uniform in [−radius, radius] in each entry of what moves: word embeddings, pixels.
    Misleads: scores that do not depend on the input at all are at 0; so it says nothing without a faithfulness.

    method: of `xai_nlp.methods`; its scores of the inputs' entries are compared. samples: draws, each of which costs an
    explanation; `seed` of them.
    Raises InvalidInput for no samples, for a radius below 0, and for inputs that are token ids.
    Source: Yeh et al. 2019, definition 3.1 (arXiv:1901.09392), as `sensitivity_max`.
    """
    if samples < 1 or radius < 0:
        raise InvalidInput(f"samples is at least 1 and radius at least 0; got {samples} and {radius}.")
    if not all(t.is_floating_point() for one in subject.inputs.values() for t in one.x):
        raise InvalidInput("noise on token ids means nothing; give a subject whose word embeddings move.")

    def scores_of(perturbed: Subject) -> Tensor:
        return torch.cat([t.flatten(2) for t in method.attribute(perturbed).tensors], 2).double()

    def noisy(one: MovableInput, number: int) -> MovableInput:
        draws = [uniform_entries(t, seed, number * len(one.x) + k) for k, t in enumerate(one.x)]
        moved = (t + radius * (2 * u - 1).to(t) for t, u in zip(one.x, draws, strict=True))
        return replace(one, x=tuple(moved))

    scores = scores_of(subject)
    size = torch.linalg.vector_norm(scores, dim=2)
    size = size.where(size != 0, 1.0)
    largest = torch.zeros_like(size)
    for sample in range(samples):
        inputs = {
            name: noisy(one, sample * len(subject.inputs) + k) for k, (name, one) in enumerate(subject.inputs.items())
        }
        changes = torch.linalg.vector_norm(scores - scores_of(replace(subject, inputs=inputs)), dim=2)
        largest = largest.maximum(changes / size)
    return largest
