"""Kinds of reasons: explanations that are alike, each kind with the explanation in its middle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from xai_nlp.core.overview import OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.core.statistics import proportion
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.explanation_vectors import SUMMARY_WEIGHT, VOCABULARY, WORDS, ExplanationVectors
from xai_nlp.runs.overview.section import OverviewContext, Section
from xai_nlp.runs.overview.spectral import MOST, NEIGHBOURS, SpectralClusters, assigned, spectral_clusters
from xai_nlp.viz.text.number_format import percent

SAMPLE = 2000  # explanations whose graph is cut; the others go to the kind of their neighbours
LEAST = 50  # explanations that kinds are looked for in
TELLING = 5  # features that a kind is told by
NAMED = 3  # kinds of the sentence, and the features of each
COLUMNS = (
    OverviewColumn("kind"),
    OverviewColumn("told by"),
    OverviewColumn("share of texts", "share"),
    OverviewColumn("interval", "interval"),
    OverviewColumn("texts", "count"),
    OverviewColumn("labels"),
    OverviewColumn("wrong", "share"),
    OverviewColumn("interval of wrong", "interval"),
    OverviewColumn("rows", "rows"),
)
FEATURES = (
    OverviewColumn("kind"),
    OverviewColumn("feature"),
    OverviewColumn("more than elsewhere", "score"),
    OverviewColumn("in the kind", "score"),
    OverviewColumn("elsewhere", "score"),
)
EIGENVALUES = (OverviewColumn("eigenvalue"), OverviewColumn("size", "number"), OverviewColumn("gap to the next", "number"))
NOTE = (
    f"Each explanation is a vector of its {WORDS} strongest words (of {VOCABULARY:,}) with their signed shares of the "
    f"Σ |score|, and, at {SUMMARY_WEIGHT:g} of the weight, of where in the text and in which inputs it lies. Spectral "
    f"clustering cuts the graph of the {NEIGHBOURS} nearest neighbours (Lapuschkin et al. 2019) of {SAMPLE:,} explanations; "
    "the others go to the kind of their neighbours. There are two kinds or more, as many as there are eigenvalues before the "
    f"largest gap, up to {MOST}. Kinds are apart only as far as eigenvalues are near 0: an even slope says that reasons "
    "shade into each other. The first row of a kind is the explanation most like all others in it. Shares have Wilson’s "
    "95 % interval; what divides the sample is not in it."
)


class Clusters(Section):
    """What kinds of reasons are there? Explanations that are alike, as a spectral clustering finds them.

    Source: Lapuschkin et al. 2019, "Unmasking Clever Hans predictors", SpRAy (arXiv:1902.10178), for words of texts.
    """

    def __init__(self, context: OverviewContext) -> None:
        super().__init__(context)
        self.vectors = ExplanationVectors(context.vocabulary)
        self.labels: dict[str, int] = {}
        self.columns: list[np.ndarray] = []  # (3, N): row, label, is it right?

    def add(self, chunk: Chunk) -> None:
        self.vectors.add(chunk)
        numbers = [self.labels.setdefault(label, len(self.labels)) for label in chunk.labels]
        self.columns.append(np.stack([chunk.row, np.array(numbers, dtype=np.int64), chunk.correct.astype(np.int64)]))

    def result(self) -> OverviewSection | None:
        rows, labels, correct = np.concatenate(self.columns, axis=1) if self.columns else np.empty((3, 0))
        if len(rows) < LEAST:
            return None
        matrix, names = self.vectors.matrix()
        sample = np.sort(np.random.default_rng(self.context.seed).permutation(len(rows))[:SAMPLE])
        found = spectral_clusters(matrix[sample], seed=self.context.seed)
        kinds = assigned(matrix, matrix[sample], found.labels)
        kinds[sample] = found.labels
        order = np.argsort(-np.bincount(kinds, minlength=found.count), kind="stable")
        kinds, sampled = np.argsort(order)[kinds], np.argsort(order)[found.labels]
        means = np.stack([matrix[kinds == kind].mean(axis=0) for kind in range(found.count)])
        others = np.stack([matrix[kinds != kind].mean(axis=0) for kind in range(found.count)])
        telling = [np.argsort(-difference, kind="stable")[:TELLING] for difference in means - others]
        lines = []
        for kind in range(found.count):
            here = kinds == kind
            share, count = proportion(int(here.sum()), len(rows)), int(here.sum())
            judged = correct[here][correct[here] >= 0]
            wrong = proportion(int((judged == 0).sum()), len(judged)) if len(judged) else None
            middle = (sampled == kind).nonzero()[0]
            middle = middle[np.argsort(-found.similar[middle], kind="stable")][:2]
            lines.append(
                (
                    f"{kind + 1}",
                    ", ".join(names[feature] for feature in telling[kind]),
                    share.mean,
                    share.interval,
                    count,
                    self._mix(labels[here]),
                    wrong and wrong.mean,
                    wrong and wrong.interval,
                    tuple(dict.fromkeys(rows[sample[middle]].tolist())),
                )
            )
        features = tuple(
            (f"{kind + 1}", names[i], float(means[kind, i] - others[kind, i]), float(means[kind, i]), float(others[kind, i]))
            for kind in range(found.count)
            for i in telling[kind].tolist()
        )
        return OverviewSection(
            name="kinds",
            title="Kinds of reasons",
            sentence=_sentence(lines, [[names[i] for i in of] for of in telling]),
            note=NOTE,
            tables=(
                OverviewTable(name="kinds", title="Kinds", columns=COLUMNS, lines=tuple(lines), layout="table"),
                OverviewTable(
                    name="kind_features", title="What tells a kind", columns=FEATURES, lines=features, by="kind"
                ),
                _eigenvalue_table(found),
            ),
        )

    def _mix(self, numbers: np.ndarray) -> str:
        """The most frequent labels with their shares."""
        names = list(self.labels)
        mix = Counter(numbers.tolist()).most_common(NAMED)
        return ", ".join(f"{names[number]} {percent(count / len(numbers))}" for number, count in mix)


def _eigenvalue_table(found: SpectralClusters) -> OverviewTable:
    values = found.eigenvalues.tolist()
    gaps = [*np.diff(values).tolist(), None]
    return OverviewTable(
        name="kind_eigenvalues",
        title="Eigenvalues of the graph",
        columns=EIGENVALUES,
        lines=tuple((f"{n + 1}", value, gap) for n, (value, gap) in enumerate(zip(values, gaps, strict=True))),
    )


def _sentence(lines: Sequence[tuple[Any, ...]], telling: Sequence[Sequence[str]]) -> str:
    told = [
        f"{percent(line[2])} are told by {' and '.join([', '.join(names[:2]), names[2]])}"
        for line, names in zip(lines[:NAMED], telling, strict=False)
    ]
    return f"There are {len(lines)} kinds of reasons; the largest: {'; '.join(told)}."
