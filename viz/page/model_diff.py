"""A comparison of two models as a page: summary, words of each label, and the examples side by side, by change."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from xai_nlp.core.model_diff import ExampleDiff, ModelDiff
from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.core.statistics import Confusion, LabelWords, confusion
from xai_nlp.viz.page.html import render, sealed
from xai_nlp.viz.page.image_regions import ImageView, image_view
from xai_nlp.viz.text import diff_wording
from xai_nlp.viz.text.number_format import signed
from xai_nlp.viz.text.scale import peak
from xai_nlp.viz.text.text_marks import Cell, MarkedText, cell, marked_text
from xai_nlp.viz.text.wording import Fact, plain, shortened

WORDS = 12  # of each label
CHANGES = 6  # words of each example
BINS = 10  # of the distribution of what moved
LISTED = 1000  # examples of a page
CHARACTERS = 90  # of a text in the table of all examples


@dataclass(frozen=True)
class ChangeLine:
    """A word, how much it gained or lost, and a note about that."""

    word: str
    bar: Cell
    note: str


@dataclass(frozen=True)
class ExampleView:
    """One example: the text by both models, in shares of one scale."""

    number: int  # place in the page, from 1
    example: ExampleDiff
    thresholds_passed: bool

    @cached_property
    def id(self) -> str:
        """The HTML id: the same for the same input."""
        content = "\0".join(self.example.before.segments).encode("utf-8", "surrogatepass")
        return f"d{self.number}-{hashlib.sha256(content).hexdigest()[:6]}"

    @property
    def state(self) -> str:
        """Filters go by it."""
        return "prediction changed" if self.example.flipped else "same" if self.thresholds_passed else "reasons changed"

    @property
    def excerpt(self) -> str:
        """The text, shortened, in one line."""
        text = " · ".join(" ".join(text.split()) for text in self.example.before.segments)
        return shortened(text, CHARACTERS) or f"example {self.example.index}"

    @property
    def outcome(self) -> str:
        return diff_wording.outcome(self.example)

    @property
    def agreement(self) -> list[str]:
        return list(diff_wording.agreement_text(self.example))

    @cached_property
    def peak(self) -> float:
        """The largest |share| of both models, in %."""
        return 100 * peak((*self.example.shares[0], *self.example.shares[1]))

    @cached_property
    def sides(self) -> list[tuple[str, str, MarkedText, ImageView | None]]:
        """(letter, what the model says, its text, its image) of both models."""
        pairs = zip("AB", (self.example.before, self.example.after), self.example.shares, strict=True)
        return [(letter, diff_wording.said(why), *self._side(why, shares)) for letter, why, shares in pairs]

    def _side(self, why: Explanation, shares: Sequence[float]) -> tuple[MarkedText, ImageView | None]:
        words = sum(segment != SPECIAL for segment in why.segment)
        numbers = [100 * share for share in shares]
        rest = [0.0] * (len(why.segment) - words)  # special tokens stand behind the words, and are not compared
        image = why.image and replace(why.image, scores=tuple(numbers[words:]))
        shown = replace(why, scores=(*numbers[:words], *rest), unit="%", image=image)
        return marked_text(shown, self.peak), image_view(image, shown, shown, self.peak) if image else None

    @property
    def changes(self) -> list[ChangeLine]:
        listed = [one for one in self.example.changes[:CHANGES] if abs(one.change) >= diff_wording.LEAST]
        return [
            ChangeLine(
                diff_wording.word_text(one),
                replace(cell(one.change, peak(one.change for one in listed)), number=diff_wording.points(one.change)),
                " → ".join(map(diff_wording.share_text, (one.before, one.after))),
            )
            for one in listed
        ]

    @property
    def first_gain(self) -> str:
        return next((one.word for one in self.example.gained(1)), "")

    @property
    def first_loss(self) -> str:
        return next((one.word for one in self.example.lost(1)), "")


@dataclass(frozen=True)
class DiffView:
    """The page of a comparison."""

    diff: ModelDiff

    @property
    def title(self) -> str:
        return f"{self.diff.models[0]} and {self.diff.models[1]}"

    @property
    def verdict(self) -> str:
        return diff_wording.verdict(self.diff)

    @property
    def facts(self) -> list[Fact]:
        return diff_wording.facts(self.diff)

    @cached_property
    def cover(self) -> list[tuple[str, list[str]]]:
        """Names and values under the verdict."""
        first = self.diff.examples[0]
        sides = zip("AB", self.diff.models, (first.before, first.after), strict=True)
        models = [
            (letter, [name, " · ".join(f"{k} {v}" for k, v in why.versions.items())]) for letter, name, why in sides
        ]
        method = plain(first.before.method) + (
            "" if first.before.baseline == "none" else f", from {first.before.baseline}"
        )
        return [
            *((letter, list(filter(None, values))) for letter, values in models),
            ("method", [method]),
            ("examples", [f"{len(self.diff.examples):,}", *self._left_out]),
            ("thresholds", diff_wording.thresholds_text(self.diff)),
        ]

    @property
    def _left_out(self) -> list[str]:
        return [f"the {LISTED:,} that changed most are below"] if len(self.diff.examples) > LISTED else []

    @property
    def flips(self) -> Confusion | None:
        """Counts of predictions by model A and B; None where nothing flipped, or for free answers."""
        if not self.diff.label_flips or self.diff.examples[0].before.target.kind not in ("label", "entity"):
            return None
        return confusion(one.predictions for one in self.diff.examples)

    @cached_property
    def bins(self) -> list[tuple[str, int, int]]:
        """(range, examples in it, in hundredths of the largest) of what moved, up to the last that holds one."""
        moved = [one.moved for one in self.diff.examples if one.moved is not None]
        counts = [0] * BINS
        for value in moved:
            counts[min(int(value * BINS), BINS - 1)] += 1
        last = max((k for k, count in enumerate(counts) if count), default=-1)
        ranges = [f"{100 * k // BINS}–{100 * (k + 1) // BINS}\u00a0%" for k in range(last + 1)]
        return [(name, count, round(100 * count / max(counts))) for name, count in zip(ranges, counts, strict=False)]

    @cached_property
    def words(self) -> list[tuple[str, int, list[ChangeLine]]]:
        """(label, its examples, its words) where any word moved."""
        labels = [(label, words.examples, _effect_lines(words)) for label, words in self.diff.words().items()]
        return [one for one in labels if one[2]]

    @cached_property
    def examples(self) -> list[ExampleView]:
        return [
            ExampleView(number, one, not one.reasons_differ(self.diff.thresholds))
            for number, one in enumerate(self.diff.by_change[:LISTED], start=1)
        ]

    @cached_property
    def states(self) -> list[str]:
        """The states of the examples, for a filter."""
        return list(dict.fromkeys(one.state for one in self.examples))


def diff_page(diff: ModelDiff) -> str:
    """The comparison as one HTML file under a strict content policy; the same input gives the same bytes."""
    view = DiffView(diff)
    return render("diff.html", view, wording_of_diff=diff_wording, level=1, **sealed("report.css", "diff.css"))


def _effect_lines(words: LabelWords) -> list[ChangeLine]:
    effects = [one for one in words.effects[:WORDS] if one.overall]
    largest = 100 * peak(one.overall for one in effects)
    lines = []
    for one in effects:
        mean, count = signed(100 * one.present.mean, 10.0), one.present.count
        spread = ""
        if one.present.interval:
            low, high = one.present.interval
            spread = f", {signed(100 * low, 10.0)} to {signed(100 * high, 10.0)}"
        lines.append(ChangeLine(one.word, cell(100 * one.overall, largest), f"in {count:,}: {mean}{spread}"))
    return lines
