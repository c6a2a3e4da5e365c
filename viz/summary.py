"""What many explanations say together: accuracy, confusion, words, modalities, heads, each with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.viz.maps import head_numbers

if TYPE_CHECKING:
    import numpy as np

CONFIDENCE = 0.95
LABELS = 20  # a larger table of confusions is not read


@dataclass(frozen=True)
class Estimate:
    """A mean with its confidence interval; without one where a single observation says nothing of the spread."""

    mean: float
    count: int  # observations
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Effect:
    """What a word brought to a label."""

    word: str
    present: Estimate  # mean score in the examples that have the word, in the unit of the scores
    everywhere: (
        float  # the same sum over all examples of the label, with and without the word: what words are ranked by
    )


@dataclass(frozen=True)
class LabelWords:
    """The words of a label."""

    examples: int
    effects: tuple[Effect, ...]


@dataclass(frozen=True)
class Confusion:
    """How often which label was predicted where which one is right."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]  # [right label][predicted label]


def proportion(hits: int, count: int) -> Estimate:
    """A share with Wilson's score interval, which stays inside [0, 1] and is right for few observations too.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.

    >>> proportion(10, 10).interval[0].__round__(4)
    0.7225
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, shrunk = hits / count, 1 + z * z / count
    middle = (share + z * z / (2 * count)) / shrunk
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / shrunk
    return Estimate(share, count, (max(0.0, middle - half), min(1.0, middle + half)))


def mean_of(values: Sequence[float]) -> Estimate:
    """A mean with Student's t interval, for independent values of about normal spread.

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


def confusion(pairs: Iterable[tuple[str, str]]) -> Confusion | None:
    """Of pairs (right label, predicted label); None where there are more than LABELS labels.

    >>> confusion([("a", "a"), ("a", "b"), ("b", "b")]).counts
    ((1, 1), (0, 1))
    """
    given = list(pairs)
    labels = tuple(sorted({label for pair in given for label in pair}))
    if not given or len(labels) > LABELS:
        return None
    return Confusion(labels, tuple(tuple(given.count((right, said)) for said in labels) for right in labels))


def label_of(item: Explanation) -> str:
    """What the words are listed under: the label or answer explained; of an answer in a text only its end or start.

    Answers of that kind differ from example to example, so listing words under each would say nothing.
    """
    kind = item.target.kind
    if kind in ("start", "end", "span"):
        return "the answer" if kind == "span" else kind
    return item.target.label if kind == "token" else str(item.target)


def word_effects(items: Sequence[Explanation], least: int = 2) -> dict[str, LabelWords]:
    """For each label its words, those that brought most to it over all its examples first.

    An example is one observation, however often it has the word: its occurrences are added up. Case is ignored;
    special tokens and punctuation are left out, and words in fewer than `least` of a label's examples (of all, where
    it has fewer).
    """
    found: dict[str, dict[str, list[float]]] = {}
    sizes: dict[str, int] = {}
    for item in items:
        label = label_of(item)
        found.setdefault(label, {})
        sizes[label] = sizes.get(label, 0) + 1
        for word, score in word_sums(item).items():
            found[label].setdefault(word, []).append(score)
    return {label: LabelWords(sizes[label], _effects(words, sizes[label], least)) for label, words in found.items()}


def _effects(words: Mapping[str, Sequence[float]], examples: int, least: int) -> tuple[Effect, ...]:
    known = [
        Effect(word, mean_of(scores), math.fsum(scores) / examples)
        for word, scores in words.items()
        if len(scores) >= min(least, examples)
    ]
    return tuple(sorted(known, key=lambda effect: (-abs(effect.everywhere), effect.word)))


def word_sums(item: Explanation) -> dict[str, float]:
    """What each word of an example brought, its occurrences added up, in the unit of the scores."""
    words = item.words()
    sums: dict[str, float] = {}
    for token, segment, score in zip(words.tokens, words.segment, words.scores, strict=True):
        name = token.strip().casefold()
        if segment != SPECIAL and any(map(str.isalnum, name)):
            sums[name] = sums.get(name, 0.0) + score
    return sums


def modality_shares(items: Sequence[Explanation]) -> dict[str, Estimate]:
    """How much of what was scored lay in the text, how much in the image, on average; {} without images.

    Source: Parcalabescu & Frank 2023, eq. 3–4 (arXiv:2212.08158), averaged over examples.
    """
    shares = [item.shares for item in items if item.shares]
    return {name: mean_of([each[name] for each in shares]) for name in shares[0]} if shares else {}


def head_sizes(items: Sequence[Explanation]) -> dict[tuple[str, str, tuple[str, ...]], np.ndarray]:
    """(stack, method, names of its layers) → mean size of what each head carried, (layers, H), over the examples.

    Of weights, which say where a head looked, it is how peaked they are: `xai_nlp.viz.maps.head_numbers`.
    Source: Michel, Levy & Neubig 2019, eq. 2 (arXiv:1905.10650), where the method is `attention_x_gradient`.
    """
    found: dict[tuple[str, str, tuple[str, ...]], list[np.ndarray]] = {}
    for item in items:
        for name, stack in item.attention.items():
            found.setdefault((name, stack.method, stack.layers), []).append(abs(head_numbers(stack)))
    return {key: sum(heads[1:], heads[0]) / len(heads) for key, heads in found.items()}
