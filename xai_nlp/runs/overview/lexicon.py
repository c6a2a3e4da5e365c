"""The words that speak for and against each label."""

from __future__ import annotations

from xai_nlp.core.overview import OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.phrase_means import (
    NAMED,
    NOTE,
    NUMBERS,
    PhraseLine,
    PhraseMeans,
    quoted,
    strongest_for,
    table_lines,
)
from xai_nlp.runs.overview.section import OverviewContext, Section

LABELS = 3  # labels of the first sentence
ANSWER = "the answer"  # the heading of answers from a text


class Lexicon(Section):
    """The mean score of each word in the explanations of each label, tested against 0; the texts of a pair apart."""

    def __init__(self, context: OverviewContext) -> None:
        super().__init__(context)
        self.means, self.unit = PhraseMeans(context.vocabulary), ""

    def add(self, chunk: Chunk) -> None:
        words = chunk.words
        for segment, name in enumerate(chunk.segment_names):
            inside = chunk.lexical & (words.segment == segment)
            groups = [f"{label}, {name}" if name else label for label in chunk.labels]
            self.means.add(groups, chunk, words.example[inside], words.number[inside, None], words.score[inside])
        self.unit = self.unit or chunk.unit

    def result(self) -> OverviewSection | None:
        lines = self.means.lines()
        if not lines:
            return None
        sentence = _sentence(lines) or _nearest(lines)
        table = OverviewTable(
            name="lexicon",
            title="Words for and against each label",
            columns=(OverviewColumn("label"), OverviewColumn("word"), *NUMBERS),
            lines=table_lines(lines),
            by="label",
            unit=self.unit,
        )
        return OverviewSection(
            name="words",
            title="Words of each label",
            sentence=sentence,
            headline=sentence,
            note=NOTE,
            tables=(table,),
        )


def _sentence(lines: dict[str, list[PhraseLine]]) -> str:
    """The strongest words of the most frequent labels."""
    words = {label: named for label, own in lines.items() if (named := quoted(strongest_for(own)))}
    if not words:
        return ""
    answers = {label: label.removeprefix(f"{ANSWER}, ") for label in words if label.startswith(ANSWER)}
    if len(answers) == len(words):  # their words are those of the question and of the context
        of = {label: f" of the {name}" if name != label else "" for label, name in answers.items()}
        return f"The answers rest on words such as {', and '.join(f'{words[label]}{of[label]}' for label in words)}."
    clauses = [f"{label} for words such as {named}" for label, named in list(words.items())[:LABELS]]
    more = f"; {len(words) - LABELS:,} more labels have words of their own" if len(words) > LABELS else ""
    return f"The model says {', '.join(clauses[:-1])}{', and ' if clauses[1:] else ''}{clauses[-1]}{more}."


def _nearest(lines: dict[str, list[PhraseLine]]) -> str:
    """What to say where no word speaks surely for a label."""
    lines_for = [line for own in lines.values() for line in own if line.mean > 0]
    nearest = quoted([line.text for line in sorted(lines_for, key=lambda line: line.q)[:NAMED]])
    return "No word speaks surely for a label" + (f"; nearest to it come {nearest}." if nearest else ".")
