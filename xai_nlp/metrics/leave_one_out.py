"""Scores against what f does when one feature goes, or when features come one by one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xai_nlp.core.coalitions import leave_one_out, removable_features
from xai_nlp.core.subject import Subject
from xai_nlp.errors import InvalidInput
from xai_nlp.metrics.agreement import rank_correlation
from xai_nlp.metrics.deletion import checked_scores, insertion_curve

ROUNDING = 1e-6  # of the largest |f| on the way: a smaller fall is none


def leave_one_out_tau(subject: Subject, scores: Any) -> Tensor:
    """Kendall's τ-b of scores and of f(x) − f(x without one feature): −1 to 1, (B, T). 1 is the same order.

    NaN for one feature, and where all scores or all changes are equal. Costs a pass for each feature.
    Misleads: a feature that repeats another one changes nothing when it alone goes, so that a right explanation of
    redundant words reaches little. Occlusion is leave-one-out, so its τ is 1 by construction.

    scores: (B, M), one for each feature of `subject.problem()`.
    Raises InvalidInput for scores of another shape or that are not finite.
    Source: Jain & Wallace 2019, section 4.1 (arXiv:1902.10186), where attention is compared with it.

    >>> from xai_nlp.core.subject import MovableInput
    >>> x = torch.tensor([[1.0, 3.0, 2.0]])
    >>> sum_of_three = Subject(
    ...     forward=lambda arguments, owner: arguments["x"], read=lambda run, owner: run().sum(1, keepdim=True),
    ...     inputs={"x": MovableInput(x=(x,), baseline=(0 * x,), features=torch.arange(3)[None])}, examples=1)
    >>> leave_one_out_tau(sum_of_three, [[0.1, 0.9, 0.5]])
    tensor([[1.]], dtype=torch.float64)
    """
    problem = subject.problem()
    removable = removable_features(problem)
    if torch.as_tensor(scores).ndim != 2:
        raise InvalidInput("scores are one number for each feature of each example: (B, M).")
    own = checked_scores(problem, scores, removable)[:, 0].double()
    value, without = leave_one_out(problem)
    changes = (value[:, :, None] - without).double()
    return torch.tensor(
        [
            [
                rank_correlation(of_example[has].cpu(), of_number[has].cpu(), kind="kendall")
                if has.any()
                else torch.nan
                for of_number in numbers
            ]
            for of_example, numbers, has in zip(own, changes, removable, strict=True)
        ],
        dtype=torch.float64,
    )


def monotonicity(subject: Subject, scores: Any) -> Tensor:
    """The share of steps at which f does not fall, as features come in the order of their scores, the lowest first.

    Range: 0 to 1, (B, [O,] T). 1 is a function that rises all the way; it needs scores without negative ones, else f
    should fall at first. Costs a pass for each feature.
    Misleads: it says nothing about how much f rises, and words that act together make single steps fall.

    scores: as in `xai_nlp.metrics.deletion_curve`, mostly their sizes.
    Raises InvalidInput for scores of another shape or that are not finite.
    Source: Luss et al. 2021 (arXiv:1905.12698); AIX360 (Arya et al. 2019, arXiv:1909.03012) asks for 1.
    """
    curve = insertion_curve(subject, -torch.as_tensor(scores))
    values = curve.values  # (B, [O,] T, K): repeats its last number once an example's features are all there
    least = ROUNDING * values.abs().amax(-1, keepdim=True)
    rises = values.diff() >= -least
    steps = (curve.counts.diff() > 0).view(len(values), *[1] * (values.ndim - 2), -1)
    return (rises & steps).sum(-1).double() / steps.sum(-1)
