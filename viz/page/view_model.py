"""The view model: explanations as the values that the templates of page, fragment, report and widget draw.

Explanations of one input form an example. Values are worked out when a template reads them, so that a report, which
draws less of each example than a page, costs less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.core.statistics import completeness
from xai_nlp.viz.page.attention_tables import AttentionTable, attention_table
from xai_nlp.viz.page.image_regions import ImageView, image_view
from xai_nlp.viz.page.quantize import script_data
from xai_nlp.viz.page.score_tables import (
    ScoreColumn,
    Table,
    balance_table,
    layers_table,
    parts_table,
    region_column,
    tables_of_columns,
    token_column,
)
from xai_nlp.viz.text import wording
from xai_nlp.viz.text.index_rows import IndexRow, index_row
from xai_nlp.viz.text.number_format import count, with_unit
from xai_nlp.viz.text.text_marks import Legend, MarkedText, marked_text, scale_key, shared_legends
from xai_nlp.viz.text.wording import Fact

TOP = 10  # words in “strongest words”
METHOD_COMPLETE = "the method that shares out the change of the model’s output among the {}s"
METHOD = "the method that gives each {} its score; scores need not add up"
LABELS = 8  # outputs that are listed
SEARCHABLE = 5  # with more examples than this, a page gets a table of them, a search and filters

#: Name → how explanations of one input can differ.
DIFFERENCES: dict[str, Callable[[Explanation], str]] = {
    "method": wording.method_name,
    "target": wording.target_text,
    "model": lambda item: item.model,
    "baseline": lambda item: f"baseline {item.baseline}",
    "seed": lambda item: f"seed {item.seed}",
}
#: Entry of `params` → its label in the facts.
COUNTS = {"steps_used": "steps along the path", "windows": "windows, because the text is long"}
#: Name → settings in the last line of a card.
SETTINGS: dict[str, Callable[[Explanation], str]] = {
    "method": wording.method_name,
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
    differences: tuple[tuple[str, str], ...]  # (“method”, its method), where the page has several

    @cached_property
    def words(self) -> MarkedText:
        return marked_text(self.merged, self.shared, self.item.word_groups())

    @cached_property
    def tokens(self) -> MarkedText | None:
        """The text in tokens; None where each token is a word."""
        return marked_text(self.item, self.shared) if self.merged.offsets != self.item.offsets else None

    @cached_property
    def image(self) -> ImageView | None:
        return image_view(self.item, self.merged, self.shared)

    @cached_property
    def layers(self) -> Table | None:
        return layers_table(self.merged)

    @cached_property
    def attention(self) -> tuple[AttentionTable, ...]:
        return tuple(attention_table(name, stack, self.merged) for name, stack in self.merged.attention.items())

    @cached_property
    def script_data(self) -> dict[str, Any] | None:
        return script_data(self.item, self.merged)

    @cached_property
    def parts(self) -> Table | None:
        return parts_table(self.merged, TOP)


@dataclass(frozen=True)
class Example:
    """All explanations of one input."""

    number: int
    rows: tuple[Row, ...]

    @cached_property
    def first(self) -> Explanation:
        return self.rows[0].item

    @cached_property
    def index_row(self) -> IndexRow:
        return index_row(self.number, [row.item for row in self.rows], self.words)

    @property
    def words(self) -> list[Explanation]:
        """Its explanations over words."""
        return [row.merged for row in self.rows]

    @cached_property
    def settings(self) -> list[tuple[str, str]]:
        """Settings that all explanations have in common."""
        values = {name: {read(row.item) for row in self.rows} for name, read in SETTINGS.items()}
        return [(name, same.pop()) for name, same in values.items() if len(same) == 1 and same != {""}]

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

    def _columns(self, make: Callable[..., ScoreColumn | None], *, words: bool = False) -> list[ScoreColumn | None]:
        return [make(row.merged if words else row.item, row.name, row.shared) for row in self.rows]

    @cached_property
    def strongest(self) -> tuple[Table, ...]:
        return tables_of_columns(self._columns(token_column, words=True), TOP)

    @cached_property
    def regions(self) -> tuple[Table, ...]:
        return tables_of_columns(self._columns(region_column), TOP)

    @property
    def numbers(self) -> tuple[Table, ...]:
        return (*tables_of_columns(self._columns(token_column)), *tables_of_columns(self._columns(region_column)))

    @cached_property
    def balance(self) -> Table | None:
        return balance_table(self.words[0]) if len(self.rows) == 1 else None

    @property
    def explained_labels(self) -> tuple[str, ...]:
        return wording.explained_labels(self.first)

    @property
    def outputs(self) -> list[str]:
        """The labels with the largest outputs, and those that are explained."""
        outputs = self.first.outputs
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
        return len(self.items) > 1 or any(row.image and row.item.tokens for row in self._rows)

    @cached_property
    def pictured(self) -> bool:
        return any(item.image for item in self.items)

    @cached_property
    def part(self) -> str:
        """What has a score: a “word”, or a “region” where there are images and no text."""
        return "region" if self.items and all(item.image and not item.tokens for item in self.items) else "word"

    @cached_property
    def two_views(self) -> bool:
        """Do words differ from tokens anywhere?"""
        return any(row.merged.offsets != row.item.offsets for row in self._rows)

    @property
    def searchable(self) -> bool:
        return len(self.examples) > SEARCHABLE

    @property
    def _rows(self) -> list[Row]:
        return [row for example in self.examples for row in example.rows]

    @cached_property
    def index_rows(self) -> list[IndexRow]:
        return [example.index_row for example in self.examples]

    @cached_property
    def labels(self) -> list[str]:
        return sorted({example.first.prediction for example in self.examples})

    @cached_property
    def judged(self) -> bool:
        """Is the right answer of any example known?"""
        return any(row.correct is not None for row in self.index_rows)

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
            terms[wording.method_name(item)] = (METHOD_COMPLETE if item.complete else METHOD).format(self.part)
        if any(SPECIAL in item.segment for item in self.items):
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
    merged = [item.words() for item in items]
    legends = shared_legends((*items, *merged))
    inputs: dict[object, list[int]] = {}
    for n, item in enumerate(items):
        inputs.setdefault(input_key(item), []).append(n)
    texts = [[items[n] for n in same] for same in inputs.values()]
    differing = {
        name: tuple(dict.fromkeys(read(item) for same in texts for item in same))
        for name, read in DIFFERENCES.items()
        if any(len({read(item) for item in same}) > 1 for same in texts)
    }
    examples = tuple(
        Example(
            number,
            tuple(
                Row(
                    name,
                    items[n],
                    merged[n],
                    legends[scale_key(items[n])].peak,
                    tuple((name, DIFFERENCES[name](items[n])) for name in differing),
                )
                for name, n in zip(names_of([items[n] for n in same]), same, strict=True)
            ),
        )
        for number, same in enumerate(inputs.values(), start=1)
    )
    return View(items, examples, tuple(legends.values()), tuple(differing.items()))


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
    names = [name or wording.method_name(item) for name, item in zip(names, items, strict=True)]
    return [name if names.count(name) == 1 else f"{name} ({n})" for n, name in enumerate(names, start=1)]
