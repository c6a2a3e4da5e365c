"""Means of many groups at once: streamed, merged, with t intervals, p values and the false-discovery rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xai_nlp.core.statistics import CONFIDENCE

BUFFER = 2**17  # groups that wait before they are merged into the others
MOST = 2**21  # groups that are held; beyond, the rarest are dropped
_MIX = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hash: draws an example by its row, in any order of rows


@dataclass(frozen=True)
class GroupedMeans:
    """G groups with the mean of each.

    keys: (G, K) whole numbers that name a group, in ascending order. count, mean, squares: (G,) observations, their
    mean, and the sum of squared distances from it. strongest, drawn: (G,) the rows of the observation with the largest
    |value|, and of one drawn at random.
    """

    keys: np.ndarray
    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    largest: np.ndarray
    strongest: np.ndarray
    drawn: np.ndarray

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, index: np.ndarray | slice) -> GroupedMeans:
        return GroupedMeans(*(array[index] for array in vars(self).values()))

    @property
    def error(self) -> np.ndarray:
        """The standard error of each mean; NaN for one observation."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sqrt(self.squares / (self.count - 1) / self.count)

    def intervals(self) -> np.ndarray:
        """Student's t intervals, (G, 2); NaN for one observation."""
        from scipy.special import stdtrit

        half = np.where(self.count > 1, stdtrit(np.maximum(self.count - 1, 1), (1 + CONFIDENCE) / 2), np.nan)
        half = half * self.error
        return np.stack([self.mean - half, self.mean + half], axis=1)

    def p_values(self) -> np.ndarray:
        """Two-sided p values of Student's t test that a mean is 0, (G,); 1 for one observation.

        Source: Student 1908, "The probable error of a mean", Biometrika 6.
        """
        from scipy.special import stdtr

        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(self.mean == 0, 0.0, np.abs(self.mean) / self.error)
        return np.where(self.count > 1, 2 * stdtr(np.maximum(self.count - 1, 1), -t), 1.0)

    def examples(self, group: int) -> tuple[int, ...]:
        """The rows that stand for a group: its strongest one, and one drawn at random."""
        return tuple(dict.fromkeys((int(self.strongest[group]), int(self.drawn[group]))))


class GroupedMoments:
    """The running means of groups whose observations come in batches.

    Groups that differ in one of their K numbers are apart. Of more than MOST groups the rarest are dropped.
    Source: Chan, Golub & LeVeque 1979, eq. 2.1, for merging; Manku & Motwani 2002, sec. 4.2, for dropping.

    >>> moments = GroupedMoments()
    >>> moments.add(np.array([[7], [7], [8]]), np.array([1.0, 3.0, 5.0]), np.array([0, 1, 1]))
    >>> found = moments.result()
    >>> found.keys[:, 0].tolist(), found.mean.tolist(), found.count.tolist()
    ([7, 8], [2.0, 5.0], [2, 1])
    """

    def __init__(self, most: int = MOST) -> None:
        self.most, self._parts, self._waiting, self._floor = most, list[GroupedMeans](), 0, 0

    def add(self, keys: np.ndarray, values: np.ndarray, rows: np.ndarray) -> None:
        """Add observations. keys: (N, K) whole numbers from 0 on. values: (N,). rows: (N,) the row of each."""
        if not len(keys):
            return
        rows = np.asarray(rows, dtype=np.int64)
        ones, zeros = np.ones(len(keys), dtype=np.int64), np.zeros(len(keys))
        values = np.asarray(values, dtype=float)
        part = _merged([GroupedMeans(np.asarray(keys), ones, values, zeros, np.abs(values), rows, rows)])
        self._parts.append(part)
        self._waiting += len(part)
        if self._waiting > max(BUFFER, len(self._parts[0])):
            self._merge()

    def _merge(self) -> None:
        merged = _merged(self._parts)
        while len(merged) > self.most:
            self._floor += 1
            merged = merged[merged.count > self._floor]
        self._parts, self._waiting = [merged], 0

    @property
    def dropped(self) -> int:
        """So many observations of a group may be missing, after a rare group was dropped; 0 if none was."""
        return self._floor

    def result(self) -> GroupedMeans:
        """The groups so far."""
        if not self._parts:
            nothing = np.empty(0)
            return GroupedMeans(np.empty((0, 1), dtype=np.int64), nothing, nothing, nothing, nothing, nothing, nothing)
        self._merge()
        return self._parts[0]


def _merged(parts: list[GroupedMeans]) -> GroupedMeans:
    """Groups of the same keys as one, in ascending order of keys."""
    keys, count, mean, squares, largest, strongest, drawn = (
        np.concatenate(arrays) for arrays in zip(*(vars(part).values() for part in parts), strict=True)
    )
    order = _order(keys)
    keys, count, mean, squares = keys[order], count[order], mean[order], squares[order]
    new = np.ones(len(keys), dtype=bool)
    new[1:] = (keys[1:] != keys[:-1]).any(1)
    starts = new.nonzero()[0]
    group = np.cumsum(new) - 1
    total = np.add.reduceat(count, starts)
    means = np.add.reduceat(count * mean, starts) / total
    within = np.add.reduceat(squares + count * (mean - means[group]) ** 2, starts)
    best = _argmax(largest[order], starts, group)
    chance = _argmax(drawn[order].astype(np.uint64) * _MIX, starts, group)
    return GroupedMeans(
        keys[starts], total, means, within, largest[order][best], strongest[order][best], drawn[order][chance]
    )


def _order(keys: np.ndarray) -> np.ndarray:
    """The order that sorts keys (N, K); one sort where all numbers of a key fit into 63 bits."""
    bits = [int(column.max()).bit_length() for column in keys.T]
    if sum(bits) > 63:
        return np.lexsort(keys.T[::-1])
    packed = np.zeros(len(keys), dtype=np.int64)
    for column, size in zip(keys.T, bits, strict=True):
        packed = (packed << size) | column
    return np.argsort(packed, kind="stable")


def _argmax(values: np.ndarray, starts: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The first place of the largest value of each group."""
    places = (values == np.maximum.reduceat(values, starts)[group]).nonzero()[0]
    return places[np.unique(group[places], return_index=True)[1]]


def false_discovery(p_values: np.ndarray) -> np.ndarray:
    """q values: the false-discovery rate at which each of several tests is a discovery.

    Source: Benjamini & Hochberg 1995, "Controlling the false discovery rate", JRSS B 57, as adjusted p values.

    >>> false_discovery(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    order = np.argsort(p_values)[::-1]
    ranks = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum.accumulate(p_values[order] * len(p_values) / ranks)
    return np.minimum(adjusted, 1.0)
