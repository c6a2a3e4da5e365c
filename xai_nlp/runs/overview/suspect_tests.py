"""The two tests of a shortcut suspect, of many features at once."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from xai_nlp.core.grouped_means import GroupedMeans
from xai_nlp.core.random_subset import subset_p_values
from xai_nlp.core.statistics import CONFIDENCE

MARGIN = 0.1  # a feature without a meaning may take this much more than its share of the words


@dataclass(frozen=True)
class WrongAndRight:
    """What G features say for the prediction in wrong and in right predictions; explanations without one count as 0.

    counts: of wrong and of right predictions. present: (2, G) how many of them hold a feature. means: (2, G) over all.
    p: (G,) one-sided: do wrong predictions hold more of it than as many drawn at random?
    more, low: (G,) the difference of the means, and the lower end of its 95 % interval, by Welch.
    """

    counts: tuple[int, int]
    present: np.ndarray
    means: np.ndarray
    p: np.ndarray
    more: np.ndarray
    low: np.ndarray

    @classmethod
    def of(
        cls, codes: np.ndarray, wrong: GroupedMeans, right: GroupedMeans, cubes: GroupedMeans, counts: tuple[int, int]
    ) -> WrongAndRight:
        """codes: (G,) of the features. cubes: means of the third powers. counts: of wrong and of right predictions."""
        groups = [aligned(found, codes) for found in (wrong, right)]
        totals = np.stack([group.count * group.mean for group in groups])
        squares = np.stack([group.squares + group.count * group.mean**2 for group in groups])
        sizes = np.maximum(counts, 1)[:, None]
        means = totals / sizes
        errors = (np.maximum(squares / sizes - means**2, 0) / np.maximum(sizes - 1, 1)).sum(0)
        third = aligned(cubes, codes)
        p = subset_p_values(sum(counts), counts[0], totals[0], totals.sum(0), squares.sum(0), third.count * third.mean)
        more, half = means[0] - means[1], NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * np.sqrt(errors)
        return cls(counts, np.stack([group.count for group in groups]), means, p, more, more - half)

    @property
    def tested(self) -> np.ndarray:
        """Whether there was anything to compare, (G,)."""
        return np.full(len(self.p), bool(self.counts[0] and self.counts[1]))

    @property
    def rates(self) -> np.ndarray:
        """The share of wrong predictions among those with a feature; NaN where right ones are not known, (G,)."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.present[0] / self.present.sum(0))


@dataclass(frozen=True)
class Excess:
    """What G features take of the |score| beyond their share of the words, in the explanations that hold them.

    size: (G,) their share of the words; NaN for a feature that is not tested.
    p: (G,) one-sided: is the excess larger than MARGIN?
    more, low: (G,) what is above MARGIN, as a mean over all explanations, and the lower end of its 95 % interval.
    p is 1 for a feature that is not tested, more and low 0.
    """

    size: np.ndarray
    p: np.ndarray
    more: np.ndarray
    low: np.ndarray

    @property
    def tested(self) -> np.ndarray:
        """Which features were tested, (G,)."""
        return ~np.isnan(self.size)

    @classmethod
    def of(cls, shares: GroupedMeans, excess: GroupedMeans, count: int) -> Excess:
        """shares, excess: of |score|, and of |score| less that of words. count: of explanations."""
        from scipy.special import stdtr, stdtrit

        tested = aligned(excess, shares.keys[:, 0])
        freedom = np.maximum(tested.count - 1, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.sqrt(tested.squares / freedom / tested.count)
            t = (tested.mean - MARGIN) / error
        known = (tested.count > 1) & ~np.isnan(t)
        holding = tested.count / max(count, 1)
        more, half = (tested.mean - MARGIN) * holding, stdtrit(freedom, (1 + CONFIDENCE) / 2) * error * holding
        return cls(
            size=np.where(tested.count > 0, shares.mean - tested.mean, np.nan),
            p=np.where(known, stdtr(freedom, -np.where(known, t, 0)), 1.0),
            more=np.where(known, more, 0.0),
            low=np.where(known, more - half, 0.0),
        )


def aligned(found: GroupedMeans, codes: np.ndarray) -> GroupedMeans:
    """The groups whose only key is one of `codes`, in that order; one that is not there has count and mean 0."""
    if not len(found):
        nothing = np.zeros(len(codes))
        return GroupedMeans(codes[:, None], *[nothing] * 6)
    place = np.minimum(np.searchsorted(found.keys[:, 0], codes), len(found) - 1)
    there = found.keys[place, 0] == codes
    _, *arrays = vars(found[place]).values()
    return GroupedMeans(codes[:, None], *(np.where(there, array, 0) for array in arrays))
