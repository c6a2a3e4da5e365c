"""The words that speak for and against each label."""

from __future__ import annotations

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

LABELS = 3  # labels of the first sentence


class Lexicon(Section):
    """The mean score of each word in the explanations of each label, tested against 0."""

    def __init__(self, context: OverviewContext) -> None:
        super().__init__(context)
        self.means, self.unit = PhraseMeans(context.vocabulary), ""

    def add(self, chunk: Chunk) -> None:
        sums = chunk.word_sums
        self.means.add(chunk.labels, chunk, sums.example, sums.number[:, None], sums.score)
        self.unit = self.unit or chunk.unit

    def result(self) -> OverviewSection | None:
        lines = self.means.lines()
        if not lines:
            return None
        sentence = _sentence(lines)
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
            sentence=sentence or "No word surely speaks for a label.",
            headline=sentence,
            note=NOTE,
            tables=(table,),
        )


def _sentence(lines: dict[str, list[PhraseLine]]) -> str:
    """The strongest words of the most frequent labels."""
    words = {label: named for label, own in lines.items() if (named := quoted(strongest_for(own)))}
    clauses = [f"{label} for words such as {named}" for label, named in list(words.items())[:LABELS]]
    more = f"; {len(words) - LABELS:,} more labels have words of their own" if len(words) > LABELS else ""
    if list(words) == ["the answer"]:
        return f"The answers rest on words such as {words['the answer']}."
    return f"The model says {', and '.join(clauses)}{more}." if clauses else ""
