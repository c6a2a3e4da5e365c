"""How well methods explain a model: what was measured of each method on each example, and what that says together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from xai_nlp.core.files import write_file
from xai_nlp.core.statistics import Estimate, mean_of, proportion
from xai_nlp.core.trust import LEVELS, TrustLevel
from xai_nlp.errors import UnreadableFile

FORMAT = 1
RANDOM = "random"  # the method that every other one has to beat
Measure = Literal[
    "deletion", "insertion", "beaten", "comprehensiveness", "sufficiency", "naopc", "residual", "passes", "milliseconds"
]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One method on one example; of several targets the mean.

    deletion: how much the output drops on average as features are removed, those with the highest scores first, less
        the same for random orders. High is good.
    insertion: how high the output is on average as they are put back, less the same for random orders. High is good.
    beaten: the share of random orders whose drop is smaller than that of the scores.
    comprehensiveness, sufficiency: of ERASER (`xai_nlp.metrics`). High and low are good.
    naopc: the drop between those of the worst order, 0, and the best, 1; None where it was not measured.
    residual: the share of the change that scores leave unexplained; None where the method promises no sum.
    level: of the trust verdict; of several targets the lowest.
    flip: how many of the top words change the prediction when they are deleted; 0 where none do, None where the target
        is not the prediction.
    passes: rows that went forward through the model for the explanation. milliseconds: what it took.
    """

    row: int
    method: str
    deletion: float
    insertion: float
    beaten: float
    comprehensiveness: float
    sufficiency: float
    naopc: float | None = None
    residual: float | None = None
    level: TrustLevel
    flip: int | None = None
    passes: int
    milliseconds: float


@dataclass(frozen=True, kw_only=True)
class MethodFailure:
    """Why a row of the data was not measured: with one method, or with any where `method` is ""."""

    row: int
    method: str = ""
    message: str


@dataclass(frozen=True, kw_only=True, repr=False)
class MethodComparison:
    """Methods compared on examples, each by the same measures.

    rows: how many were to be measured. unit: of `deletion` and `insertion`. part: what is removed, "word" or "region".
    removal: how. orders: random orders of each example.

    >>> def measured(row, method, deletion):
    ...     return Measurement(row=row, method=method, deletion=deletion, insertion=deletion, beaten=1.0, passes=1,
    ...         comprehensiveness=1.0, sufficiency=0.0, level="holds", milliseconds=1.0)
    >>> drops = {"occlusion": (1.0, 2.0, 3.0), "random": (-0.1, 0.1, 0.3)}
    >>> comparison = MethodComparison(task="text-classification", model="tiny", data="rows", rows=3, removal="pad",
    ...     unit="logit", seed=0, orders=20, methods=tuple(drops),
    ...     measurements=tuple(measured(row, name, one) for name, all in drops.items() for row, one in enumerate(all)))
    >>> comparison.ranking[0], comparison.estimate("occlusion").mean
    ('occlusion', 2.0)
    >>> comparison.difference("occlusion", "random")
    Estimate(mean=1.900..., count=3, interval=(-0.087..., 3.887...))
    """

    task: str
    model: str
    data: str
    rows: int
    part: str = "word"
    removal: str = ""
    unit: str = ""
    seed: int
    orders: int
    methods: tuple[str, ...]
    measurements: tuple[Measurement, ...] = ()
    failures: tuple[MethodFailure, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def of(self, method: str) -> list[Measurement]:
        """The measurements of one method."""
        return [one for one in self.measurements if one.method == method]

    @property
    def examples(self) -> int:
        """How many examples were measured, by at least one method."""
        return len({one.row for one in self.measurements})

    @property
    def ranking(self) -> list[str]:
        """The methods that were measured, the best first: by the mean of `deletion`."""
        means = {name: self.estimate(name) for name in self.methods}
        measured = {name: estimate.mean for name, estimate in means.items() if estimate}
        return sorted(measured, key=lambda name: -measured[name])

    def estimate(self, method: str, measure: Measure = "deletion") -> Estimate | None:
        """The mean of a measure over the examples, with Student's interval; None where it was not measured."""
        values = [getattr(one, measure) for one in self.of(method)]
        return _mean(value for value in values if value is not None)

    def levels(self, method: str) -> dict[TrustLevel, Estimate]:
        """The share of explanations of each level of trust, with Wilson's interval; {} where none was measured."""
        levels = [one.level for one in self.of(method)]
        return {level: proportion(levels.count(level), len(levels)) for level in LEVELS if levels}

    def flips(self, method: str) -> Estimate | None:
        """The share of explanations whose top words change the prediction, with Wilson's interval."""
        flips = [one.flip > 0 for one in self.of(method) if one.flip is not None]
        return proportion(sum(flips), len(flips)) if flips else None

    def difference(self, first: str, second: str, measure: Measure = "deletion") -> Estimate | None:
        """The mean of first − second over the examples that both explain, with Student's interval of the pairs."""
        others = {one.row: getattr(one, measure) for one in self.of(second)}
        pairs = [(getattr(one, measure), others.get(one.row)) for one in self.of(first)]
        return _mean(own - other for own, other in pairs if own is not None and other is not None)

    def __repr__(self) -> str:
        best = f"; best: {self.ranking[0]}" if self.measurements else ""
        return f"<MethodComparison {self.model}: {len(self.methods)} methods, {self.examples} examples{best}>"

    def sentence(self) -> str:
        """Which method explains the model best, and whether its lead is more than chance."""
        from xai_nlp.viz.text.method_comparison import sentences

        return " ".join(sentences(self)).strip()

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write a page: the sentence, bars with intervals, and every number."""
        from xai_nlp.viz.page.method_comparison import comparison_page

        write_file(path, comparison_page(self).encode())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON, whole or not at all."""
        write_file(path, self.to_json().encode())

    def to_json(self) -> str:
        """The measurements, and for each method the means with their intervals, as JSON."""
        data = {"format": FORMAT, **msgspec.to_builtins(self), "summary": self._summary()}
        return msgspec.json.format(msgspec.json.encode(data), indent=1).decode()

    @classmethod
    def from_json(cls, content: str | bytes) -> MethodComparison:
        """The comparison that `to_json` wrote. Raises UnreadableFile for anything else."""
        try:
            data = msgspec.json.decode(content, type=dict)
            if data.get("format") != FORMAT:
                raise UnreadableFile(f"this comparison has format {data.get('format')!r}; format {FORMAT} is read.")
            return msgspec.convert(data, cls)
        except msgspec.MsgspecError as error:
            raise UnreadableFile(f"this is no comparison of methods: {error}.") from None

    def _summary(self) -> dict[str, dict[str, object]]:
        return {
            name: {
                **{measure: self.estimate(name, measure) for measure in Measure.__args__},  # type: ignore[attr-defined]
                "levels": self.levels(name),
                "flips": self.flips(name),
            }
            for name in self.ranking
        }


def _mean(values: Iterable[float]) -> Estimate | None:
    """The mean of values that are numbers; None for none of them."""
    known = [value for value in values if value == value]
    return mean_of(known) if known else None
