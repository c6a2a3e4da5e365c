"""Statistics over explanations: intervals, confusions, completeness verdicts, and means of words, modalities, heads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

from xai_nlp.core.arrays import AttentionAttribution
from xai_nlp.core.result import SPECIAL, Explanation

if TYPE_CHECKING:
    import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 2000  # of a bootstrap
LABELS = 20  # `confusion` gives no table for more labels
NEGLIGIBLE = 1e-3  # below this share of f(x), f(x) − f(x₀) is too small to divide by

Verdict = Literal["good", "fair", "poor"]


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % confidence interval; None where one observation gives no spread."""

    mean: float
    count: int  # observations
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Spread:
    """A mean with its bootstrap interval, and the smallest value, the quartiles and the largest value."""

    mean: Estimate
    quartiles: tuple[float, float, float, float, float]


@dataclass(frozen=True)
class WordEffect:
    """How much a word contributed to a label."""

    word: str
    present: Estimate  # mean score over the examples that contain the word
    overall: float  # the same sum over all examples of the label; words are ranked by it


@dataclass(frozen=True)
class LabelWords:
    """The words of one label, the largest |overall| first."""

    examples: int
    effects: tuple[WordEffect, ...]


@dataclass(frozen=True)
class Confusion:
    """Counts of examples by correct and predicted label."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]  # [correct label][predicted label]


def proportion(hits: int, count: int) -> Estimate:
    """A share with Wilson's score interval, which stays inside [0, 1] and holds for few observations.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.

    >>> proportion(10, 10).interval[0].__round__(4)
    0.7225
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, shrinkage = hits / count, 1 + z * z / count
    middle = (share + z * z / (2 * count)) / shrinkage
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / shrinkage
    return Estimate(share, count, (max(0.0, middle - half), min(1.0, middle + half)))


def mean_of(values: Sequence[float]) -> Estimate:
    """A mean with Student's t interval, for independent and roughly normal values.

    >>> mean_of([1.0, 3.0])
    Estimate(mean=2.0, count=2, interval=(-10.706..., 14.706...))
    """
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return Estimate(mean, n)
    from scipy.special import stdtrit

    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * spread / math.sqrt(n)
    return Estimate(mean, n, (mean - half, mean + half))


def spread_of(values: Sequence[float], *, seed: int = 0) -> Spread:
    """A distribution in six numbers, for values of any shape. Raises ValueError for none.

    The interval is the percentile interval of the mean over RESAMPLES resamples of the values, drawn with `seed`.
    Source: Efron 1979, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7.

    >>> spread_of([0.0, 0.5, 1.0]).quartiles
    (0.0, 0.25, 0.5, 0.75, 1.0)
    """
    import numpy as np

    known, draws = np.array(values, dtype=float), np.random.default_rng(seed)
    low, *inner, high = np.quantile(known, (0, 0.25, 0.5, 0.75, 1)).tolist()
    interval = None
    if len(known) > 1:
        means = [known[draws.integers(len(known), size=len(known))].mean() for _ in range(RESAMPLES)]
        tails = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
        least, most = np.quantile(means, tails).tolist()
        interval = (least, most)
    return Spread(Estimate(float(known.mean()), len(known), interval), (low, *inner, high))


def confusion(pairs: Iterable[tuple[str, str]]) -> Confusion | None:
    """Counts of (correct label, predicted label) pairs; None for no pairs or more than LABELS labels.

    >>> confusion([("a", "a"), ("a", "b"), ("b", "b")]).counts
    ((1, 1), (0, 1))
    """
    pairs = list(pairs)
    labels = tuple(sorted({label for pair in pairs for label in pair}))
    if not pairs or len(labels) > LABELS:
        return None
    return Confusion(labels, tuple(tuple(pairs.count((correct, guess)) for guess in labels) for correct in labels))


def residual_share(explanation: Explanation) -> tuple[float, bool]:
    """|residual| as a share, and whether it is a share of f(x) − f(x₀).

    Where f(x) and f(x₀) agree to a thousandth, a share of their difference says nothing: it is a share of the larger
    of |f(x)| and |f(x₀)| then, or the residual itself if both are 0.
    """
    residual, explained = abs(explanation.residual), abs(explanation.explained)
    size = max(abs(explanation.value), abs(explanation.baseline_value))
    if explained > NEGLIGIBLE * size:
        return residual / explained, True
    return (residual / size if size else residual), False


def completeness_verdict(share: float) -> Verdict:
    """Good up to 1 % residual, fair up to 5 %, poor above.

    >>> [completeness_verdict(share) for share in (0.01, 0.03, 0.2)]
    ['good', 'fair', 'poor']
    """
    return "good" if share <= 0.01 else "fair" if share <= 0.05 else "poor"


def completeness(explanations: Iterable[Explanation]) -> tuple[int, int, Verdict]:
    """How many complete explanations are good, how many there are, and a verdict on all of them."""
    shares = [residual_share(item)[0] for item in explanations if item.complete]
    good = sum(completeness_verdict(share) == "good" for share in shares)
    return good, len(shares), "good" if good == len(shares) else "fair" if good >= 0.9 * len(shares) else "poor"


def label_of(item: Explanation) -> str:
    """The heading that the words of an explanation are listed under.

    Answers from a text differ in every example, so they share one heading: "start", "end" or "the answer".
    """
    return {"start": "start", "end": "end", "span": "the answer"}.get(item.target.kind) or str(item.target)


def word_effects(items: Sequence[Explanation], least: int = 2) -> dict[str, LabelWords]:
    """For each label, the mean effect of its words over the label's examples.

    An example is one observation: occurrences of a word in it are added up. Words in fewer than `least` of a label's
    examples are left out, unless the label has fewer examples than that.
    """
    return effects_by_label(((label_of(item), word_sums(item)) for item in items), least)


def effects_by_label(examples: Iterable[tuple[str, Mapping[str, float]]], least: int = 2) -> dict[str, LabelWords]:
    """The same for examples that are given as their label and the number of each of their words."""
    scores: dict[str, dict[str, list[float]]] = {}
    sizes: dict[str, int] = {}
    for label, words in examples:
        of_label = scores.setdefault(label, {})
        sizes[label] = sizes.get(label, 0) + 1
        for word, score in words.items():
            of_label.setdefault(word, []).append(score)
    return {
        label: LabelWords(
            sizes[label],
            tuple(
                sorted(
                    (
                        WordEffect(word, mean_of(values), math.fsum(values) / sizes[label])
                        for word, values in words.items()
                        if len(values) >= min(least, sizes[label])
                    ),
                    key=lambda effect: (-abs(effect.overall), effect.word),
                )
            ),
        )
        for label, words in scores.items()
    }


def word_sums(item: Explanation) -> dict[str, float]:
    """The score of each distinct word of an example, occurrences added up; case is ignored, punctuation left out."""
    words = item.words()
    sums: dict[str, float] = {}
    for token, segment, score in zip(words.tokens, words.segment, words.scores, strict=True):
        name = token.strip().casefold()
        if segment != SPECIAL and any(map(str.isalnum, name)):
            sums[name] = sums.get(name, 0.0) + score
    return sums


def modality_shares(items: Sequence[Explanation]) -> dict[str, Estimate]:
    """Mean share of Σ|score| in the text and in the image; {} without images.

    Source: Parcalabescu & Frank 2023, eq. 3–4 (arXiv:2212.08158), averaged over examples.
    """
    shares = [item.shares for item in items if item.shares]
    return {name: mean_of([each[name] for each in shares]) for name in shares[0]} if shares else {}


def head_numbers(stack: AttentionAttribution) -> np.ndarray:
    """One number for each head, (layers, H): the sum of its matrix.

    Rows of attention weights always sum to 1, so for those it is the largest weight of each query, averaged: 1 where
    every query attends to one key, 1/K where attention is uniform.
    """
    return stack.scores.numpy().max(3).mean(2, dtype="float64") if stack.row_stochastic else stack.heads()


def head_sizes(items: Sequence[Explanation]) -> dict[tuple[str, str, tuple[str, ...]], np.ndarray]:
    """(stack, method, layer names) → mean |head_numbers| over the examples, (layers, H).

    Source: Michel, Levy & Neubig 2019, eq. 2 (arXiv:1905.10650), where the method is `attention_x_gradient`.
    """
    sizes: dict[tuple[str, str, tuple[str, ...]], list[np.ndarray]] = {}
    for item in items:
        for name, stack in item.attention.items():
            sizes.setdefault((name, stack.method, stack.layers), []).append(abs(head_numbers(stack)))
    return {key: sum(heads[1:], heads[0]) / len(heads) for key, heads in sizes.items()}


def strongest_entries(stack: AttentionAttribution, top: int) -> list[tuple[int, int, int, int, float]]:
    """(layer, head, query, key, score) of the `top` entries with the largest |score|, zeros left out."""
    import numpy as np

    scores = stack.scores.numpy()
    sizes = np.abs(scores).reshape(-1)
    top = min(top, sizes.size)
    least = np.partition(sizes, -top)[-top] if top else 0  # sorting ten million numbers would take seconds
    candidates = np.flatnonzero((sizes >= least) & (sizes > 0))
    order = candidates[np.argsort(-sizes[candidates], kind="stable")][:top]
    indices = zip(*(axis.tolist() for axis in np.unravel_index(order, scores.shape)), strict=True)
    return [(*index, float(scores[index])) for index in indices]
