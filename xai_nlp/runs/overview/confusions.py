"""Right and predicted labels, and the words behind each cell of their table."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np

from xai_nlp.core.overview import OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.core.statistics import proportion
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.phrase_means import LEAST, NOTE, NUMBERS, PhraseMeans, quoted, strongest_for, table_lines
from xai_nlp.runs.overview.section import OverviewContext, Section
from xai_nlp.viz.text.number_format import percent

NONE = "no answer"
LABELS = 10  # right labels; of more, only cells that occur are listed, the largest first


class Confusions(Section):
    """Counts of right and predicted labels, and the mean score of each word in each cell.

    Only explanations of the prediction count, since the words of a cell are to say why it was predicted.
    """

    def __init__(self, context: OverviewContext) -> None:
        super().__init__(context)
        self.means, self.unit = PhraseMeans(context.vocabulary), ""
        self.counts: Counter[tuple[str, str]] = Counter()
        self.examples: dict[tuple[str, str], int] = {}
        self.free = False  # answers, which have no table of labels

    def add(self, chunk: Chunk) -> None:
        self.unit = self.unit or chunk.unit
        cells = [
            self._cell(*one)
            for one in zip(chunk.targets, chunk.predictions, chunk.gold, chunk.correct.tolist(), strict=True)
        ]
        for row, cell in zip(chunk.row.tolist(), cells, strict=True):
            if cell:
                self.counts[cell] += 1
                self.examples.setdefault(cell, row)
        sums = chunk.word_sums
        inside = np.array([cell is not None for cell in cells], dtype=bool)[sums.example]
        names = ["" if cell is None else _name(cell) for cell in cells]
        self.means.add(names, chunk, sums.example[inside], sums.number[inside, None], sums.score[inside])

    def _cell(self, target: object, prediction: str, gold: tuple[str, ...], correct: int) -> tuple[str, str] | None:
        """(right label, prediction); for answers, which differ everywhere, whether they are right."""
        if correct < 0:
            return None
        if getattr(target, "kind", "") not in ("label", "output"):
            self.free = True
            return ("", "right answers" if correct else "wrong answers")
        label = getattr(target, "label", "")
        return (prediction if correct else gold[0] or NONE, prediction) if label == prediction else None

    def result(self) -> OverviewSection | None:
        if not self.counts:
            return None
        total = sum(self.counts.values())
        right = sum(count for cell, count in self.counts.items() if _is_right(cell))
        share = proportion(right, total)
        assert share.interval is not None
        wrong = [(cell, count) for cell, count in self.counts.most_common() if not _is_right(cell)]
        lines = {name: own for name, own in self.means.lines().items() if name and self.means.sizes[name] >= LEAST}
        words = OverviewTable(
            name="words_by_cell",
            title="Words by right label and prediction",
            columns=(OverviewColumn("right → predicted"), OverviewColumn("word"), *NUMBERS),
            lines=table_lines(lines),
            by="right → predicted",
            unit=self.unit,
        )
        sentence = f"It is right in {percent(right / total)} of {total:,} texts whose answer is known."
        if wrong:
            cell, count = wrong[0]
            reasons = quoted(strongest_for(lines.get(_name(cell), [])))
            what = f"{cell[1]} instead of {cell[0]}" if cell[0] else "a wrong answer"
            sentence += f" Most often wrong: {what} ({count:,})" + (
                f", for words such as {reasons}." if reasons else "."
            )
        interval = " to ".join(map(percent, share.interval))
        return OverviewSection(
            name="confusions",
            title="Right and wrong",
            sentence=sentence,
            note=f"Shares have Wilson’s 95 % interval. Words of a cell speak for what was predicted there. {NOTE}",
            tables=(*([] if self.free else [self._matrix()]), *([words] if lines else [])),
            facts=((percent(right / total), f"right: {interval} of {total:,} judged"),),
        )

    def _matrix(self) -> OverviewTable:
        totals: Counter[str] = Counter()
        for (gold, _), count in self.counts.items():
            totals[gold] += count
        cells = list(product(sorted(totals), sorted({said for _, said in self.counts})))
        if len(totals) > LABELS:
            cells = [cell for cell, _ in self.counts.most_common()]
        lines = []
        for gold, said in cells:
            share = proportion(self.counts[gold, said], totals[gold])
            row = self.examples.get((gold, said))
            rows = () if row is None else (row,)
            lines.append((gold, said, self.counts[gold, said], share.mean, share.interval, rows))
        return OverviewTable(
            name="confusion",
            title="Texts by right label and prediction",
            columns=(
                OverviewColumn("right label"),
                OverviewColumn("predicted"),
                OverviewColumn("texts", "count"),
                OverviewColumn("share of the right label", "share"),
                OverviewColumn("interval", "interval"),
                OverviewColumn("rows", "rows"),
            ),
            lines=tuple(lines),
            layout="table",
        )


def _is_right(cell: tuple[str, str]) -> bool:
    return cell[0] == cell[1] or cell[1] == "right answers"


def _name(cell: tuple[str, str]) -> str:
    return f"{cell[0]} → {cell[1]}" if cell[0] else cell[1]
