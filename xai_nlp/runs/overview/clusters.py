"""Kinds of reasons: explanations that are alike, each kind with the explanation in its middle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_nlp.core.overview import OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.core.statistics import proportion
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.explanation_vectors import SUMMARY_WEIGHT, VOCABULARY, WORDS, ExplanationVectors
from xai_nlp.runs.overview.section import OverviewContext, Section
from xai_nlp.runs.overview.spectral import MOST, NEIGHBOURS, SpectralClusters, assigned, spectral_clusters
from xai_nlp.viz.text.number_format import percent

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SAMPLE = 2000  # explanations whose graph is cut; the others go to the kind of their neighbours
LEAST = 50  # explanations that kinds are looked for in
TELLING = 5  # features that a kind is told by
DECIMALS = 9  # of eigenvalues, which are exact to fewer
CLEAR = 0.01  # a smaller difference of means, in vectors of length 1, tells nothing
NAMED = 3  # kinds of the sentence, and the features of each
COLUMNS = (
    OverviewColumn("kind"),
    OverviewColumn("rests on"),
    OverviewColumn("rows", "rows"),
    OverviewColumn("share of texts", "share"),
    OverviewColumn("interval", "interval"),
    OverviewColumn("texts", "count"),
    OverviewColumn("most frequent label"),
    OverviewColumn("labels", in_page=False),
    OverviewColumn("wrong", "share"),
    OverviewColumn("interval of wrong", "interval"),
)
FEATURES = (
    OverviewColumn("kind"),
    OverviewColumn("feature"),
    OverviewColumn("more than elsewhere", "score"),
    OverviewColumn("in the kind", "score"),
    OverviewColumn("elsewhere", "score"),
)
EIGENVALUES = (
    OverviewColumn("eigenvalue"),
    OverviewColumn("size", "number"),
    OverviewColumn("gap to the next", "number"),
)
NOTE = (
    f"Each explanation is a vector of its {WORDS} strongest words (of {VOCABULARY:,}) with their signed shares of the "
    f"Σ |score|, and, at {SUMMARY_WEIGHT:g} of their length, of where in the text and in which inputs it lies. "
    f"Spectral clustering cuts the graph of the {NEIGHBOURS} nearest neighbours (Lapuschkin et al. 2019) of {SAMPLE:,} "
    "explanations; the others go to the kind of their neighbours. There are two kinds or more, as many as there are "
    f"eigenvalues before the largest gap, up to {MOST}. Kinds are apart only as far as eigenvalues are near 0: an even "
    "slope says that reasons shade into each other. The first row of a kind is the explanation most like all others "
    "in it. Shares have Wilson’s 95 % interval; what divides the sample is not in it."
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
        rows, labels, correct = np.concatenate([np.empty((3, 0), dtype=np.int64), *self.columns], axis=1)
        if len(rows) < LEAST:
            return None
        matrix, names = self.vectors.matrix()
        if not matrix.nnz:  # images alone, or nothing was scored
            return None
        kinds, found, middles = divided(matrix, self.context.seed)
        means, elsewhere = _means(matrix, kinds)
        telling = [_telling(difference) for difference in means - elsewhere]
        lines = tuple(
            (
                f"kind {kind + 1}",
                ", ".join(names[feature] for feature in telling[kind][:NAMED]),
                tuple(dict.fromkeys(rows[middles[kind]].tolist())),
                *_share(kinds == kind),
                int((kinds == kind).sum()),
                *self._mix(labels[kinds == kind]),
                *_share(correct[(kinds == kind) & (correct >= 0)] == 0),
            )
            for kind in range(len(means))
        )
        features = tuple(
            (
                f"kind {kind + 1}",
                names[i],
                *map(float, (means[kind, i] - elsewhere[kind, i], means[kind, i], elsewhere[kind, i])),
            )
            for kind in range(len(means))
            for i in telling[kind]
        )
        return OverviewSection(
            name="kinds",
            title="Kinds of reasons",
            sentence=_sentence(lines, [[names[i] for i in of] for of in telling]),
            note=NOTE,
            tables=(
                OverviewTable(name="kinds", title="Kinds of reasons", columns=COLUMNS, lines=lines, layout="table"),
                OverviewTable(
                    name="kind_features", title="What tells a kind", columns=FEATURES, lines=features, by="kind"
                ),
                _eigenvalue_table(found),
            ),
        )

    def _mix(self, numbers: np.ndarray) -> tuple[str, str]:
        """The most frequent label, and the most frequent ones, with their shares."""
        names = list(self.labels)
        mix = Counter(numbers.tolist()).most_common(NAMED)
        told = [f"{names[number]} {percent(count / len(numbers))}" for number, count in mix]
        return told[0], ", ".join(told)


def divided(matrix: csr_array, seed: int) -> tuple[np.ndarray, SpectralClusters, list[np.ndarray]]:
    """The kind of each explanation (N,), the largest first; the clusters of the sample; and the middle of each kind.

    In the middle are the explanations of the sample that are most like the others of their kind, two at most.
    """
    sample = np.sort(np.random.default_rng(seed).permutation(matrix.shape[0])[:SAMPLE])
    found = spectral_clusters(matrix[sample], seed=seed)
    kinds = assigned(matrix, matrix[sample], found.labels)
    kinds[sample] = found.labels
    order = np.argsort(-np.bincount(kinds, minlength=found.count), kind="stable")
    nearest = np.argsort(-found.similar, kind="stable")
    middles = [sample[nearest[found.labels[nearest] == cluster][:2]] for cluster in order.tolist()]
    return np.argsort(order)[kinds], found, middles


def _means(matrix: csr_array, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean vector of each kind, and of all explanations of other kinds, both (kinds, F)."""
    from scipy.sparse import csr_array

    count = int(kinds.max(initial=0)) + 1
    members = csr_array((np.ones(len(kinds)), (kinds, np.arange(len(kinds)))), shape=(count, len(kinds)))
    sums, sizes = (members @ matrix).toarray(), np.bincount(kinds, minlength=count)[:, None]
    return sums / sizes, (sums.sum(0) - sums) / np.maximum(len(kinds) - sizes, 1)


def _telling(difference: np.ndarray) -> list[int]:
    """The features in which a kind is above the others, the farthest first: at least one."""
    first, *others = np.argsort(-difference, kind="stable")[:TELLING].tolist()
    return [first, *(feature for feature in others if difference[feature] > CLEAR)]


def _share(hits: np.ndarray) -> tuple[float | None, tuple[float, float] | None]:
    """The share of hits with its interval; of nothing, None."""
    if not len(hits):
        return None, None
    share = proportion(int(hits.sum()), len(hits))
    return share.mean, share.interval


def _eigenvalue_table(found: SpectralClusters) -> OverviewTable:
    values = found.eigenvalues.round(DECIMALS).tolist()
    gaps = [*np.diff(values).tolist(), None]
    return OverviewTable(
        name="kind_eigenvalues",
        title="Eigenvalues of the graph",
        columns=EIGENVALUES,
        lines=tuple((f"{n + 1}", value, gap) for n, (value, gap) in enumerate(zip(values, gaps, strict=True))),
        layout="table",
        in_page=False,
    )


def _sentence(lines: Sequence[tuple[Any, ...]], telling: Sequence[Sequence[str]]) -> str:
    told = [
        f"{percent(line[3])} rest on {' and '.join(filter(None, [', '.join(names[:2]), *names[2:3]]))}"
        for line, names in zip(lines[:NAMED], telling, strict=False)
    ]
    return f"There are {len(lines)} kinds of reasons; the largest: {'; '.join(told)}."
