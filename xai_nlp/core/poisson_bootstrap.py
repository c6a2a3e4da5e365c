"""Bootstrap intervals of means whose observations come in batches, all on the same resamples."""

from __future__ import annotations

import numpy as np

from xai_nlp.core.statistics import CONFIDENCE

RESAMPLES = 1000


class PoissonBootstrap:
    """Weighted sums of the observations of G groups and M measures, over RESAMPLES resamples.

    An observation is in a resample a number of times that is Poisson with mean 1. All groups share the draws, so that
    differences of groups have intervals, too. Nothing is kept of an observation but the sums.
    Source: Hanley & MacGibbon 2006, "Creating non-parametric bootstrap samples using Poisson frequencies", Computer
    Methods and Programs in Biomedicine 83; Efron 1979 for the percentile interval.

    >>> bootstrap = PoissonBootstrap(measures=1)
    >>> bootstrap.add({"a": np.arange(100) % 2 == 0}, (np.arange(100.0) % 2)[:, None])
    >>> bootstrap.mean("a", 0), bootstrap.count("a", 0), bootstrap.interval("a", 0)
    (0.0, 50, (0.0, 0.0))
    """

    def __init__(self, measures: int, seed: int = 0, resamples: int = RESAMPLES) -> None:
        self.measures, self.resamples = measures, resamples
        self._draws = np.random.default_rng(seed)
        self._sums: dict[str, np.ndarray] = {}  # (R + 1, M, 2): weighted sums and weights; the data themselves first

    def add(self, groups: dict[str, np.ndarray], values: np.ndarray) -> None:
        """Add N observations. groups: name -> which of them are in it, (N,) of bool. values: (N, M); NaN is unknown."""
        weights = np.ones((self.resamples + 1, len(values)))
        weights[1:] = self._draws.poisson(1.0, (self.resamples, len(values)))
        known = np.isfinite(values)
        columns = np.concatenate([np.where(known, values, 0.0), known], axis=1)  # (N, 2M)
        inside = np.stack(list(groups.values()), axis=1).astype(float)  # (N, G)
        stacked = (inside[:, :, None] * columns[:, None, :]).reshape(len(values), len(groups) * 2 * self.measures)
        sums = (weights @ stacked).reshape(len(weights), len(groups), 2, self.measures)
        for place, name in enumerate(groups):
            self._sums[name] = self._sums.get(name, 0.0) + sums[:, place]

    def __contains__(self, group: str) -> bool:
        return group in self._sums

    def count(self, group: str, measure: int) -> int:
        """The observations of a group whose measure is known."""
        return int(self._sums[group][0, 1, measure])

    def mean(self, group: str, measure: int, *, without: str = "") -> float:
        """The mean of a group, or of what is in it and not in the group `without`, which is a part of it."""
        return float(self._means(group, measure, without)[0])

    def interval(self, group: str, measure: int) -> tuple[float, float] | None:
        """The percentile interval of a mean; None for fewer than two observations."""
        return _percentiles(self._means(group, measure)) if self.count(group, measure) > 1 else None

    def difference(self, group: str, measure: int, whole: str) -> tuple[float, tuple[float, float] | None] | None:
        """The mean of a group less that of the rest of `whole`, with its interval; None where one of them is empty."""
        count, rest = self.count(group, measure), self.count(whole, measure) - self.count(group, measure)
        if not count or not rest:
            return None
        change = self._means(group, measure) - self._means(whole, measure, group)
        return float(change[0]), _percentiles(change) if min(count, rest) > 1 else None

    def _means(self, group: str, measure: int, without: str = "") -> np.ndarray:
        sums = self._sums[group] - (self._sums[without] if without else 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):  # a resample may hold none of a small group
            return np.asarray(sums[:, 0, measure] / sums[:, 1, measure])


def _percentiles(means: np.ndarray) -> tuple[float, float]:
    tails = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    low, high = np.nanquantile(means[1:], tails).tolist()
    return low, high
