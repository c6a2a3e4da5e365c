"""Do a concept's scores differ from those of examples drawn at random? A permutation test, with a correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.attr.base import check_count
from xai_nlp.concept.classifier import Classifier, trained
from xai_nlp.concept.examples import POOLING_REMEDY
from xai_nlp.core.captum_types import CaptumAssertion, UnknownChoice
from xai_nlp.errors import Unsupported

STATISTICS = ("magnitude", "unit_magnitude", "sign_count")
CORRECTIONS = ("holm", "bonferroni", "none")
RANDOM, CONCEPT = 0, 1  # labels of the two kinds of examples


@dataclass(frozen=True)
class ConceptSignificance:
    """The scores of a concept at a layer, against examples drawn at random.

    layer: its name; its number, where layers are counted.
    sign_count: the share of the inputs whose output rises along the concept's CAV.
    magnitude: the mean slope along it, in units of the output: for a step as long as the CAV, or with the statistic
        "unit_magnitude" for a step of length 1. FastCAV's goes from the mean of all examples to that of the concept.
    sign_counts: the share for a CAV against each random concept by itself.
    p_value: how often random examples would do as well. adjusted_p_value: corrected for all concepts and layers of the
        call.
    accuracy: how well the classifier tells the concept from random examples; None if it does not say.
    """

    concept: str
    layer: str | int
    sign_count: float
    magnitude: float
    sign_counts: tuple[float, ...]
    p_value: float
    adjusted_p_value: float
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class PermutationTest:
    """Tests concepts at one layer against the same random examples.

    slopes: of the target at the layer, (N, F). random: vectors of each random concept, (M, F) each.
    """

    slopes: Tensor
    random: Sequence[Tensor]
    classifier: Classifier
    classifier_kwargs: Mapping[str, Any]
    permutations: int
    statistic: str
    seed: int

    def of(self, concept: str, layer: str, vectors: Tensor) -> ConceptSignificance:
        """The scores of a concept, and p; not yet corrected. vectors: of its examples, (n, F)."""
        for one in (self.slopes, *self.random):
            check_sizes(one, vectors)
        rows = torch.cat([vectors, *(one.to(vectors) for one in self.random)])
        stats = self._trained(rows, len(vectors))
        observed = self._along(stats)
        generator = torch.Generator().manual_seed(self.seed)
        others = []
        for _ in range(self.permutations):
            mixed = rows[torch.randperm(len(rows), generator=generator)]
            others.append(self._from_chance(self._along(self._trained(mixed, len(vectors)))))
        as_far = sum(other >= self._from_chance(observed) - 1e-9 for other in others)
        pairs = [torch.cat([vectors, one.to(vectors)]) for one in self.random]
        by_set = [self._along(self._trained(pair, len(vectors))) for pair in pairs]
        p_value = (1 + as_far) / (1 + self.permutations)
        return ConceptSignificance(
            concept=concept,
            layer=layer,
            sign_count=_share(observed),
            magnitude=float(observed.mean()),
            sign_counts=tuple(map(_share, by_set)),
            p_value=p_value,
            adjusted_p_value=p_value,
            accuracy=float(stats["accs"]) if "accs" in stats else None,
        )

    def _trained(self, rows: Tensor, count: int) -> dict[str, Any]:
        """A classifier's statistics, where the first `count` of the rows are called the concept."""
        labels = torch.full((len(rows),), RANDOM, device=rows.device)
        labels[:count] = CONCEPT
        return trained(self.classifier, rows, labels, **self.classifier_kwargs)

    def _along(self, stats: Mapping[str, Any]) -> Tensor:
        """The slope of each input along the concept's direction: (N,)."""
        direction = stats["weights"][list(stats["classes"]).index(CONCEPT)].to(self.slopes)
        if self.statistic == "unit_magnitude":
            direction = nn.functional.normalize(direction, dim=0)
        return self.slopes @ direction

    def _from_chance(self, slopes: Tensor) -> float:
        """How far the score is from that of a direction that means nothing."""
        return abs(_share(slopes) - 0.5 if self.statistic == "sign_count" else float(slopes.mean()))


def _share(slopes: Tensor) -> float:
    return float((slopes > 0).float().mean())


def adjusted(results: Sequence[ConceptSignificance], correction: str) -> list[ConceptSignificance]:
    """The results with p-values corrected for how many they are.

    correction: "holm" multiplies the k-th smallest of m by m − k + 1, and lets none be below the one before it (Holm
        1979); "bonferroni" multiplies by m; "none" leaves them.

    >>> one = ConceptSignificance("negation", "0", 1.0, 1.0, (1.0,), 0.02, 0.02)
    >>> both = [one, replace(one, p_value=0.04)]
    >>> [[round(r.adjusted_p_value, 3) for r in adjusted(both, how)] for how in CORRECTIONS]
    [[0.04, 0.04], [0.04, 0.08], [0.02, 0.04]]
    """
    count, largest = len(results), 0.0
    values = [0.0] * count
    order = sorted(range(count), key=lambda i: results[i].p_value)
    for rank, i in enumerate(order):
        factor = {"holm": count - rank, "bonferroni": count, "none": 1}[correction]
        largest = max(largest, min(1.0, factor * results[i].p_value))
        values[i] = largest
    return [replace(one, adjusted_p_value=value) for one, value in zip(results, values, strict=True)]


def check_test(permutations: int, statistic: str, correction: str, pooling: str | None) -> None:
    """Raises CaptumAssertion, UnknownChoice or Unsupported for a test that does not exist."""
    check_count("permutations", permutations)
    if statistic not in STATISTICS:
        raise UnknownChoice("statistic", statistic, STATISTICS)
    if correction not in CORRECTIONS:
        raise UnknownChoice("correction", correction, CORRECTIONS)
    if pooling == "tokens":
        raise Unsupported("tokens of one text are not independent; test with pooling='mean' or 'first'.")


def check_sizes(slopes: Tensor, vectors: Tensor) -> None:
    """Raises CaptumAssertion if inputs and concepts have vectors of another size."""
    if slopes.shape[1] != vectors.shape[1]:
        raise CaptumAssertion(
            f"vectors of {slopes.shape[1]} and of {vectors.shape[1]} numbers meet at the layer: inputs and examples of "
            f"concepts must have one shape. {POOLING_REMEDY}"
        )
