"""Answers from one of several inputs alone: the question without the text or the image, or the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from xxhash import xxh3_64_intdigest

from xai_nlp.core.grouped_means import GroupedMeans, GroupedMoments
from xai_nlp.core.overview import OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.core.statistics import mean_of, proportion
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.features import input_names, input_shares
from xai_nlp.runs.overview.modalities import IGNORED
from xai_nlp.runs.overview.section import OverviewContext, Section
from xai_nlp.runs.overview.suspect_tests import aligned
from xai_nlp.viz.text.number_format import percent

PARTS = 5  # of the shares from 0 to 1, in which texts are counted
ANSWERS = ("predicted", "right")  # whose answers repeat
NOTE = (
    f"An answer is from one input alone if every other input has less than {percent(IGNORED)} of the Σ |score| of all "
    "inputs; special tokens are left out. Shares have Wilson’s 95 % interval. Repeated inputs: how often two rows "
    "with the same question, say, have the same answer, as a mean over questions with Student’s 95 % interval; and "
    "how often two rows of any question do. The first far above the second says that the question alone tells much of "
    "the answer in these data (Goyal et al. 2017; Kaushik and Lipton 2018)."
)


class QuestionOnly(Section):
    """How many answers rest on one input alone, by their scores; and how far an input alone tells the answer.

    A share of scores says what the explained number rests on, along the path from the baseline that was chosen. That
    the model gives the same answer without the other input is measured by running the same rows without it.
    Source: Goyal et al. 2017 (arXiv:1612.00837), Kaushik & Lipton 2018 (arXiv:1808.04926), for the question alone.
    """

    def __init__(self, context: OverviewContext) -> None:
        super().__init__(context)
        self.names: list[str] = []
        self.shares, self.alone, self.wrong = GroupedMoments(), GroupedMoments(), GroupedMoments()
        self.parts: dict[str, np.ndarray] = {}
        self.repeats = [Repeats() for _ in ANSWERS]

    def add(self, chunk: Chunk) -> None:
        names = input_names(chunk)
        if len(names) < 2:
            return
        shares = input_shares(chunk, names)
        scored = (shares.sum(1) > 0).nonzero()[0]
        for place, name in enumerate(names):
            number = self._number(name)
            share, keys, rows = shares[scored, place], np.full((len(scored), 1), number), chunk.row[scored]
            alone = share > 1 - IGNORED
            self.shares.add(keys, share, rows)
            self.alone.add(keys, alone.astype(float), rows)
            judged = chunk.correct[scored] >= 0
            states = np.stack([keys[:, 0] * 2 + alone], axis=1)
            self.wrong.add(states[judged], (chunk.correct[scored] == 0)[judged].astype(float), rows[judged])
            part = np.minimum((share * PARTS).astype(np.int64), PARTS - 1)
            self.parts[name] = self.parts.get(name, 0) + np.bincount(part, minlength=PARTS)
            if name != "image":
                texts = [segments[place] if place < len(segments) else "" for segments in chunk.segments]
                golds = [gold[0] if gold else "" for gold in chunk.gold]
                for repeats, answers in zip(self.repeats, (chunk.predictions, golds), strict=True):
                    repeats.add(number, texts, answers)

    def _number(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def result(self) -> OverviewSection | None:
        if not self.names:
            return None
        numbers = np.arange(len(self.names))
        alone, shares = aligned(self.alone.result(), numbers), aligned(self.shares.result(), numbers)
        wrong = aligned(self.wrong.result(), np.arange(2 * len(numbers)))
        lines = tuple(self._line(n, alone, shares, wrong) for n in numbers.tolist())
        repeated = tuple(
            (name, whose, *cells)
            for number, name in enumerate(self.names)
            for whose, repeats in zip(ANSWERS, self.repeats, strict=True)
            if (cells := repeats.cells(number))
        )
        tables = [
            OverviewTable(
                name="one_input", title="Answers from one input alone", columns=COLUMNS, lines=lines, layout="table"
            ),
            OverviewTable(
                name="input_shares",
                title="Texts by the share of an input",
                columns=PART_COLUMNS,
                lines=tuple(line for name in self.names for line in self._parts(name)),
                by="input",
            ),
        ]
        if repeated:
            tables.append(
                OverviewTable(
                    name="repeated_inputs", title="Repeated inputs", columns=REPEATED, lines=repeated, layout="table"
                )
            )
        return OverviewSection(
            name="question_only",
            title="Answers from one input alone",
            sentence=_sentence(lines),
            note=NOTE,
            tables=tuple(tables),
        )

    def _line(self, number: int, alone: GroupedMeans, shares: GroupedMeans, wrong: GroupedMeans) -> tuple[Any, ...]:
        count = int(alone.count[number])
        share = proportion(round(float(alone.mean[number]) * count), count)
        rates = [float(wrong.mean[at]) if wrong.count[at] else None for at in (2 * number + 1, 2 * number)]
        low, high = shares.intervals()[number].tolist()
        mean, interval = float(shares.mean[number]), None if np.isnan(low) else (low, high)
        name = f"{self.names[number]} only"
        return name, share.mean, share.interval, count, mean, interval, *rates, alone.examples(number)

    def _parts(self, name: str) -> list[tuple[Any, ...]]:
        counts = self.parts[name].tolist()
        shares = [proportion(count, sum(counts)) for count in counts]
        return [
            (name, f"{100 * n // PARTS} to {100 * (n + 1) // PARTS} %", share.mean, share.interval, count)
            for n, (share, count) in enumerate(zip(shares, counts, strict=True))
        ]


COLUMNS = (
    OverviewColumn("input"),
    OverviewColumn("texts that rest on it alone", "share"),
    OverviewColumn("interval", "interval"),
    OverviewColumn("texts", "count"),
    OverviewColumn("its share of |score|", "share"),
    OverviewColumn("interval of it", "interval"),
    OverviewColumn("wrong where alone", "share"),
    OverviewColumn("wrong elsewhere", "share"),
    OverviewColumn("rows", "rows"),
)
PART_COLUMNS = (
    OverviewColumn("input"),
    OverviewColumn("its share of |score|"),
    OverviewColumn("texts with that share", "share"),
    OverviewColumn("interval", "interval"),
    OverviewColumn("texts", "count"),
)
REPEATED = (
    OverviewColumn("input"),
    OverviewColumn("answers"),
    OverviewColumn("same answer to the same input", "share"),
    OverviewColumn("interval", "interval"),
    OverviewColumn("same answer to any input", "share"),
    OverviewColumn("inputs", "count"),
    OverviewColumn("texts", "count"),
)


class Repeats:
    """How far an input that occurs in several rows tells the answer."""

    def __init__(self) -> None:
        self.parts: list[np.ndarray] = []  # (N, 3): input, hash of its text, hash of the answer

    def add(self, number: int, texts: Sequence[str], answers: Sequence[str]) -> None:
        """Add rows: the number of the input, its text and the answer of each; rows without an answer are left out."""
        pairs = [(_hash(text), _hash(answer.casefold())) for text, answer in zip(texts, answers, strict=True) if answer]
        if pairs:
            hashes = np.array(pairs, dtype=np.int64)
            self.parts.append(np.column_stack([np.full(len(hashes), number), hashes]))

    def cells(self, number: int) -> tuple[Any, ...] | None:
        """How often two rows with the same text have the same answer, as a mean over texts with its interval.

        Then how often two rows of any text do; the texts that occur twice or more; and their rows. None without any.

        >>> repeats = Repeats()
        >>> repeats.add(0, ["what colour?", "what colour?", "how many?", "how many?"], ["red", "red", "2", "2"])
        >>> repeats.cells(0)
        (1.0, (1.0, 1.0), 0.333..., 2, 4)
        """
        rows = np.concatenate([np.empty((0, 3), dtype=np.int64), *self.parts])
        _, texts, answers = rows[rows[:, 0] == number].T
        same = agreement(texts, answers)
        if not len(same):
            return None
        mean = mean_of(same.tolist())
        sizes = np.unique(texts, return_counts=True)[1]
        anyhow = float(agreement(np.zeros_like(texts), answers)[0])
        interval = mean.interval and (max(mean.interval[0], 0.0), min(mean.interval[1], 1.0))
        return mean.mean, interval, anyhow, len(same), int(sizes[sizes > 1].sum())


def agreement(groups: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Of each group of several rows the share of pairs of rows that have the same answer.

    groups, answers: (N,) whole numbers. It is an unbiased estimate of the chance that two rows of the group agree.
    Source: Simpson 1949, "Measurement of diversity", Nature 163.

    >>> agreement(np.array([0, 0, 0, 1, 1, 2]), np.array([7, 7, 8, 7, 8, 9])).round(3).tolist()
    [0.333, 0.0]
    """
    _, group, size = np.unique(groups, return_inverse=True, return_counts=True)
    _, answer = np.unique(answers, return_inverse=True)
    keys, count = np.unique(group * (answer.max(initial=0) + 1) + answer, return_counts=True)
    pairs = np.bincount(keys // (answer.max(initial=0) + 1), count * (count - 1), minlength=len(size))
    return np.asarray(pairs[size > 1] / (size * (size - 1))[size > 1])


def _hash(text: str) -> int:
    return xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")) >> 1


def _sentence(lines: Sequence[tuple[Any, ...]]) -> str:
    """The inputs that answers rest on alone, in words."""
    some = [line for line in sorted(lines, key=lambda line: -line[1]) if line[1] > 0]
    told = [f"{percent(line[1])} rest on the {line[0].removesuffix(' only')} alone" for line in some]
    return f"Of the answers {' and '.join(told)}." if told else "No answer rests on one input alone."
