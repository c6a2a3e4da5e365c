"""How much of what was scored lies in the text, and how much in the image."""

from __future__ import annotations

import numpy as np

from xai_nlp.core.grouped_means import GroupedMoments
from xai_nlp.core.overview import OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.core.statistics import proportion
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.phrase_means import as_interval
from xai_nlp.runs.overview.section import OverviewContext, Section
from xai_nlp.viz.text.number_format import percent

COLUMNS = ("all", "answer", "label")
IGNORED = 0.05  # share of the image below which it is called ignored


NOTE = (
    "Σ |score| of the image’s regions over Σ |score| of text and image, averaged, with Student’s 95 % interval "
    f"(Parcalabescu and Frank 2023). An image with a share under {percent(IGNORED)} counts as ignored; that share "
    "has Wilson’s interval. The first row is that of the largest share of the image."
)


class Modalities(Section):
    """The image's share of Σ |score|, and in how many explanations it is under IGNORED: over all, by label and answer.

    Source: Parcalabescu & Frank 2023, eq. 3–4 (arXiv:2212.08158).
    """

    def __init__(self, context: OverviewContext) -> None:
        super().__init__(context)
        self.shares, self.ignored, self.groups = GroupedMoments(), GroupedMoments(), dict[tuple[str, str], int]()

    def add(self, chunk: Chunk) -> None:
        sizes = np.array([np.nan if one is None else np.abs(one).sum() for one in chunk.regions], dtype=float)
        total = sizes + chunk.text_size
        with np.errstate(invalid="ignore", divide="ignore"):
            share = sizes / total
        inside = (np.isfinite(share) & (np.bincount(chunk.tokens.example, minlength=len(chunk)) > 0)).nonzero()[0]
        answers = {0: "wrong", 1: "right", -1: ""}
        groups = [
            (self.groups.setdefault(group, len(self.groups)), i)
            for i in inside.tolist()
            for group in (("all", "all"), ("label", chunk.labels[i]), ("answer", answers[int(chunk.correct[i])]))
            if group[1]
        ]
        keys, places = np.array(groups, dtype=np.int64).reshape(-1, 2).T
        self.shares.add(keys[:, None], share[places], chunk.row[places])
        self.ignored.add(keys[:, None], share[places] < IGNORED, chunk.row[places])

    def result(self) -> OverviewSection | None:
        shares, ignored = self.shares.result(), self.ignored.result()
        if not len(shares):
            return None
        intervals, lines = shares.intervals(), []
        ordered = sorted(self.groups.items(), key=lambda pair: (COLUMNS.index(pair[0][0]), -shares.count[pair[1]]))
        for (column, value), number in ordered:
            count, hits = int(shares.count[number]), round(float(ignored.mean[number] * ignored.count[number]))
            without = proportion(hits, count)
            mean, rows = float(shares.mean[number]), shares.examples(number)
            interval = as_interval(intervals[number].clip(0, 1))
            lines.append((column, value, mean, interval, count, without.mean, without.interval, rows))
        columns = (
            OverviewColumn("by"),
            OverviewColumn("texts with"),
            OverviewColumn("share of the image", "share"),
            OverviewColumn("interval", "interval"),
            OverviewColumn("texts", "count"),
            OverviewColumn("image ignored", "share"),
            OverviewColumn("interval of it", "interval"),
            OverviewColumn("rows", "rows"),
        )
        _, _, mean, _, count, ignored_share, _, _ = lines[0]
        sentence = (
            f"The image was ignored in {percent(ignored_share)} of {count:,} questions; on average {percent(mean)} of "
            "what counts lies in the image."
        )
        return OverviewSection(
            name="modalities",
            title="Text and image",
            sentence=sentence,
            note=NOTE,
            tables=(
                OverviewTable(
                    name="modalities", title="Share of the image", columns=columns, lines=tuple(lines), by="by"
                ),
            ),
            facts=((percent(ignored_share), f"ignored the image, of {count:,} questions"),),
        )
