"""The mean score of words and of phrases in groups of explanations, as lines of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xai_nlp.core.grouped_means import GroupedMeans, GroupedMoments, false_discovery
from xai_nlp.core.overview import OverviewColumn
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.vocabulary import Vocabulary

LEAST = 5  # explanations that hold a phrase
SURE = 0.05  # false-discovery rate of what is called sure
NAMED = 3  # phrases of a sentence

#: Columns of a line behind the group and the phrase.
NUMBERS = (
    OverviewColumn("mean score", "score"),
    OverviewColumn("interval", "interval"),
    OverviewColumn("texts", "count"),
    OverviewColumn("over all texts", "score", in_page=False),
    OverviewColumn("q", "q"),
    OverviewColumn("rows", "rows"),
)
NOTE = (
    "Mean score: over the texts that hold it, occurrences in one text added up, with Student’s 95 % interval. q: "
    "the false-discovery rate (Benjamini and Hochberg 1995) of the test that the mean is 0, over all that the card "
    "has; a bar is pale where q is over 0.05. First come those whose interval is far from 0 and which are in many "
    "texts: they are ranked by the interval’s end next to 0, times the root of the number of texts. What is in "
    f"fewer than {LEAST} texts is left out. Rows are those of the data, from 0 on: the largest |score|, then one "
    "drawn."
)


@dataclass(frozen=True)
class PhraseLine:
    """A phrase of a group.

    words: numbers in the vocabulary. overall: its sum over all explanations of the group, over their number.
    """

    words: tuple[int, ...]
    text: str
    mean: float
    interval: tuple[float, float] | None
    count: int
    overall: float
    q: float
    rows: tuple[int, ...]

    @property
    def sure(self) -> bool:
        """Is it a discovery?"""
        return self.q <= SURE

    @property
    def cells(self) -> tuple[Any, ...]:
        """The values of NUMBERS."""
        return self.mean, self.interval, self.count, self.overall, self.q, self.rows


class PhraseMeans:
    """The running mean score of each phrase in each group of explanations; an explanation is one observation."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary, self.moments = vocabulary, GroupedMoments()
        self.numbers: dict[str, int] = {}  # of each group
        self.sizes: Counter[str] = Counter()  # explanations of each group

    def add(
        self, groups: Sequence[str], chunk: Chunk, example: np.ndarray, words: np.ndarray, scores: np.ndarray
    ) -> None:
        """Count occurrences. groups: (N,) of the explanations. example: (S,). words: (S, K). scores: (S,)."""
        number = np.array([self.numbers.setdefault(one, len(self.numbers)) for one in groups], dtype=np.int64)
        self.sizes.update(groups)
        keys, sums = sums_by(np.column_stack([example, words]), scores)
        example = keys[:, 0]
        self.moments.add(np.column_stack([number[example], keys[:, 1:]]), sums, chunk.row[example])

    def lines(self, least: int = LEAST) -> dict[str, list[PhraseLine]]:
        """The phrases of each group, the most important first; the largest group first.

        least: phrases in fewer explanations are left out, unless the group is smaller.
        """
        found = self.moments.result()
        starts = np.searchsorted(found.keys[:, 0], np.arange(len(self.numbers) + 1))
        lines = {}
        for group, size in sorted(self.sizes.items(), key=lambda pair: (-pair[1], pair[0])):
            number = self.numbers[group]
            own = found[slice(*starts[number : number + 2].tolist())]
            lines[group] = list(self._lines(own[own.count >= min(least, size)], size))
        return {group: own for group, own in lines.items() if own}

    def _lines(self, known: GroupedMeans, size: int) -> Iterator[PhraseLine]:
        intervals, q = known.intervals(), false_discovery(known.p_values())
        words = self.vocabulary.words
        for i in ranked(known, intervals).tolist():
            key = tuple(known.keys[i, 1:].tolist())
            mean, count = float(known.mean[i]), int(known.count[i])
            yield PhraseLine(
                words=key,
                text=" ".join(words[one] for one in key),
                mean=mean,
                interval=as_interval(intervals[i]),
                count=count,
                overall=mean * count / size,
                q=float(q[i]),
                rows=known.examples(i),
            )


def ranked(known: GroupedMeans, intervals: np.ndarray) -> np.ndarray:
    """The groups by the end of the interval next to 0, times √count; where it holds 0, behind, by the mean times it."""
    certain = np.where(known.mean > 0, intervals[:, 0], -intervals[:, 1])
    certain = np.where(certain > 0, certain, 0.0) * np.sqrt(known.count)
    return np.lexsort((np.arange(len(known)), -np.abs(known.mean) * np.sqrt(known.count), -certain))


def sums_by(keys: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct keys (S, K) and the sum of the scores of each.

    >>> keys, sums = sums_by(np.array([[0, 7], [0, 7], [1, 7]]), np.array([1.0, 2.0, 4.0]))
    >>> keys.tolist(), sums.tolist()
    ([[0, 7], [1, 7]], [3.0, 4.0])
    """
    if not len(keys):
        return keys, np.empty(0)
    order = np.lexsort(keys.T[::-1])
    keys = keys[order]
    new = np.ones(len(keys), dtype=bool)
    new[1:] = (keys[1:] != keys[:-1]).any(1)
    return keys[new], np.add.reduceat(scores[order], new.nonzero()[0])


def as_interval(pair: np.ndarray) -> tuple[float, float] | None:
    """An interval as a table holds it; None where one observation gives none."""
    low, high = pair.tolist()
    return None if np.isnan(low) else (low, high)


def quoted(words: Sequence[str]) -> str:
    """Words in a sentence.

    >>> quoted(["good", "fine", "best"])
    '“good”, “fine” and “best”'
    """
    marked = [f"“{word}”" for word in words]
    return " and ".join(filter(None, [", ".join(marked[:-1]), *marked[-1:]]))


def table_lines(lines: dict[str, list[PhraseLine]]) -> tuple[tuple[Any, ...], ...]:
    """Lines of a table: group, phrase, NUMBERS."""
    return tuple((group, line.text, *line.cells) for group, own in lines.items() for line in own)


def strongest_for(lines: Sequence[PhraseLine], count: int = NAMED) -> list[str]:
    """The first phrases that surely speak for what is explained."""
    return [line.text for line in lines if line.mean > 0 and line.sure][:count]
