"""Where an order of features stands between the worst and the best one, and against random ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xai_nlp.core.coalitions import removable_features, values_without
from xai_nlp.core.problem import Problem
from xai_nlp.core.statistics import CONFIDENCE
from xai_nlp.core.subject import Subject
from xai_nlp.errors import InvalidInput
from xai_nlp.metrics.deletion import aopc, size_table

EXACT = 8  # features: their 256 subsets are all evaluated
LEAST_ORDERS = 2  # fewer give no interval


@dataclass(frozen=True, kw_only=True, eq=False)
class RandomOrders:
    """AOPC of random orders of the features, and what they show together."""

    aopc: Tensor  # (B, O, T)

    @property
    def mean(self) -> Tensor:
        """(B, T)."""
        return self.aopc.mean(1)

    @property
    def interval(self) -> Tensor:
        """Student's 95 % confidence interval of the mean: (B, T, 2)."""
        from scipy.special import stdtrit

        n = self.aopc.shape[1]
        half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * self.aopc.std(1) / n**0.5
        return torch.stack([self.mean - half, self.mean + half], -1)

    @property
    def range(self) -> Tensor:
        """Between which numbers 95 % of random orders lie: (B, T, 2)."""
        ends = self.aopc.new_tensor([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return self.aopc.quantile(ends, 1).movedim(0, -1)

    def share_below(self, values: Tensor) -> Tensor:
        """The share of random orders that have less than each of the values (B, T): (B, T)."""
        return (self.aopc < values[:, None]).double().mean(1)


def random_scores(subject: Subject, *, orders: int = 20, seed: int = 0) -> Tensor:
    """Scores that put the features into so many random orders: (B, O, M).

    Draws depend on the seed and on how many features an example has, not on the batch.
    Raises InvalidInput for fewer than two orders.
    """
    if orders < LEAST_ORDERS:
        raise InvalidInput(f"orders must be at least {LEAST_ORDERS}, for an interval; got {orders}.")
    removable = removable_features(subject.problem())
    scores = torch.zeros(len(removable), orders, removable.shape[1], dtype=torch.float64, device=removable.device)
    for own, has in zip(scores, removable, strict=True):
        generator = torch.Generator().manual_seed(seed)
        draws = torch.rand(orders, int(has.sum()), generator=generator, dtype=torch.float64)
        own[:, has] = draws.to(own)
    return scores


def random_orders(
    subject: Subject, *, orders: int = 20, seed: int = 0, sizes: Sequence[float] | None = None
) -> RandomOrders:
    """AOPC of random orders of the features: what scores that know nothing reach.

    orders: how many; 20 or more for a useful interval. sizes: as in `xai_nlp.metrics.deletion_curve`.
    Cost: at most orders × sizes passes of each example.
    Raises InvalidInput for fewer than two orders.
    """
    return RandomOrders(aopc=aopc(subject, random_scores(subject, orders=orders, seed=seed), sizes=sizes))


@dataclass(frozen=True, kw_only=True, eq=False)
class OrderBounds:
    """The best and the worst order of the features that were found, as scores, and their AOPC."""

    best: Tensor  # (B, T)
    worst: Tensor  # (B, T)
    best_scores: Tensor  # (B, T, M) the first feature of the order has the highest
    worst_scores: Tensor  # (B, T, M)
    exact: Tensor  # (B,) bool: none is better or worse


def best_and_worst_order(
    subject: Subject, *, exact: int = EXACT, beam: int = 5, sizes: Sequence[float] | None = None
) -> OrderBounds:
    """The orders of the features with the highest and the lowest AOPC.

    Up to `exact` features (M) all 2^M subsets are evaluated, and the best chain of them is found by dynamic
    programming: it is the best of all M! orders. Above, a beam search keeps the `beam` best sets at each size, by their
    mean drop so far; it may miss the best order, so that bounds are too close. Costs at most 2 · beam · M² / 2 passes.

    exact: features up to which every subset is tried; 8 are 256 subsets. sizes: as in `xai_nlp.metrics.deletion_curve`.
    Raises InvalidInput for a beam below 1.
    Source: Edin et al. 2025, section 4 (arXiv:2408.08137), which enumerates orders where we go by subsets.
    """
    if beam < 1:
        raise InvalidInput(f"beam must be at least 1; got {beam}.")
    problem = subject.problem()
    removable = removable_features(problem)
    found = []
    for b, has in enumerate(removable):
        counts, of_sizes = size_table(has.sum()[None], sizes)
        weights = of_sizes.new_zeros(int(has.sum()) + 1).index_add_(0, counts[0], of_sizes[0])
        search = _OrderSearch(problem.part(problem.everyone[b : b + 1]), has, weights)
        found.append(search.by_subsets() if len(weights) - 1 <= exact else search.by_beams(beam))
    totals, scores = (torch.stack(each) for each in zip(*found, strict=True))
    best, worst = totals.chunk(2, 1)
    best_scores, worst_scores = scores.chunk(2, 1)
    return OrderBounds(
        best=best,
        worst=-worst,
        best_scores=best_scores,
        worst_scores=worst_scores,
        exact=removable.sum(1) <= exact,
    )


@dataclass(frozen=True, eq=False)
class _OrderSearch:
    """Orders of the m features of one example, for C goals: that each of T numbers drops, and that each rises."""

    problem: Problem  # of the one example
    has: Tensor  # (M,) bool
    weights: Tensor  # (m + 1,) of the sets of each size

    def drops(self, removed: Tensor) -> Tensor:
        """f(x) − f without sets of the features (N, m), and the negative of it: (N, C)."""
        sets = removed.new_zeros(1, len(removed) + 1, len(self.has))
        sets[0, 1:, self.has] = removed
        values = values_without(self.problem, sets)[0].double()
        drops = values[:1] - values[1:]
        return torch.cat([drops, -drops], 1)

    def scores(self, order: Tensor) -> Tensor:
        """Scores of all features (M,) that put the m features into an order (m,)."""
        scores, m = self.weights.new_zeros(len(self.has)), len(order)
        scores[self.has.nonzero()[order, 0]] = torch.arange(m, 0, -1, device=order.device).to(scores)
        return scores

    def by_subsets(self) -> tuple[Tensor, Tensor]:
        """The highest mean drops (C,), and the scores of their orders (C, M), by all subsets."""
        m = len(self.weights) - 1
        bits = 1 << torch.arange(m, device=self.has.device)
        removed = (torch.arange(2**m, device=self.has.device)[:, None] & bits) > 0
        sizes = removed.sum(1)
        gains = self.drops(removed) * self.weights[sizes, None]
        totals, last = torch.zeros_like(gains), torch.zeros_like(gains, dtype=torch.long)
        for size in range(1, m + 1):
            sets = (sizes == size).nonzero()[:, 0]
            before = totals[(sets[:, None] - bits).clamp_min(0)].masked_fill(~removed[sets, :, None], -torch.inf)
            best, last[sets] = before.max(1)
            totals[sets] = best + gains[sets]
        at, backwards = torch.full_like(last[0], 2**m - 1), []
        for _ in range(m):
            backwards.append(last.gather(0, at[None])[0])
            at = at - bits[backwards[-1]]
        orders = torch.stack(backwards[::-1], 1) if m else last[:1].T[:, :0]
        return totals[-1], torch.stack([self.scores(order) for order in orders])

    def by_beams(self, width: int) -> tuple[Tensor, Tensor]:
        """The same by a beam search for each goal, all of them in the same passes."""
        m = len(self.weights) - 1
        one_more = torch.eye(m, dtype=torch.bool, device=self.has.device)
        goals = self.drops(one_more[:0]).shape[1]
        beams = [(one_more.new_zeros(1, 0, dtype=torch.long), self.weights.new_zeros(1, 0))] * goals
        for _ in range(m):
            sets = [one_more[orders].any(1)[:, None] | one_more for orders, _ in beams]  # (beams, m, m) each
            gains = self.drops(torch.cat([each.flatten(0, 1) for each in sets])).split(
                [s[..., 0].numel() for s in sets]
            )
            beams = [
                _widened(*beam, of_goal, gained[:, goal], width)
                for goal, (beam, of_goal, gained) in enumerate(zip(beams, sets, gains, strict=True))
            ]
        totals = torch.stack([drops[0] @ self.weights[1:] for _, drops in beams])
        return totals, torch.stack([self.scores(orders[0]) for orders, _ in beams])


def _widened(orders: Tensor, drops: Tensor, sets: Tensor, gained: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The best orders of k + 1 features, at most `width` and no two of one set, and the drops at their sizes.

    orders, drops: of k features (n, k). sets: with each feature added (n, m, m). gained: their drops (n · m,).
    """
    m = sets.shape[1]
    there = (sets.sum(2) == orders.shape[1]).flatten()  # the feature was one of them
    totals = (drops.sum(1).repeat_interleave(m) + gained).masked_fill(there, -torch.inf)
    ids = sets.flatten(0, 1).unique(dim=0, return_inverse=True)[1].tolist()
    by_set: dict[int, int] = {}
    for place in totals.argsort(descending=True, stable=True).tolist()[: len(there) - int(there.sum())]:
        by_set.setdefault(ids[place], place)
    chosen = torch.tensor(list(by_set.values())[:width], device=sets.device)
    longer = torch.cat([orders[chosen // m], (chosen % m)[:, None]], 1)
    return longer, torch.cat([drops[chosen // m], gained[chosen, None]], 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class NormalizedAOPC:
    """AOPC between its bounds, and against random orders: the axis O is there if `scores` had it."""

    aopc: Tensor  # (B, [O,] T)
    best: Tensor  # (B, T) of the best order found, these scores' own among them
    worst: Tensor  # (B, T)
    exact: Tensor  # (B,) bool: the bounds are those of all orders
    random: RandomOrders

    def _aligned(self, numbers: Tensor) -> Tensor:
        """Numbers (B, T) beside `aopc`."""
        return numbers if self.aopc.ndim == 2 else numbers[:, None]

    @property
    def value(self) -> Tensor:
        """NAOPC, from 0 for the worst order to 1 for the best: (B, [O,] T). NaN where all orders are alike."""
        worst, best = self._aligned(self.worst), self._aligned(self.best)
        return (self.aopc - worst) / (best - worst)

    @property
    def position(self) -> Tensor:
        """From 0 for the mean of random orders to 1 for the best: (B, [O,] T). Below 0 is worse than random."""
        return self._on_line(self.random.mean)

    @property
    def position_interval(self) -> Tensor:
        """`position` at the ends of the 95 % interval of the random mean, the lower first: (B, [O,] T, 2)."""
        low, high = self.random.interval.unbind(-1)
        return torch.stack([self._on_line(high), self._on_line(low)], -1).sort(-1).values

    def _on_line(self, start: Tensor) -> Tensor:
        start = self._aligned(start)
        return (self.aopc - start) / (self._aligned(self.best) - start)


def naopc(
    subject: Subject,
    scores: Any,
    *,
    sizes: Sequence[float] | None = None,
    orders: int = 20,
    seed: int = 0,
    exact: int = EXACT,
    beam: int = 5,
    bounds: OrderBounds | None = None,
) -> NormalizedAOPC:
    """Normalised AOPC: where the order of scores stands between the worst and the best order, and against random ones.

    `value` ranges from 0 to 1, and numbers of two models can be compared. That of −scores is the normalised
    sufficiency, which is good where it is low.
    Misleads: with more than `exact` features the bounds are those that were found, and a better order may exist; then
    the value is too high. It is NaN for a function that no order changes.

    scores, sizes: as in `xai_nlp.metrics.deletion_curve`. orders, seed: of `random_orders`. exact, beam: of
    `best_and_worst_order`, which costs most of the passes. bounds: what it returned for this subject and these sizes.
    Source: Edin et al. 2025, eq. 3 (arXiv:2408.08137).
    """
    bounds = bounds or best_and_worst_order(subject, exact=exact, beam=beam, sizes=sizes)
    own = torch.as_tensor(scores)
    several = own if own.ndim == 3 else own[:, None]
    draws = random_scores(subject, orders=orders, seed=seed)
    every = aopc(subject, torch.cat([several.to(draws), draws], 1), sizes=sizes)
    ours, random = every.split([several.shape[1], orders], 1)
    return NormalizedAOPC(
        aopc=ours if own.ndim == 3 else ours[:, 0],
        best=bounds.best.maximum(every.amax(1)).to(every),
        worst=bounds.worst.minimum(every.amin(1)).to(every),
        exact=bounds.exact,
        random=RandomOrders(aopc=random),
    )
