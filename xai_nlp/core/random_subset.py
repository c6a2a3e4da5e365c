"""Is a sum over some of many values larger than over as many drawn at random? Tested without drawing."""

from __future__ import annotations

import numpy as np

LEAST_SKEW = 1e-4  # below it the gamma distribution is the normal one


def subset_p_values(
    count: int, chosen: int, inside: np.ndarray, total: np.ndarray, squares: np.ndarray, cubes: np.ndarray
) -> np.ndarray:
    """One-sided p values that sums over `chosen` of `count` values are as large as they are by chance.

    inside: (G,) of each group of values the sum over those that were chosen. total, squares, cubes: (G,) the sums of
    all `count` values of a group, of their squares and of their third powers.

    Each subset of that size is equally likely. The first three moments of the sum are exact; its tail is that of the
    gamma distribution (Pearson type III) with these moments, or, where it leans to the left, the larger one of the
    normal distribution. 1 where no choice changes the sum.
    Source: Cochran 1977, "Sampling techniques", sec. 2.15, for the moments; Mielke & Berry 2007, "Permutation methods",
    sec. 2.3, for the tail.

    >>> values = np.arange(10.0)  # the three largest were chosen: one of 120 choices is as large
    >>> sums = [np.array([(values**k).sum()]) for k in (1, 2, 3)]
    >>> subset_p_values(10, 3, np.array([7.0 + 8 + 9]), *sums).round(4).tolist(), round(1 / 120, 4)
    ([0.0084], 0.0083)
    """
    from scipy.special import gammaincc, ndtr

    if count < 3 or not 0 < chosen < count:
        return np.ones(len(total))
    mean = total / count
    second = squares - count * mean**2
    third = cubes - 3 * mean * squares + 2 * count * mean**3
    rest = count - chosen
    variance = chosen * rest / (count * (count - 1)) * second
    varies = variance > 1e-12 * np.maximum(squares, 1e-300)
    deviation = np.sqrt(np.where(varies, variance, 1.0))
    distance = (inside - chosen * mean) / deviation
    skew = chosen * rest * (rest - chosen) / (count * (count - 1) * (count - 2)) * third / deviation**3
    shape = 4 / np.maximum(skew, LEAST_SKEW) ** 2
    gamma = gammaincc(shape, np.maximum(shape + distance * np.sqrt(shape), 0))
    tails = np.where(skew > LEAST_SKEW, gamma, ndtr(-distance))
    return np.where(varies, tails, 1.0)
