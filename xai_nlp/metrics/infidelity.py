"""Infidelity: how far scores are from saying what perturbations do to a function."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from xai_nlp.attr.noise import repeat_argument
from xai_nlp.attr.problems import Layer, from_layer, layer_points, subject_of
from xai_nlp.core.batching import Batching
from xai_nlp.core.captum_types import Baselines, CaptumAssertion, TargetType, TensorOrTuple
from xai_nlp.core.coalitions import removable_features, values_without
from xai_nlp.core.forward import Forward, as_tuple, baseline_tensors
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.subject import Subject
from xai_nlp.metrics.deletion import checked_scores
from xai_nlp.metrics.orders import random_scores
from xai_nlp.metrics.perturbed import check_perturbed, copies_at_once


def divided(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient; where the denominator is 0, the numerator."""
    return torch.where(denominator == 0, numerator, numerator / denominator)


def infidelity_perturb_func_decorator(multiply_by_inputs: bool = True) -> Callable[[Callable[..., Any]], Any]:
    """Makes a perturb_func of `infidelity` from a function that returns perturbed inputs alone.

    multiply_by_inputs: for scores that are contributions: perturbations are (x − x̃) / (x − x₀), with x₀ = 0 where there
        are no baselines. False is for slopes: perturbations are x − x̃.

    >>> @infidelity_perturb_func_decorator(multiply_by_inputs=False)
    ... def halved(inputs): return inputs / 2
    >>> halved(torch.tensor([[4.0]]))
    ((tensor([[2.]]),), (tensor([[2.]]),))
    """

    def decorate(perturb_func: Callable[..., Any]) -> Callable[..., tuple[Tensors, Tensors]]:
        @wraps(perturb_func)
        def perturb(inputs: TensorOrTuple, baselines: Baselines = None) -> tuple[Tensors, Tensors]:
            x = as_tuple(inputs)
            perturbed = as_tuple(perturb_func(inputs) if baselines is None else perturb_func(inputs, baselines))
            differences = tuple(t - z for t, z in zip(x, perturbed, strict=True))
            if multiply_by_inputs:
                starts = (0,) * len(x) if baselines is None else as_tuple(baselines)
                ends = zip(differences, x, starts, strict=True)
                differences = tuple(divided(difference, t - t0) for difference, t, t0 in ends)
            return differences, perturbed

        return perturb

    return decorate


def infidelity(
    forward_func: Callable[..., Any],
    perturb_func: Callable[..., Any],
    inputs: TensorOrTuple,
    attributions: TensorOrTuple,
    baselines: Baselines = None,
    additional_forward_args: object | None = None,
    target: TargetType = None,
    n_perturb_samples: int = 10,
    max_examples_per_batch: int | None = None,
    normalize: bool = False,
    *,
    layer: Layer | None = None,
) -> Tensor:
    """The mean of (Σ perturbation · score − (f(x) − f(x̃)))² over perturbations of each example: (B,). 0 is best.

    perturb_func: a function of copies of the inputs (B · copies, …), one example's after the other, and of their
        baselines if there are any. It returns the perturbations and the perturbed inputs x̃, tensors or tuples like the
        inputs. `infidelity_perturb_func_decorator` makes one from a function that returns x̃ alone.
    inputs: the examples, a tensor or a tuple of tensors: (B, …) each.
    attributions: their scores, in their shape.
    baselines: what scores were computed against: tensors of the inputs' shape, or of one row; or numbers.
    additional_forward_args: further arguments of the forward function, a tuple if there are several.
    target: the entry of the output that was explained: an index for all examples, or one for each.
    n_perturb_samples: perturbations of each example.
    max_examples_per_batch: rows in each forward pass, and perturbed copies at once; None draws all copies at once and
        chooses the rows by their size and the device.
    normalize: multiply the scores by the number that makes the infidelity smallest, one for each example.
    layer: a torch module or a hook point such as `xai_nlp.points(model).word`: the tensors there are perturbed and have
        the scores, instead of the inputs.

    Raises CaptumAssertion for arguments that do not fit each other, and for noise on token ids.
    Source: Yeh et al. 2019, definition 2.1 and prop. A.1 (arXiv:1901.09392).

    >>> weights = torch.tensor([1.0, 2.0])
    >>> @infidelity_perturb_func_decorator(multiply_by_inputs=False)
    ... def noisy(inputs): return inputs - torch.randn_like(inputs)
    >>> infidelity(lambda x: x @ weights, noisy, torch.ones(1, 2), weights[None]).round(decimals=4)
    tensor([0.])
    """
    forward = Forward.bind(forward_func, inputs, additional_forward_args, target)
    counts = list(copies_at_once(n_perturb_samples, max_examples_per_batch, forward.examples))
    baseline_tensors(forward.inputs, baselines)  # checked early; perturb_func gets them as they are given
    with torch.no_grad(), forward.frozen():
        if layer is not None:
            if baselines is not None:
                (baselines,) = subject_of(forward, baselines).tensors(layer_points(layer)[:1], at_baseline=True)
            forward = from_layer(forward, layer)
        scores = _checked_scores(forward.inputs, attributions)
        problem = Problem(
            value=lambda z, owner: forward.one_number(forward.value(z, owner)),
            x=forward.inputs, baseline=forward.inputs, rows=Batching(limit=max_examples_per_batch),
        )  # fmt: skip
        at_x = problem.values(problem.x, problem.everyone)
        terms = [_terms(problem, perturb_func, baselines, scores, at_x, copies) for copies in counts]
    explained, changes = map(torch.cat, zip(*terms, strict=True))  # (n_perturb_samples, B) each, in float64
    if normalize:
        explained = explained * divided((explained * changes).sum(0), explained.square().sum(0))
    return (explained - changes).square().mean(0).to(at_x.dtype)


def _checked_scores(inputs: Tensors, attributions: TensorOrTuple) -> Tensors:
    """The scores of each input. Raises CaptumAssertion for another number of them, or other shapes."""
    scores = as_tuple(attributions)
    if [getattr(score, "shape", None) for score in scores] != [x.shape for x in inputs]:
        got = [tuple(getattr(score, "shape", ())) for score in scores]
        raise CaptumAssertion(
            f"attributions have the shapes of what is perturbed, {[tuple(x.shape) for x in inputs]}; got {got}."
        )
    return scores


def _terms(
    problem: Problem, perturb_func: Callable[..., Any], baselines: Any, scores: Tensors, at_x: Tensor, copies: int
) -> tuple[Tensor, Tensor]:
    """Σ perturbation · score and f(x) − f(x̃) of perturbed copies: (copies, B) each."""
    x, B = problem.x, problem.examples
    arguments = [tuple(t.repeat_interleave(copies, 0) for t in x)]
    if baselines is not None:
        arguments.append(repeat_argument("baselines", as_tuple(baselines), x, copies))
    result = perturb_func(*(several if len(x) > 1 else several[0] for several in arguments))
    if not isinstance(result, tuple) or len(result) != 2:
        raise CaptumAssertion(
            "perturb_func must return the perturbations and the perturbed inputs; decorate it with "
            "infidelity_perturb_func_decorator if it returns the inputs alone."
        )
    perturbations, z = as_tuple(result[0]), check_perturbed(x, result[1], copies)
    if [t.shape[1:] for t in perturbations] != [t.shape[1:] for t in x]:
        raise CaptumAssertion(
            "perturb_func must return a perturbation for each input, of its shape; "
            f"got {[tuple(t.shape) for t in perturbations]}."
        )
    owner = problem.everyone.repeat_interleave(copies)
    changes = at_x[owner] - problem.values(z, owner)
    explained = torch.zeros(B, copies, dtype=torch.float64, device=changes.device)
    for score, perturbation in zip(scores, perturbations, strict=True):
        rows = perturbation.expand(len(owner), *perturbation.shape[1:]).reshape(B, copies, -1)
        explained += (rows.to(score.dtype) @ score.reshape(B, -1, 1)).squeeze(2).to(explained)
    return explained.T, changes.view(B, copies).to(explained).T


def feature_infidelity(
    subject: Subject, scores: Any, *, samples: int = 50, seed: int = 0, normalize: bool = False
) -> Tensor:
    """The mean of (Σ scores of removed features − (f(x) − f without them))² over random sets of them: (B, [O,] T).

    Range: from 0, which is best, up, in the squared unit of f. Each feature is in a set with probability ½.
    Misleads: it depends on the scale of the scores, so that methods whose scores are no shares of f need `normalize`;
    and a function with interactions leaves some for every explanation.

    scores: as in `xai_nlp.metrics.deletion_curve`. samples: sets for each example; `seed` of them.
    normalize: multiply the scores by the number that makes the infidelity smallest, one for each example and number.
    Raises InvalidInput for scores that do not fit, and for fewer than two samples.
    Source: Yeh et al. 2019, definition 2.1 and prop. A.1 (arXiv:1901.09392), with removals as perturbations.

    >>> from xai_nlp.core.subject import MovableInput
    >>> x = torch.tensor([[1.0, 3.0, 2.0]])
    >>> sum_of_three = Subject(
    ...     forward=lambda arguments, owner: arguments["x"], read=lambda run, owner: run().sum(1, keepdim=True),
    ...     inputs={"x": MovableInput(x=(x,), baseline=(0 * x,), features=torch.arange(3)[None])}, examples=1)
    >>> feature_infidelity(sum_of_three, x), feature_infidelity(sum_of_three, 2 * x, normalize=True)
    (tensor([[0.]]), tensor([[0.]]))
    """
    problem = subject.problem()
    removable = removable_features(problem)
    one = torch.as_tensor(scores).ndim == 2
    own = checked_scores(problem, scores, removable).double().where(removable[:, None], 0)
    removed = (random_scores(subject, orders=samples, seed=seed) < 0.5) & removable[:, None]
    values = values_without(problem, torch.cat([removed[:, :1] & False, removed], 1))
    changes = (values[:, :1] - values[:, 1:]).double()[:, None]  # (B, 1, samples, T)
    explained = (own @ removed.double().mT)[..., None]  # (B, O, samples, 1)
    if normalize:
        explained = explained * divided((explained * changes).sum(2), explained.square().sum(2))[:, :, None]
    infidelities = (explained - changes).square().mean(2).to(values.dtype)
    return infidelities[:, 0] if one else infidelities
