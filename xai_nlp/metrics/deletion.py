"""Deletion and insertion: what f does as features are removed, or put back, in the order of their scores.

A way to remove is a Subject: what is removed goes from x to the baseline, and features say what goes together. Features
that an example lacks (padding), and those whose removal changes no input, are not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xai_nlp.core.coalitions import removable_features, values_without
from xai_nlp.core.problem import Problem
from xai_nlp.core.subject import Subject
from xai_nlp.errors import InvalidInput

ERASER_BINS = (0.01, 0.05, 0.1, 0.2, 0.5)  # shares of the features
ROUNDING = 1e-9  # 0.07 of 100 features are 7, though 0.07 * 100 > 7 in floating point


@dataclass(frozen=True, kw_only=True, eq=False)
class RemovalCurve:
    """f at each of K sizes, for O orders of the features: the axis O is there if `scores` had it."""

    values: Tensor  # (B, [O,] T, K)
    counts: Tensor  # (B, K) features removed, or put back
    weights: Tensor  # (B, K) of each size in means; they add up to 1 for each example that has features
    value: Tensor  # (B, T) f(x)

    @property
    def mean(self) -> Tensor:
        """The mean of f over the sizes: (B, [O,] T). Low is good for deletion, high for insertion."""
        weights = self.weights.to(self.values).view(len(self.weights), *[1] * (self.values.ndim - 2), -1)
        return (self.values * weights).sum(-1)

    @property
    def mean_drop(self) -> Tensor:
        """f(x) less the mean of f over the sizes: (B, [O,] T)."""
        value = self.value.view(len(self.value), *[1] * (self.values.ndim - 3), -1)
        return value - self.mean


def checked_scores(problem: Problem, scores: Any, removable: Tensor) -> Tensor:
    """The scores (B, O, M) of scores (B, M) or (B, O, M). Raises InvalidInput for other shapes, NaN and infinity."""
    scores = torch.as_tensor(scores, device=removable.device)
    B, M = removable.shape
    if scores.ndim not in (2, 3) or scores.shape[0] != B or scores.shape[-1] != M:
        raise InvalidInput(
            f"scores are one number for each of {M} features of {B} examples, ({B}, {M}), or several sets of them, "
            f"({B}, orders, {M}); got {tuple(scores.shape)}."
        )
    scores = scores if scores.ndim == 3 else scores[:, None]
    if not scores.isfinite().masked_fill(~removable[:, None], True).all():
        raise InvalidInput("scores are NaN or infinite; a feature's score is a number.")
    return scores


def ranks_of(scores: Tensor, removable: Tensor) -> Tensor:
    """The place of each feature in the order of scores (B, O, M), the highest first, of equals the first: (B, O, M).

    Features that cannot be removed come last.
    """
    last = torch.full_like(scores, -torch.inf, dtype=torch.promote_types(scores.dtype, torch.float32))
    keyed = scores.to(last).where(removable[:, None], last)
    return keyed.argsort(dim=-1, descending=True, stable=True).argsort(-1)


def size_table(features: Tensor, sizes: Sequence[float] | None) -> tuple[Tensor, Tensor]:
    """How many of their features (B,) examples lose at each size, and the weight of the size: (B, K) each.

    sizes: shares of the features, rounded up, all of one weight; None is every number of them, where 0 has no weight.

    >>> size_table(torch.tensor([3, 10]), [0.2, 0.5])[0]
    tensor([[1, 2],
            [2, 5]])
    >>> size_table(torch.tensor([1, 2]), None)
    (tensor([[0, 1, 1],
            [0, 1, 2]]), tensor([[0.0000, 1.0000, 0.0000],
            [0.0000, 0.5000, 0.5000]], dtype=torch.float64))
    """
    if sizes is None:
        every, count = torch.arange(int(features.max()) + 1, device=features.device), features[:, None]
        return every.minimum(count), ((every > 0) & (every <= count)).double() / count.clamp_min(1)
    if not len(sizes) or not all(0 <= size <= 1 for size in sizes):
        raise InvalidInput(f"sizes are shares of the features, from 0 to 1, and at least one; got {list(sizes)}.")
    shares = torch.tensor(list(sizes), dtype=torch.float64, device=features.device)
    counts = (features[:, None] * shares - ROUNDING).ceil().clamp_min(0).long()
    return counts, torch.full(counts.shape, 1 / len(sizes), dtype=torch.float64, device=features.device)


def _curve(subject: Subject, scores: Any, sizes: Sequence[float] | None, *, insert: bool) -> RemovalCurve:
    problem = subject.problem()
    removable = removable_features(problem)
    one = torch.as_tensor(scores).ndim == 2
    ranks = ranks_of(checked_scores(problem, scores, removable), removable)
    counts, weights = size_table(removable.sum(1), sizes)
    first = ranks[:, :, None] < counts[:, None, :, None]  # (B, O, K, M)
    removed = ~first if insert else first
    B, O, K, M = removed.shape
    whole = removed.new_zeros(B, 1, M)
    values = values_without(problem, torch.cat([whole, removed.view(B, O * K, M)], 1))
    curves = values[:, 1:].view(B, O, K, -1).mT
    return RemovalCurve(values=curves[:, 0] if one else curves, counts=counts, weights=weights, value=values[:, 0])


def deletion_curve(subject: Subject, scores: Any, *, sizes: Sequence[float] | None = None) -> RemovalCurve:
    """f as features are removed, those with the highest scores first: (B, [O,] T, K).

    Scores that are right make f fall early. Range: that of f.
    Misleads: the inputs without words are unlike those that the model was trained on, so f may fall for that reason.

    scores: (B, M), one for each feature of `subject.problem()`, or several sets of them, (B, O, M), in the same passes.
    sizes: shares of the features to remove, rounded up; None is every number of them, from none to all.

    Raises InvalidInput for scores of another shape or that are not finite, and for other shares.
    Source: Samek et al. 2017 (arXiv:1509.06321); Petsiuk et al. 2018 (arXiv:1806.07421).

    >>> from xai_nlp.core.subject import MovableInput
    >>> x = torch.tensor([[1.0, 3.0, 2.0]])
    >>> sum_of_three = Subject(
    ...     forward=lambda arguments, owner: arguments["x"], read=lambda run, owner: run().sum(1, keepdim=True),
    ...     inputs={"x": MovableInput(x=(x,), baseline=(0 * x,), features=torch.arange(3)[None])}, examples=1)
    >>> deletion_curve(sum_of_three, x).values
    tensor([[[6., 3., 1., 0.]]])
    """
    return _curve(subject, scores, sizes, insert=False)


def insertion_curve(subject: Subject, scores: Any, *, sizes: Sequence[float] | None = None) -> RemovalCurve:
    """f as features are put back into the baseline, those with the highest scores first: (B, [O,] T, K).

    Scores that are right make f rise early. Arguments, range and errors are those of `deletion_curve`.
    Misleads: as deletion does, and most at small sizes, where the input is nearly the baseline.
    Source: Petsiuk et al. 2018 (arXiv:1806.07421).
    """
    return _curve(subject, scores, sizes, insert=True)


def aopc(subject: Subject, scores: Any, *, sizes: Sequence[float] | None = None) -> Tensor:
    """The area over the perturbation curve: the mean of f(x) − f(x without the k highest) over k: (B, [O,] T).

    Arguments and errors are those of `deletion_curve`. Range: that of differences of f; high is good. Samek et al. also
    count k = 0, whose difference is 0: theirs is M / (M + 1) of it.
    Misleads: its bounds depend on the model and on the input, so that numbers of two models cannot be compared;
    `naopc` can.
    Source: Samek et al. 2017, eq. 12 (arXiv:1509.06321); Edin et al. 2025, section 2 (arXiv:2408.08137).
    """
    return deletion_curve(subject, scores, sizes=sizes).mean_drop


def comprehensiveness(subject: Subject, scores: Any, *, bins: Sequence[float] = ERASER_BINS) -> Tensor:
    """The mean of f(x) − f(x without its top features), over shares of them: (B, [O,] T).

    Range: that of differences of f, −1 to 1 for a probability; high is good.
    Misleads: as `deletion_curve` does; on short texts several bins are the same word.

    scores: as in `deletion_curve`. bins: shares of the features, rounded up. f is a probability in ERASER.
    Source: DeYoung et al. 2020, section 4.2 (arXiv:1911.03429), with the mean over the bins of its published code; the
    paper's formula also counts a bin of no features.
    """
    return aopc(subject, scores, sizes=bins)


def sufficiency(subject: Subject, scores: Any, *, bins: Sequence[float] = ERASER_BINS) -> Tensor:
    """The mean of f(x) − f(the top features alone), over shares of them: (B, [O,] T).

    Range: that of differences of f, −1 to 1 for a probability; low is good.
    Misleads: as `insertion_curve` does.

    scores, bins: as in `comprehensiveness`. Source: the same.
    """
    return insertion_curve(subject, scores, sizes=bins).mean_drop
