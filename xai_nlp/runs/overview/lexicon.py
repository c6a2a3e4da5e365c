"""The words that speak for and against each label."""

from __future__ import annotations

from collections import Counter

import numpy as np

from xai_nlp.core.grouped_means import GroupedMeans, GroupedMoments, false_discovery
from xai_nlp.core.overview import OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.section import OverviewContext, Section

LEAST = 5  # explanations that hold a word, or fewer where a label has fewer
SURE = 0.05  # false-discovery rate of what is called sure
NAMED = 3  # words of a sentence
LABELS = 3  # labels of the first sentence
COLUMNS = (
    OverviewColumn("label"),
    OverviewColumn("word"),
    OverviewColumn("mean score", "score"),
    OverviewColumn("interval", "interval"),
    OverviewColumn("texts", "count"),
    OverviewColumn("q", "q"),
    OverviewColumn("examples", "rows"),
)


class Lexicon(Section):
    """The mean score of each word in the explanations of each label, tested against 0."""

    def __init__(self, context: OverviewContext) -> None:
        super().__init__(context)
        self.moments, self.labels, self.sizes = GroupedMoments(), dict[str, int](), Counter[str]()
        self.unit = ""

    def add(self, chunk: Chunk) -> None:
        sums = chunk.word_sums
        numbers = np.array([self.labels.setdefault(one, len(self.labels)) for one in chunk.labels], dtype=np.int64)
        keys = np.stack([numbers[sums.example], sums.number], axis=1)
        self.moments.add(keys, sums.score, chunk.row[sums.example])
        self.sizes.update(chunk.labels)
        self.unit = self.unit or chunk.unit

    def result(self) -> OverviewSection | None:
        found, words, lines, told = self.moments.result(), self.context.vocabulary.words, [], {}
        for label, number in self.labels.items():
            size = self.sizes[label]
            known = found[(found.keys[:, 0] == number) & (found.count >= min(LEAST, size))]
            order, q = ranked(known)
            intervals = known.intervals()
            names = [words[known.keys[i, 1]] for i in order]
            lines += [
                (
                    label,
                    name,
                    float(known.mean[i]),
                    interval_of(intervals[i]),
                    int(known.count[i]),
                    float(q[i]),
                    known.examples(i),
                )
                for name, i in zip(names, order, strict=True)
            ]
            told[label] = [name for name, i in zip(names, order, strict=True) if known.mean[i] > 0 and q[i] <= SURE]
        if not lines:
            return None
        table = OverviewTable(
            name="lexicon",
            title="Words for and against",
            columns=COLUMNS,
            lines=tuple(lines),
            by="label",
            unit=self.unit,
        )
        sentence = _sentence(told, self.sizes)
        return OverviewSection(
            name="words",
            title="Words for and against each label",
            sentence=sentence or "No word speaks for a label surely.",
            headline=sentence,
            note=NOTE,
            tables=(table,),
        )


NOTE = (
    "The mean of a word’s score over the explanations that hold it, occurrences in one text added up, with Student’s "
    "95 % interval. q is the false-discovery rate (Benjamini and Hochberg 1995) of the test that the mean is 0, over "
    "all words of a label. Words are ranked by the end of the interval next to 0, so that strong and frequent words "
    f"come first. Words in fewer than {LEAST} texts are left out."
)


def ranked(known: GroupedMeans) -> tuple[np.ndarray, np.ndarray]:
    """Groups in the order of the interval's end next to 0, the farthest first; and the q value of each."""
    intervals = known.intervals()
    certain = np.where(known.mean > 0, intervals[:, 0], -intervals[:, 1])
    certain = np.where(np.isnan(certain), -np.abs(known.mean), certain)
    return np.lexsort((np.arange(len(known)), -np.abs(known.mean), -certain)), false_discovery(known.p_values())


def interval_of(pair: np.ndarray) -> tuple[float, float] | None:
    """An interval as a table holds it; None where one observation gives none."""
    low, high = pair.tolist()
    return None if np.isnan(low) else (low, high)


def quoted(words: list[str]) -> str:
    """Words in a sentence.

    >>> quoted(["good", "fine", "best"])
    '“good”, “fine” and “best”'
    """
    marked = [f"“{word}”" for word in words]
    return " and ".join(filter(None, [", ".join(marked[:-1]), *marked[-1:]]))


def _sentence(told: dict[str, list[str]], sizes: Counter[str]) -> str:
    """The strongest words of the most frequent labels, in words."""
    labels = [label for label, _ in sizes.most_common() if told[label]]
    clauses = [f"{label} for words such as {quoted(told[label][:NAMED])}" for label in labels[:LABELS]]
    more = f"; {len(labels) - LABELS} more labels have words of their own" if len(labels) > LABELS else ""
    return f"The model says {', and '.join(clauses)}{more}." if clauses else ""
