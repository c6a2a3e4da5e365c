"""Soft sufficiency and comprehensiveness: entries are kept at random, more often those of features with high scores."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xai_nlp.core.coalitions import features_of, removable_features
from xai_nlp.core.problem import Problem
from xai_nlp.core.subject import Subject
from xai_nlp.errors import InvalidInput
from xai_nlp.metrics.deletion import checked_scores
from xai_nlp.metrics.perturbed import uniform_entries

RETAIN = 0.5


def retain_probabilities(scores: Tensor, removable: Tensor, retain: float | None) -> Tensor:
    """How often each feature's entries are kept, from its scores (B, O, M): from 0 for the lowest to 1 for the highest.

    With `retain` the mean over the features is that number: probabilities shrink towards 0, or towards 1, by one factor
    for all, so that their order stays. Features that all have one score have one probability.

    >>> there = torch.ones(1, 3, dtype=torch.bool)
    >>> retain_probabilities(torch.tensor([[[0.0, 1.0, 4.0]]]), there, None)
    tensor([[[0.0000, 0.2500, 1.0000]]], dtype=torch.float64)
    >>> retain_probabilities(torch.tensor([[[0.0, 1.0, 4.0]]]), there, 0.25).mean().item()
    0.25
    """
    there = removable[:, None].expand(scores.shape)
    values = scores.double()
    low = values.masked_fill(~there, torch.inf).amin(2, keepdim=True)
    high = values.masked_fill(~there, -torch.inf).amax(2, keepdim=True)
    shares = torch.where(high > low, (values - low) / (high - low), 0.5)
    shares = shares.where(there, 0)
    if retain is None:
        return shares
    mean = shares.sum(2, keepdim=True) / there.sum(2, keepdim=True)
    towards_zero, towards_one = shares * (retain / mean), 1 - (1 - shares) * ((1 - retain) / (1 - mean))
    return torch.where(mean >= retain, towards_zero, towards_one)


def soft_comprehensiveness(
    subject: Subject, scores: Any, *, retain: float | None = RETAIN, samples: int = 20, seed: int = 0
) -> Tensor:
    """What f loses where high features are dropped most, as a share of what it loses without all of them: (B, [O,] T).

    Each entry of a feature (a number of its word vector) is kept, or goes to the baseline, on its own. Range: from 0
    up; 1 is all that is lost without any feature, and high is good. NaN where f does not fall without all features.
    Misleads: word vectors of which a part is at the baseline are unlike those of words; the answer depends on `retain`.

    subject: one whose tensors have many entries a feature, such as word embeddings (`tasks.removals.vector_subject`).
    scores: as in `xai_nlp.metrics.deletion_curve`.
    retain: the expected share of entries that is kept, which is the same for all scores, so that methods whose scores
        are large everywhere do not gain by it. None is the original, where it depends on the scores.
    samples: draws of each example; `seed` of them. The same draws serve all scores.

    Raises InvalidInput for scores that do not fit, a share outside of 0 to 1, and no samples.
    Source: Zhao & Aletras 2023, eq. 5–8 (arXiv:2305.10496): Soft-NC. Huang & Chan 2026 (arXiv:2601.03089) fix the
    expectation; how probabilities get there is `retain_probabilities`, ours.
    """
    return _soft_loss(subject, scores, retain, samples, seed, keep_high=False)


def soft_sufficiency(
    subject: Subject, scores: Any, *, retain: float | None = RETAIN, samples: int = 20, seed: int = 0
) -> Tensor:
    """What f keeps where features with high scores are kept most, as a share of what all of them add: (B, [O,] T).

    Range: up to 1, where nothing is lost, and high is good; below 0 more is lost than without any feature.
    Arguments, weaknesses, errors and source are those of `soft_comprehensiveness`: Soft-NS.
    """
    return 1 - _soft_loss(subject, scores, retain, samples, seed, keep_high=True)


def _soft_loss(
    subject: Subject, scores: Any, retain: float | None, samples: int, seed: int, *, keep_high: bool
) -> Tensor:
    """The mean of max(0, f(x) − f(x′)) over draws x′, as a share of f(x) − f(x₀): (B, [O,] T)."""
    if samples < 1 or not (retain is None or 0 <= retain <= 1):
        raise InvalidInput(f"samples is at least 1 and retain a share from 0 to 1; got {samples} and {retain}.")
    problem = subject.problem()
    removable = removable_features(problem)
    one = torch.as_tensor(scores).ndim == 2
    high = checked_scores(problem, scores, removable)
    kept = retain_probabilities(high if keep_high else -high, removable, retain)
    values = _values_of_draws(problem, 1 - kept, samples, seed)
    ends = [problem.values(end, problem.everyone) for end in (problem.x, problem.baseline)]
    at_x, at_baseline = (end.to(values)[:, None] for end in ends)
    lost = (at_x[:, None] - values).clamp_min(0).mean(2)
    every = at_x - at_baseline
    shares = lost / every.where(every > 0, torch.nan)
    return shares[:, 0] if one else shares


def _values_of_draws(problem: Problem, dropped: Tensor, samples: int, seed: int) -> Tensor:
    """f where entries go to the baseline with the probability of their features (B, O, M): (B, O, samples, T).

    A draw depends on its number and on the entry alone.
    """
    B, O, _ = dropped.shape
    of_entries = features_of(problem).to_entries(dropped)  # (B, O, *S) each, broadcastable
    rows = torch.arange(B * O * samples, device=dropped.device)
    draws = [[uniform_entries(t, seed, k * samples + s) for s in range(samples)] for k, t in enumerate(problem.x)]

    def work(part: slice) -> Tensor:
        owner, order, sample = rows[part] // (O * samples), rows[part] // samples % O, rows[part] % samples
        z = []
        for x, x0, chance, own in zip(problem.x, problem.baseline, of_entries, draws, strict=True):
            drawn = torch.stack([own[s] for s in sample.tolist()])
            z.append(torch.where(drawn < chance[owner, order], x0[owner], x[owner]))
        with torch.no_grad():
            return problem.value(tuple(z), owner)

    values = torch.cat([found for _, found in problem.chunks(len(rows), work)])
    return values.to(torch.promote_types(values.dtype, torch.float32)).view(B, O, samples, -1)
