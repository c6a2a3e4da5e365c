"""How far explanations of one input agree: over baselines, methods, seeds or models. Numbers only, no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from xai_nlp.errors import InvalidInput, UnknownName

FeatureScores = Sequence[float] | np.ndarray
RANKS = ("spearman", "kendall")


def _pair(first: FeatureScores, second: FeatureScores) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays (M,). Raises InvalidInput for other shapes, different lengths, none, NaN and infinity."""
    a, b = (np.asarray(scores, dtype=np.float64) for scores in (first, second))
    if a.ndim != 1 or a.shape != b.shape or not a.size:
        raise InvalidInput(
            f"explanations that are compared have one score for each of the same features; got {a.shape} and {b.shape}."
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InvalidInput("scores are NaN or infinite; a feature's score is a number.")
    return a, b


def rank_correlation(
    first: FeatureScores,
    second: FeatureScores,
    *,
    kind: Literal["spearman", "kendall"] = "spearman",
    absolute: bool = False,
) -> float:
    """Spearman's ρ, or Kendall's τ-b, of the scores of the same features: −1 to 1, where 1 is the same order.

    Equal scores share their rank. Where all scores of one side are equal there is no order: NaN, or 1 if the two sides
    are equal.
    Misleads: on few features, where chance reaches far (of 5, |ρ| ≥ 0.9 comes up in 1 of 12 random pairs); and where
    most scores are nearly zero, since their order counts as much as that of the large ones. Then look at
    `top_k_overlap`.

    first, second: (M,) each. kind: "spearman" or "kendall". absolute: compare sizes, without signs.
    Raises InvalidInput for different lengths and for numbers that are not finite, UnknownName for another kind.
    Source: Krishna et al. 2022, section 3.2 (arXiv:2202.01602).

    >>> rank_correlation([0.1, 0.5, -0.3], [1.0, 2.0, 0.0])
    1.0
    """
    from scipy import stats

    a, b = _pair(first, second)
    if absolute:
        a, b = abs(a), abs(b)
    if kind not in RANKS:
        raise UnknownName("rank correlation", kind, RANKS)
    if np.array_equal(a, b):
        return 1.0
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    correlation = stats.spearmanr(a, b) if kind == "spearman" else stats.kendalltau(a, b)
    return float(np.clip(correlation.statistic, -1, 1))


def sign_flips(first: FeatureScores, second: FeatureScores, *, least: float = 0.0) -> float:
    """The share of features whose scores have opposite signs: 0 to 1, where 0 is agreement.

    Misleads: scores near zero change their sign for nothing; `least` leaves them out.

    least: a score counts if its size is above this share of the largest of its side.
    Raises InvalidInput for different lengths and for numbers that are not finite.
    Source: Krishna et al. 2022, "sign agreement", section 3.2 (arXiv:2202.01602), which asks it of the top features.

    >>> sign_flips([1.0, -2.0, 0.5, 0.0], [2.0, 1.0, 0.1, 3.0])
    0.25
    """
    a, b = (np.where(abs(s) > least * abs(s).max(), np.sign(s), 0) for s in _pair(first, second))
    return float((a * b < 0).mean())


def top_k_overlap(first: FeatureScores, second: FeatureScores, *, k: int = 5, absolute: bool = True) -> float:
    """The share of the k top features of the first explanation that are among those of the second: 0 to 1.

    Random explanations reach k / M. Where several features share the k-th score, the first ones count.
    Misleads: with k near M everything overlaps.

    first, second: (M,) each. k: all features if there are fewer. absolute: the top ones have the largest sizes, else
    the highest scores.
    Raises InvalidInput for k below 1, different lengths, and numbers that are not finite.
    Source: Krishna et al. 2022, "feature agreement", section 3.2 (arXiv:2202.01602).

    >>> top_k_overlap([3.0, -2.0, 1.0], [0.0, -2.0, 1.0], k=2)
    0.5
    """
    if k < 1:
        raise InvalidInput(f"k is at least 1; got {k}.")
    a, b = _pair(first, second)
    tops = [set(np.argsort(-(abs(s) if absolute else s), kind="stable")[:k].tolist()) for s in (a, b)]
    return len(tops[0] & tops[1]) / len(tops[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """How far each of N explanations of one input agrees with each other one."""

    names: tuple[str, ...]
    rank_correlation: np.ndarray  # (N, N)
    sign_flips: np.ndarray  # (N, N)
    top_k_overlap: np.ndarray  # (N, N)

    def mean(self, what: Literal["rank_correlation", "sign_flips", "top_k_overlap"]) -> float:
        """The mean over all pairs; pairs without an order are left out, and NaN is left if there are no others."""
        table = getattr(self, what)
        pairs = table[np.triu_indices(len(table), 1)]
        known = pairs[~np.isnan(pairs)]
        return float(known.mean()) if known.size else float("nan")


def agreement(explanations: Mapping[str, FeatureScores], *, k: int = 5, least: float = 0.0) -> Agreement:
    """How far explanations of one input agree, two at a time: those of baselines, methods or seeds, by name.

    What all methods share may be wrong, and methods may differ for a reason: some score what a word adds, others what
    the output reacts to. Among baselines and seeds of one method, disagreement is noise.

    explanations: scores of the same features (M,), at least two. k: of `top_k_overlap`. least: of `sign_flips`.
    Raises InvalidInput for fewer than two, and for different lengths.

    >>> agreement({"pad": [3.0, 1.0], "mask": [2.0, -1.0], "zero": [0.5, 0.1]}, k=1).mean("top_k_overlap")
    1.0
    """
    if len(explanations) < 2:
        raise InvalidInput(f"agreement is among at least two explanations; got {len(explanations)}.")
    scores = list(explanations.values())

    def table(measure: Callable[[FeatureScores, FeatureScores], float]) -> np.ndarray:
        return np.array([[measure(a, b) for b in scores] for a in scores])

    return Agreement(
        names=tuple(explanations),
        rank_correlation=table(rank_correlation),
        sign_flips=table(lambda a, b: sign_flips(a, b, least=least)),
        top_k_overlap=table(lambda a, b: top_k_overlap(a, b, k=k)),
    )
