"""How an explanation's order of features does beside random orders, and whether its scores predict what removals do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xai_nlp.core.statistics import mean_of
from xai_nlp.core.subject import Subject
from xai_nlp.metrics.deletion import RemovalCurve, deletion_curve
from xai_nlp.metrics.orders import best_and_worst_order, random_scores


@dataclass(frozen=True, kw_only=True)
class RemovalDrops:
    """How much one number f drops on average as features are removed in several orders.

    own: (O, 2) of the explanations' orders: the highest scores first, the lowest first. random: (P, 2) the same of
    random orders. correlation: (O,) of sums of removed scores with the drops in random orders, among removals of one
    size. best, worst: the highest and the lowest drop of the random orders, and of those that were searched for.
    largest: the largest change of f in random orders. Nothing depends on other explanations that share the passes.
    """

    own: Tensor
    random: Tensor
    correlation: Tensor
    best: float
    worst: float
    largest: float

    def gap(self, order: int) -> float:
        """How much more f drops when the highest scores go first than when the lowest do."""
        return float(self.own[order, 0] - self.own[order, 1])

    @property
    def random_gaps(self) -> Tensor:
        """(P,) of random orders; those of their reverses are the negatives."""
        return self.random[:, 0] - self.random[:, 1]

    def numbers(self, order: int) -> dict[str, float]:
        """The drops by name, and where they stand from 0, the mean of random orders, to 1, the best order found.

        Intervals of positions are those of the random mean (95 %, Student's, of the means of an order and its reverse).
        """
        deletion, insertion = self.own[order].tolist()
        best, worst = max(self.best, deletion, insertion), min(self.worst, deletion, insertion)
        random = mean_of(self.random.mean(1).tolist())
        low, high = random.interval or (random.mean, random.mean)
        numbers = {
            "correlation": float(self.correlation[order]),
            "deletion": deletion,
            "insertion": insertion,
            "random": random.mean,
            "random standard deviation": float(self.random.std()),
            "best found": best,
            "worst found": worst,
        }
        ends = {"": random.mean, ", low": high, ", high": low}
        numbers |= {f"position of deletion{end}": _share(deletion - at, best - at) for end, at in ends.items()}
        ends = {"": random.mean, ", low": low, ", high": high}
        return numbers | {f"position of insertion{end}": _share(at - insertion, at - worst) for end, at in ends.items()}


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def removal_drops(
    subject: Subject, scores: Tensor, *, orders: int, sizes: Sequence[float] | None, search: bool, seed: int = 0
) -> list[RemovalDrops]:
    """The drops of each of the T numbers of one example, for several explanations of it.

    scores: (O, M). orders: random orders; each is followed by its reverse. sizes: as in `deletion_curve`. search: also
    look for the best and the worst order (`best_and_worst_order`), which costs about M² passes.
    Source of the correlation: Bhatt, Weller & Moura 2020, faithfulness (arXiv:2005.00631), whose subsets have one size.
    """
    draws = random_scores(subject, orders=orders, seed=seed)[0]  # (P, M)
    both = torch.cat([scores.to(draws), draws])
    both = torch.stack([both, -both], 1).flatten(0, 1)[None]
    curve = deletion_curve(subject, both, sizes=sizes)
    drops = curve.mean_drop[0].T.unflatten(1, (-1, 2)).double().cpu()  # (T, O + P, 2)
    own, random = drops.split([len(scores), orders], 1)
    changes = (curve.values[0, 2 * len(scores) :] - curve.value[0, :, None]).abs().amax((0, 2))
    best, worst = random.amax((1, 2)), random.amin((1, 2))
    if search:
        bounds = best_and_worst_order(subject, sizes=sizes)
        best, worst = best.maximum(bounds.best[0].to(best)), worst.minimum(bounds.worst[0].to(worst))
    correlations = _correlations(scores, both[0, 2 * len(scores) :], curve)  # (O, T)
    return [
        RemovalDrops(
            own=own[t],
            random=random[t],
            correlation=correlations[:, t],
            best=float(best[t]),
            worst=float(worst[t]),
            largest=float(changes[t]),
        )
        for t in range(len(drops))
    ]


def _correlations(scores: Tensor, orders: Tensor, curve: RemovalCurve) -> Tensor:
    """Pearson's r of sums of removed scores and drops of f, among removals of one size: (O, T); 0 without a spread.

    scores: (O, M). orders: (N, M), scores that made the last N orders of the curve.
    """
    counts, removable = curve.counts[0].cpu(), int(curve.counts.max())
    order = orders.cpu().argsort(dim=-1, descending=True, stable=True)[:, :removable]
    sums = scores.cpu()[:, order].cumsum(-1)  # (O, N, m)
    sizes = counts > 0
    if not sizes.any():
        return scores.new_zeros(len(scores), curve.value.shape[1]).cpu()
    predicted = sums[:, :, counts[sizes] - 1]  # (O, N, K)
    drops = (curve.value[0, :, None] - curve.values[0, -len(orders) :]).double().cpu()[:, :, sizes]  # (N, T, K)
    a = (predicted - predicted.mean(1, keepdim=True)).flatten(1)  # (O, N · K)
    b = (drops - drops.mean(0)).transpose(0, 1).flatten(1)  # (T, N · K)
    norms = a.norm(dim=1)[:, None] * b.norm(dim=1)
    return torch.where(norms > 0, a @ b.T / norms.clamp_min(1e-300), 0.0)
