"""The frozen result of a comparison: what two models say of the same examples, and for which reasons."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xai_nlp.core.answers import normalize_answer
from xai_nlp.core.files import read_file, write_file
from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.core.serialization import from_data, json_text, parse_json, to_data
from xai_nlp.core.statistics import (
    Estimate,
    LabelWords,
    Spread,
    effects_by_label,
    label_of,
    proportion,
    spread_of,
    word_sums,
)
from xai_nlp.errors import InvalidInput, UnreadableFile

if TYPE_CHECKING:
    import pandas

Missing = Literal["A", "B", "both"]
LISTED = 10  # words of a label in a summary
NOISE = 1e-5  # two shares of an explanation that differ by less are equal: float32 does not tell them apart
#: The numbers that say how much two explanations of an example agree.
AGREEMENT = ("rank_correlation", "sign_flips", "top_overlap", "moved")


@dataclass(frozen=True, kw_only=True)
class DiffThresholds:
    """From where on two models differ. None judges nothing by that number.

    most_moved: the largest part of an explanation that may move, from 0 to 1.
    least_correlation: the smallest rank correlation of an example's scores, from -1 to 1.
    most_sign_flips: the largest share of an example's words whose sign may change, from 0 to 1.
    least_overlap: the smallest share of an example's strongest words that both name, from 0 to 1.
    most_label_flips: the largest share of examples whose prediction may change, from 0 to 1.
    most_changed: the largest share of examples whose reasons may change by the first four, from 0 to 1.
    """

    most_moved: float | None = 0.1
    least_correlation: float | None = None
    most_sign_flips: float | None = None
    least_overlap: float | None = None
    most_label_flips: float = 0.0
    most_changed: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = -1.0 if name == "least_correlation" else 0.0
            if value is not None and not (isinstance(value, (int, float)) and least <= value <= 1):
                raise InvalidInput(f"{name} is a number from {least:g} to 1; got {value!r}.")


@dataclass(frozen=True)
class WordChange:
    """A word, or a region of an image, and its share of each of two explanations.

    A word that occurs several times is one, with the sums of its shares; case is ignored.
    """

    word: str  # as it reads where it occurs first
    before: float
    after: float
    count: int = 1  # how often it occurs

    @property
    def change(self) -> float:
        """What it gained, or, below 0, lost."""
        return self.after - self.before


@dataclass(frozen=True, kw_only=True)
class ExampleDiff:
    """Two explanations of one input, over the same words, and how far they agree.

    Agreement is None where the two explain different numbers, such as two labels, and where it has no value: a rank
    correlation needs two words. It is computed from scores of words and regions, without special tokens.
    """

    index: int  # number of the example in the data, from 0
    before: Explanation  # of model A, as `core.word_alignment.aligned_words` gives it
    after: Explanation  # of model B, over the same words
    rank_correlation: float | None = None  # of the scores, from -1 to 1
    sign_flips: float | None = None  # share of the words whose score has another sign, from 0 to 1
    top_overlap: float | None = None  # share of the strongest words that both name, from 0 to 1

    @property
    def same_target(self) -> bool:
        """Do both explain the same number of the model?"""
        one, other = (replace(why.target, position=None) for why in (self.before, self.after))
        return one == other

    @property
    def predictions(self) -> tuple[str, str]:
        """What each model says."""
        return self.before.prediction, self.after.prediction

    @property
    def flipped(self) -> bool:
        """Do the models say different things? Answers are compared as SQuAD compares them; numbers never flip."""
        one, other = self.predictions
        if self.before.target.kind in ("label", "output", "entity", "word"):
            return one != other
        return normalize_answer(one) != normalize_answer(other)

    @cached_property
    def shares(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The scores of words, then of regions, of each model, over the sum of their sizes: they are comparable.

        Logits of two models have scales of their own (a factor on the last layer changes no prediction and every
        score), so a word is measured by its share of all that counts: Σ|share| = 1. Special tokens are left out,
        because two tokenizers add different ones. All are 0 where every score is. Where a share of B is within NOISE of
        that of A, it is equal to it.
        """
        before, after = _shares(self.before), _shares(self.after)
        return before, tuple(a if abs(a - b) < NOISE else b for a, b in zip(before, after, strict=True))

    @property
    def moved(self) -> float | None:
        """The part of the explanation that moved, ½ Σ|share of A − share of B|: from 0 to 1, where all of it did."""
        if not self.same_target:
            return None
        return math.fsum(abs(a - b) for a, b in zip(*self.shares, strict=True)) / 2

    @property
    def names(self) -> tuple[str, ...]:
        """The words, then the regions, that have a share."""
        image = self.before.image
        words = [word for word, s in zip(self.before.tokens, self.before.segment, strict=True) if s != SPECIAL]
        return (*words, *(image.names if image else ()))

    def loaded(self) -> ExampleDiff:
        """This, with its explanations."""
        return self

    @cached_property
    def changes(self) -> tuple[WordChange, ...]:
        """Every distinct word and region, the largest change first; none where the two explain different targets."""
        found: dict[str, list[tuple[str, float, float]]] = {}
        before, after = self.shares
        for name, a, b in zip(self.names, before, after, strict=True) if self.same_target else ():
            found.setdefault(name.casefold(), []).append((name, a, b))
        changes = [
            WordChange(same[0][0], math.fsum(a for _, a, _ in same), math.fsum(b for *_, b in same), len(same))
            for same in found.values()
        ]
        return tuple(sorted(changes, key=lambda one: -abs(one.change)))

    def gained(self, top: int = 5) -> list[WordChange]:
        """The words that gained most: model B is drawn more by them towards the target."""
        return [one for one in self.changes if one.change > 0][:top]

    def lost(self, top: int = 5) -> list[WordChange]:
        """The words that lost most."""
        return [one for one in self.changes if one.change < 0][:top]

    def reasons_differ(self, thresholds: DiffThresholds) -> bool:
        """Is an agreement beyond a threshold? Without agreement, as between two targets, the reasons do not count."""
        at_least = ((self.rank_correlation, thresholds.least_correlation), (self.top_overlap, thresholds.least_overlap))
        at_most = ((self.moved, thresholds.most_moved), (self.sign_flips, thresholds.most_sign_flips))
        low = any(value < limit for value, limit in at_least if value is not None and limit is not None)
        return low or any(value > limit for value, limit in at_most if value is not None and limit is not None)

    def __repr__(self) -> str:
        said = " → ".join(repr(prediction[:20]) for prediction in self.predictions)
        moved = "other targets" if self.moved is None else f"{self.moved:.1%} moved"
        return f"<ExampleDiff {self.index}: {said}; {moved}>"


class ReadDiff:
    """An ExampleDiff that holds numbers only; what else is asked of it is read from the files of its explanations.

    loaded: gives the ExampleDiff, now and whenever something is read.

    >>> from xai_nlp.runs.example_diff import compare
    >>> from xai_nlp.core.result import TargetSpec
    >>> one = Explanation(segments=("fine",), tokens=("fine",), offsets=((0, 4),), segment=(0,), scores=(1.0,),
    ...     unit="logit", value=1.0, baseline_value=0.0, outputs={"POSITIVE": 1.0}, method="occlusion",
    ...     target=TargetSpec(kind="label", label="POSITIVE"), baseline="pad", complete=False)
    >>> light = ReadDiff(lambda: compare(one, one))
    >>> light.moved, light.before.tokens, light == compare(one, one)
    (0.0, ('fine',), True)
    """

    NUMBERS = ("index", "rank_correlation", "sign_flips", "top_overlap", "moved", "flipped", "same_target")

    def __init__(self, loaded: Callable[[], ExampleDiff]) -> None:
        whole = loaded()
        vars(self).update({name: getattr(whole, name) for name in self.NUMBERS}, loaded=loaded)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["loaded"](), name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (ExampleDiff, ReadDiff)) and vars(self)["loaded"]() == other.loaded()

    def __repr__(self) -> str:
        return repr(vars(self)["loaded"]())


@dataclass(frozen=True)
class Failure:
    """An example that could not be compared: whose explanation is missing, and why."""

    index: int
    missing: Missing
    message: str


@dataclass(frozen=True, kw_only=True)
class ModelDiff:
    """Do two models decide for the same reasons? The examples with both explanations, and statistics over them.

    models: the names of model A and model B. failures: the examples that could not be compared.
    """

    models: tuple[str, str]
    examples: tuple[ExampleDiff, ...]
    failures: tuple[Failure, ...] = ()
    thresholds: DiffThresholds = DiffThresholds()
    top: int = 5  # words in `top_overlap`

    # What it says ---------------------------------------------------------------------------------------------

    @property
    def same(self) -> bool:
        """Is nothing beyond the thresholds, and no example explained by one model alone?"""
        count, limits = len(self.examples), self.thresholds
        return (
            len(self.label_flips) <= limits.most_label_flips * count
            and len(self.changed) <= limits.most_changed * count
            and all(one.missing == "both" for one in self.failures)
        )

    @property
    def label_flips(self) -> list[ExampleDiff]:
        """The examples whose prediction changed."""
        return [one for one in self.examples if one.flipped]

    @property
    def changed(self) -> list[ExampleDiff]:
        """The examples whose reasons changed beyond the thresholds."""
        return [one for one in self.examples if one.reasons_differ(self.thresholds)]

    @property
    def by_change(self) -> list[ExampleDiff]:
        """All examples, the most changed first: changed predictions, then how much of the explanation moved."""
        return sorted(self.examples, key=lambda one: (not one.flipped, -(one.moved or 0.0), one.index))

    @property
    def flip_rate(self) -> Estimate:
        """The share of examples whose prediction changed, with Wilson's interval."""
        return proportion(len(self.label_flips), len(self.examples))

    @cached_property
    def agreement(self) -> dict[str, Spread]:
        """For each number of AGREEMENT its distribution over the examples, with a bootstrap interval of its mean."""
        values = {name: [v for one in self.examples if (v := getattr(one, name)) is not None] for name in AGREEMENT}
        return {name: spread_of(known) for name, known in values.items() if known}

    def words(self, least: int = 1) -> dict[str, LabelWords]:
        """For each label of model A the words whose share changed most, over the label's examples.

        least: words in fewer of a label's examples are left out, unless the label has fewer.
        """
        compared = [one for one in self.examples if one.same_target]
        return effects_by_label(((label_of(one.before), _word_changes(one)) for one in compared), least)

    def summary(self) -> dict[str, Any]:
        """The statistics as plain data: counts, agreement with intervals, and the words of each label."""
        return {
            "same": self.same,
            "examples": len(self.examples),
            "label_flips": len(self.label_flips),
            "changed": len(self.changed),
            "failures": len(self.failures),
            "agreement": {
                name: {
                    "mean": spread.mean.mean,
                    "interval": list(spread.mean.interval) if spread.mean.interval else None,
                    "quartiles": list(spread.quartiles),
                }
                for name, spread in self.agreement.items()
            },
            "words": {
                label: [
                    {"word": one.word, "change": one.overall, "examples": one.present.count}
                    for one in of_label.effects[:LISTED]
                ]
                for label, of_label in self.words().items()
            },
        }

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each example: its number, both predictions, the agreement, and the words that changed most."""
        import pandas

        columns = ("example", "text", "before", "after", "flipped", *AGREEMENT, "gained", "lost")
        rows = [
            (
                one.index,
                " · ".join(one.before.segments),
                *one.predictions,
                one.flipped,
                *(getattr(one, name) for name in AGREEMENT),
                *(next((word.word for word in words), "") for words in (one.gained(1), one.lost(1))),
            )
            for one in self.by_change
        ]
        return pandas.DataFrame(rows, columns=list(columns))

    # How it is saved ------------------------------------------------------------------------------------------

    def to_json(self, *, indent: int | None = None) -> str:
        """JSON with a format number: `summary`, and all that `from_json` reads back equal."""
        loaded = replace(self, examples=tuple(one.loaded() for one in self.examples))
        return json_text({"summary": self.summary(), **to_data(loaded)}, indent)

    @classmethod
    def from_json(cls, text: str | bytes) -> ModelDiff:
        """The comparison that `to_json` wrote. Raises UnreadableFile, which names the path to a wrong field."""
        data = parse_json(text)
        if isinstance(data, dict):
            data = {name: value for name, value in data.items() if name != "summary"}
        diff = from_data(cls, data, kind="comparison")
        for one in diff.examples:
            one.before.check_as_read()
            one.after.check_as_read()
        return diff

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON, whole or not at all; `ModelDiff.load` reads it back equal."""
        write_file(path, self.to_json(indent=1).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ModelDiff:
        """Read a file of `save`. Raises UnreadableFile."""
        try:
            return cls.from_json(read_file(path))
        except UnreadableFile as error:
            raise UnreadableFile(f"{Path(path)}: {error}") from None

    # How it looks ---------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        count = f"{len(self.examples)} example{'s' * (len(self.examples) != 1)}"
        verdict = "same" if self.same else "differ"
        return (
            f"<ModelDiff {self.models[0][:40]} and {self.models[1][:40]}: {verdict}; {count}; changed predictions: "
            f"{len(self.label_flips)}, changed explanations: {len(self.changed)}>"
        )

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write a page that needs no network: the summary, and the examples side by side, sorted by change."""
        from xai_nlp.viz.page.model_diff import diff_page

        write_file(path, diff_page(self).encode())

    def to_ansi(self) -> str:
        """Coloured text for a terminal."""
        from xai_nlp.viz.terminal.ansi import printed
        from xai_nlp.viz.terminal.model_diff import render_diff

        return printed(render_diff(self))


def _shares(why: Explanation) -> tuple[float, ...]:
    scores: Sequence[float] = [score for score, s in zip(why.scores, why.segment, strict=True) if s != SPECIAL]
    if why.image is not None:
        scores = [*scores, *why.image.scores]
    total = math.fsum(map(abs, scores))
    return tuple(score / total if total else 0.0 for score in scores)


def _word_changes(example: ExampleDiff) -> dict[str, float]:
    """The change of each distinct word's share, as `word_sums` counts words."""
    before, after = example.shares
    special = [s == SPECIAL for s in example.before.segment]
    changes = iter([b - a for a, b in zip(before, after, strict=True)])
    return word_sums(replace(example.before, scores=tuple(0.0 if out else next(changes) for out in special)))
