"""The view model: explanations as the values that the templates of page, fragment, report and widget draw.

Explanations of one input form an example. Values are worked out when a template reads them, so that a report, which
draws less of each example than a page, costs less.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.core.statistics import completeness
from xai_nlp.viz.page.image_regions import ImageView, image_view
from xai_nlp.viz.page.quantize import script_data
from xai_nlp.viz.page.score_tables import TOP, Table, score_tables
from xai_nlp.viz.text import wording
from xai_nlp.viz.text.number_format import count, with_unit
from xai_nlp.viz.text.text_marks import (
    Legend,
    MarkedText,
    marked_text,
    own_peaks,
    scale_key,
    scoring_specials,
    shared_legends,
)
from xai_nlp.viz.text.text_spans import strongest, strongest_words
from xai_nlp.viz.text.wording import Fact

METHOD_COMPLETE = "the method that shares out the change of the model’s output among the {}s"
METHOD = "the method that gives each {} its score; scores need not add up"
LABELS = 8  # outputs that are listed
CHARACTERS = 90  # of a text in the table of all examples
SEARCHABLE = 5  # with more examples than this, a page gets a table of them, a search and filters

SWITCHED = ("label", "entity", "token")  # kinds of target of which a card shows one at a time

#: Name → how explanations of one input can differ.
DIFFERENCES: dict[str, Callable[[Explanation], str]] = {
    "method": lambda item: wording.plain(item.method),
    "target": wording.target_text,
    "model": lambda item: item.model,
    "baseline": lambda item: f"baseline {item.baseline}",
    "seed": lambda item: f"seed {item.seed}",
}
#: Entry of `params` → its label in the facts.
COUNTS = {"steps_used": "steps along the path", "windows": "windows, because the text is long"}
#: Name → settings in the last line of a card.
SETTINGS: dict[str, Callable[[Explanation], str]] = {
    "method": lambda item: wording.plain(item.method),
    "model": lambda item: item.model,
    "compared with": wording.baseline_name,
    "layer": lambda item: "" if item.params.get("layer") is None else str(item.params["layer"]),
}


@dataclass(frozen=True)
class Row:
    """One explanation of an example."""

    name: str
    item: Explanation
    merged: Explanation  # the same over words
    shared: float  # peak of the shared scale
    differences: tuple[tuple[str, str], ...] = ()  # (“method”, its method), where the page has several
    own: float | None = None  # peak of its own scale; None for its largest |score|

    @cached_property
    def words(self) -> MarkedText:
        return marked_text(self.merged, self.shared, self.item.word_groups(), self.own)

    @cached_property
    def tokens(self) -> MarkedText | None:
        """The text in tokens; None where each token is a word."""
        return marked_text(self.item, self.shared, own=self.own) if self.merged.offsets != self.item.offsets else None

    @cached_property
    def image(self) -> ImageView | None:
        return image_view(self.item.image, self.item, self.merged, self.shared) if self.item.image else None

    @cached_property
    def script_data(self) -> dict[str, Any] | None:
        """The numbers that the page's script draws layers and attention from; None where there are none."""
        return script_data(self.item, self.merged) if self.item.layers or self.item.attention else None


@dataclass(frozen=True)
class Example:
    """All explanations of one input."""

    number: int
    rows: tuple[Row, ...]
    first: Explanation
    words: tuple[Explanation, ...]  # its explanations over words

    @cached_property
    def id(self) -> str:
        """The HTML id: the same for the same input."""
        content = "\0".join((*self.first.segments, self.first.model)).encode("utf-8", "surrogatepass")
        return f"e{self.number}-{hashlib.sha256(content).hexdigest()[:6]}"

    @property
    def excerpt(self) -> str:
        """The text, shortened, in one line."""
        text = " · ".join(" ".join(text.split()) for text in self.first.segments)
        return wording.shortened(text, CHARACTERS) or f"example {self.number}"

    @property
    def gold(self) -> str:
        """The right answers."""
        return " / ".join(label or "no answer" for label in self.first.gold)

    @cached_property
    def largest(self) -> float:
        """The largest |score| of a word or a region."""
        return max(max(own_peaks(merged)) for merged in self.words)

    @property
    def strongest_part(self) -> str:
        """The strongest word, or region of an image without a text."""
        words = self.words[0]
        if words.image and not words.tokens:
            return next((words.image.names[r] for r in strongest(words.image.scores, 1)), "")
        return next((words.tokens[i] for i in strongest_words(words, 1)), "")

    @cached_property
    def settings(self) -> list[tuple[str, tuple[str, ...]]]:
        """Settings and their values, of all explanations."""
        values = {name: dict.fromkeys(read(row.item) for row in self.rows) for name, read in SETTINGS.items()}
        return [(name, tuple(filter(None, known))) for name, known in values.items() if any(known)]

    @cached_property
    def switch(self) -> list[tuple[str, str]]:
        """The targets between which a reader switches, with the model's output of each; [] for a single one.

        The start and the end of an answer are read together.
        """
        items = {wording.target_text(row.item): row.item for row in self.rows}
        if len(items) < 2 or not all(item.target.kind in SWITCHED for item in items.values()):
            return []
        return [(name, wording.explained_output_text(item)) for name, item in items.items()]

    @property
    def shown(self) -> str:
        """The target that is shown first: the model's prediction, if it is explained."""
        names = [name for name, _ in self.switch]
        return self.first.prediction if self.first.prediction in names else names[0]

    @cached_property
    def facts(self) -> list[Fact]:
        """Exact numbers behind the example, for its details."""
        item, alone = self.first, len(self.rows) == 1
        special = item.segment.count(SPECIAL)
        facts = [Fact(str(len(item.tokens)), f"tokens, {special} of them special" if special else "tokens")]
        if item.image and not item.tokens:
            facts = [Fact(str(len(item.image.scores)), "regions")]
        if not item.task:
            return facts
        if alone:
            facts += [Fact(wording.target_text(item), "target"), wording.explained_fact(item)]
            facts += [Fact(str(item.params[name]), label) for name, label in COUNTS.items() if item.params.get(name)]
        return [Fact(wording.plain(item.task), "task"), *facts]

    def tables(self, of: str, top: int | None = TOP) -> list[Table]:
        """The strongest scores of each "word", "token" or "region"; all of them where `top` is None."""
        rows = [(row.name, row.merged if of == "word" else row.item, row.shared) for row in self.rows]
        return score_tables(rows, of, top)

    @cached_property
    def explained_labels(self) -> set[str]:
        """The outputs that are explained; none where all of them are."""
        labels = {label for row in self.rows for label in wording.explained_labels(row.item)}
        return labels if labels < set(self.first.outputs) else set()

    @property
    def outputs(self) -> list[tuple[str, list[int], Explanation, list[str]]]:
        """The model's outputs: (name, places of the explanations that have them, the first of these, labels to list).

        Labels are those with the largest outputs, and those that are explained. The name is "" where all explanations
        have the same outputs.
        """
        places: dict[tuple[tuple[str, float], ...], list[int]] = {}
        for place, row in enumerate(self.rows):
            if row.item.outputs:
                places.setdefault(tuple(row.item.outputs.items()), []).append(place)
        firsts = [(self.rows[same[0]], same) for same in places.values()]
        return [
            (row.name if len(firsts) > 1 else "", same, row.item, self._listed(row.item.outputs))
            for row, same in firsts
        ]

    def _listed(self, outputs: Mapping[str, float]) -> list[str]:
        ranked = sorted(outputs, key=lambda label: -outputs[label])
        return [label for place, label in enumerate(ranked) if place < LABELS or label in self.explained_labels]


@dataclass(frozen=True)
class View:
    """A page, a fragment or a report of explanations."""

    items: tuple[Explanation, ...]
    examples: tuple[Example, ...]
    legends: tuple[Legend, ...]  # of the shared scales
    differences: tuple[tuple[str, tuple[str, ...]], ...]  # (“method”, all methods), where an example has several

    @cached_property
    def several(self) -> bool:
        """Is there a scale to share: several explanations, or a text beside its image?"""
        return len(self.items) > 1 or any(item.image and item.tokens for item in self.items)

    @cached_property
    def part(self) -> str:
        """What has a score: a “word”, or a “region” where there are images and no text."""
        return "region" if self.items and all(item.image and not item.tokens for item in self.items) else "word"

    @cached_property
    def two_views(self) -> bool:
        """Do words differ from tokens anywhere?"""
        return any(row.tokens for example in self.examples for row in example.rows)

    @cached_property
    def switched(self) -> tuple[str, ...]:
        """The differences that cards have a switch for."""
        return ("target",) if any(example.switch for example in self.examples) else ()

    @property
    def searchable(self) -> bool:
        return len(self.examples) > SEARCHABLE

    @cached_property
    def labels(self) -> list[str]:
        return sorted({example.first.prediction for example in self.examples})

    @cached_property
    def judged(self) -> bool:
        """Is the right answer of any example known?"""
        return any(example.first.correct is not None for example in self.examples)

    @cached_property
    def title(self) -> str:
        """The document's title: a question of one explanation, a number of several."""
        questions = {wording.headline(item) for item in self.items}
        if len(self.examples) == 1 and len(questions) == 1:
            return questions.pop()
        return f"{count(len(self.examples), self.noun)} explained" if self.examples else "Nothing explained yet"

    @cached_property
    def noun(self) -> str:
        """The word for an example: “text”, “image”, “question” about an image, or “example” of any kind."""
        if self.part == "region":
            return "image"
        nouns = {
            "text" if not i.image else "question" if i.task in wording.GENERATING else "example" for i in self.items
        }
        return nouns.pop() if len(nouns) == 1 else "text" if nouns == {"text", "question"} else "example"

    @cached_property
    def summary(self) -> str:
        """Counts of a page of several examples, and how many explanations add up."""
        parts = []
        if len(self.items) > len(self.examples):
            parts.append(count(len(self.items), "explanation"))
        good, complete, _ = completeness(self.items)
        if complete:
            parts.append(f"{good} of {complete} leave at most 1\u00a0% unexplained")
        return " · ".join(parts)

    @cached_property
    def terms(self) -> dict[str, str]:
        """The jargon of the first screen with its explanations: a method, a unit, and “tokenizer”."""
        terms = {}
        if (item := next(iter(self.items))).method:
            terms[wording.plain(item.method)] = (METHOD_COMPLETE if item.complete else METHOD).format(self.part)
        if any(map(scoring_specials, self.items)):
            terms["tokenizer"] = wording.TERMS["tokenizer"]
        return terms | {item.unit: wording.TERMS[item.unit] for item in self.items[:1] if item.unit in wording.TERMS}

    @cached_property
    def footer(self) -> list[str]:
        versions = dict.fromkeys(f"{name} {number}" for item in self.items for name, number in item.versions.items())
        seeds = sorted({item.seed for item in self.items})
        return [*versions, with_unit("seed" if len(seeds) == 1 else "seeds", ", ".join(map(str, seeds)))]


def view(explanations: Sequence[Explanation]) -> View:
    """The view of explanations; inputs keep the order of their first explanation."""
    items = tuple(explanations)
    words = {id(item): item.words() for item in items}
    legends = shared_legends((*items, *words.values()))
    inputs: dict[object, list[Explanation]] = {}
    for item in items:
        inputs.setdefault(input_key(item), []).append(item)
    differing = {
        name: tuple(dict.fromkeys(read(item) for same in inputs.values() for item in same))
        for name, read in DIFFERENCES.items()
        if any(len(set(map(read, same))) > 1 for same in inputs.values())
    }
    examples = []
    for number, same in enumerate(inputs.values(), start=1):
        rows = []
        for name, item in zip(names_of(same), same, strict=True):
            differences = tuple((kind, DIFFERENCES[kind](item)) for kind in differing)
            rows.append(Row(name, item, words[id(item)], legends[scale_key(item)].peak, differences))
        examples.append(Example(number, tuple(rows), same[0], tuple(row.merged for row in rows)))
    return View(items, tuple(examples), tuple(legends.values()), tuple(differing.items()))


def input_key(item: Explanation) -> object:
    """Explanations with the same key are of the same input."""
    image = item.image
    return item.segments, image and image.data


def names_of(items: Sequence[Explanation]) -> list[str]:
    """A name for each explanation of one input: where it differs from the others, or its method."""
    names = [""] * len(items)
    for read in DIFFERENCES.values():
        longer = [f"{name} · {read(item)}".removeprefix(" · ") for name, item in zip(names, items, strict=True)]
        if len(set(names)) < len(set(longer)):  # the difference tells some of them apart that were the same so far
            names = longer
    names = [name or wording.plain(item.method) for name, item in zip(names, items, strict=True)]
    return [name if names.count(name) == 1 else f"{name} ({n})" for n, name in enumerate(names, start=1)]
