"""Neighbouring words together: pairs, triples, and negations with what they negate."""

from __future__ import annotations

from typing import Any

import numpy as np

from xai_nlp.core.overview import OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.phrase_means import (
    NOTE,
    NUMBERS,
    PhraseLine,
    PhraseMeans,
    quoted,
    strongest_for,
    table_lines,
)
from xai_nlp.runs.overview.section import OverviewContext, Section
from xai_nlp.viz.text.number_format import signed

LENGTHS = (2, 3)
NAMES = {2: "pairs", 3: "triples"}
#: English words that negate the next one; so do words that end in n't.
NEGATIONS = frozenset({
    "not", "no", "never", "n't", "n’t", "cannot", "nor", "neither", "nothing", "nobody", "none", "nowhere",
    "without", "hardly", "barely", "scarcely", "rarely", "seldom", "little", "few", "lacks",
})  # fmt: skip
ARTICLES = frozenset({"a", "an", "the"})


class Phrases(Section):
    """The summed score of two and of three neighbouring words, and of a negation and its word apart."""

    def __init__(self, context: OverviewContext) -> None:
        super().__init__(context)
        self.means = {length: PhraseMeans(context.vocabulary) for length in LENGTHS}
        self.parts = [PhraseMeans(context.vocabulary) for _ in range(2)]  # of a pair: the negation, and its word
        self.pairs = PhraseMeans(context.vocabulary)
        self.elsewhere = PhraseMeans(context.vocabulary)  # words that no negation stands before
        self.unit = ""

    def add(self, chunk: Chunk) -> None:
        self.unit = self.unit or chunk.unit
        words, labels = chunk.words, chunk.labels
        next_to = (words.example[1:] == words.example[:-1]) & (words.segment[1:] == words.segment[:-1])
        follows = np.zeros(len(words.number), dtype=bool)  # does a word stand right behind a word?
        follows[1:] = next_to & chunk.lexical[1:] & chunk.lexical[:-1]
        for length, means in self.means.items():
            first = _starts(follows, length)
            numbers = np.column_stack([words.number[first + k] for k in range(length)])
            sums = sum(words.score[first + k] for k in range(length))
            means.add(labels, chunk, words.example[first], numbers, np.asarray(sums))
        first, second = self._negated_words(words.number, follows)
        numbers, example = np.column_stack([words.number[first], words.number[second]]), words.example[first]
        self.pairs.add(labels, chunk, example, numbers, words.score[first] + words.score[second])
        for place, means in zip((first, second), self.parts, strict=True):
            means.add(labels, chunk, example, numbers, words.score[place])
        free = chunk.lexical.copy()
        free[second] = False
        self.elsewhere.add(labels, chunk, words.example[free], words.number[free, None], words.score[free])

    def _negated_words(self, numbers: np.ndarray, follows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The places of negations and of the words that they negate: the next one, or that behind an article."""
        known = self.context.vocabulary.words
        negating = np.array([word in NEGATIONS or word.endswith(("n't", "n’t")) for word in known], dtype=bool)
        article = np.array([word in ARTICLES for word in known], dtype=bool)
        first = _starts(follows, 2)
        first = first[negating[numbers[first]]]
        second = first + 1 + article[numbers[first + 1]]
        inside = second < len(numbers)
        first, second = first[inside], second[inside]
        joined = follows[second] & ~article[numbers[second]]
        return first[joined], second[joined]

    def result(self) -> OverviewSection | None:
        found = {length: lines for length, means in self.means.items() if (lines := means.lines())}
        if not found:
            return None
        tables = [
            OverviewTable(
                name=f"words_{length}",
                title=f"{NAMES[length].capitalize()} of neighbouring words",
                columns=(OverviewColumn("label"), OverviewColumn("words"), *NUMBERS),
                lines=table_lines(lines),
                by="label",
                unit=self.unit,
            )
            for length, lines in found.items()
        ]
        label, own = next(iter(found[min(found)].items()))
        named = quoted(strongest_for(own))
        sentence = f"Together, {named} speak most for {label}." if named else ""
        negated = self._negated()
        if negated:
            tables.insert(0, negated)
            sentence = f"{_of_negations(negated)} {sentence}".strip()
        return OverviewSection(
            name="phrases",
            title="Words together",
            sentence=sentence or "No words speak surely for a label together.",
            note=f"Scores of neighbouring words are added up. {NOTE}{self._dropped()}",
            tables=tuple(tables),
        )

    def _dropped(self) -> str:
        """What to say where there were too many different phrases to count all of them."""
        most = max(means.moments.dropped for means in self.means.values())
        return f" There were too many to count all: of each, up to {most:,} texts may be missing." if most else ""

    def _negated(self) -> OverviewTable | None:
        parts = [_by_words(means.lines()) for means in self.parts]
        alone = _by_words(self.elsewhere.lines(least=1))
        lines: list[tuple[Any, ...]] = []
        for label, own in self.pairs.lines().items():
            for line in own:
                elsewhere = alone.get((label, line.words[1:]))
                apart = [of[label, line.words].mean for of in parts]
                lines.append((label, line.text, *line.cells[:2], *apart, elsewhere and elsewhere.mean, *line.cells[2:]))
        if not lines:
            return None
        middle = [OverviewColumn(name, "score") for name in ("the negation", "the word", "the word elsewhere")]
        return OverviewTable(
            name="negations",
            title="Negations and what they negate",
            columns=(OverviewColumn("label"), OverviewColumn("words"), *NUMBERS[:2], *middle, *NUMBERS[2:]),
            lines=tuple(lines),
            by="label",
            unit=self.unit,
            note="The score of a negation and the word behind it, of both apart, and of the word where no negation "
            "stands before it. An article between them is skipped: “not a good film” is “not good”. English "
            "negations are known.",
        )


def _starts(follows: np.ndarray, length: int) -> np.ndarray:
    """The first word of each run of so many neighbouring words."""
    runs = np.ones(max(0, len(follows) - length + 1), dtype=bool)
    for k in range(1, length):
        runs &= follows[k : len(runs) + k]
    return runs.nonzero()[0]


def _by_words(lines: dict[str, list[PhraseLine]]) -> dict[tuple[str, tuple[int, ...]], PhraseLine]:
    return {(label, line.words): line for label, own in lines.items() for line in own}


def _of_negations(table: OverviewTable) -> str:
    """The pair whose word changes most behind a negation, in words."""
    place, other = table.place("the word"), table.place("the word elsewhere")
    lines = [line for line in table.lines if line[other] is not None and line[table.place("q")] <= 0.05]
    if not lines:
        return ""
    texts = table.place("texts")
    label, words, *_ = line = max(lines, key=lambda line: abs(line[place] - line[other]) * line[texts] ** 0.5)
    word = words.split(" ", 1)[1]
    return (
        f"In “{words}”, “{word}” brings {signed(line[place])} to {label}, and {signed(line[other])} where no negation "
        "stands before it."
    )
