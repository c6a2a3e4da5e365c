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
    Table,
    balance_table,
    layers_table,
    parts_table,
    region_column,
    score_tables,
    token_column,
)
from xai_nlp.viz.text.index_rows import IndexRow, index_row
from xai_nlp.viz.text.number_format import count, with_unit
from xai_nlp.viz.text.text_marks import Legend, MarkedText, marked_text, scale_key, shared_legends
from xai_nlp.viz.text.wording import (
    TERMS,
    Fact,
    Sentence,
    baseline_name,
    clause,
    explained_fact,
    explained_labels,
    gives_probabilities,
    headline,
    integer_parameter,
    method_name,
    output_text,
    plain,
    sentence,
    target_text,
    unexplained,
)

TOP = 10  # words in “strongest words”
METHOD_COMPLETE = "the method that shares out the change of the model’s output among the words"
METHOD = "the method that gives each word its score; scores need not add up"
LABELS = 8  # outputs that are listed
SEARCHABLE = 5  # with more examples than this, a page gets a table of them, a search and filters

#: Name → how explanations of one input can differ.
DIFFERENCES: dict[str, Callable[[Explanation], str]] = {
    "method": method_name,
    "target": target_text,
    "model": lambda item: item.model,
    "baseline": lambda item: f"baseline {item.baseline}",
    "seed": lambda item: f"seed {item.seed}",
}
#: Name → settings in the last line of a card.
SETTINGS: dict[str, Callable[[Explanation], str]] = {
    "method": method_name,
    "model": lambda item: item.model,
    "compared with": baseline_name,
    "layer": lambda item: str(item.params.get("layer") or ""),
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
    def kind(self) -> str:
        """ "start" or "end" of an answer, which have colours of their own; "" for all else."""
        kind = self.item.target.kind
        return kind if kind in ("start", "end") else ""

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
    def clause(self) -> Sentence:
        return clause(self.merged)

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

    @cached_property
    def unexplained(self) -> Fact | None:
        return unexplained(self.item)


@dataclass(frozen=True)
class Output:
    """A label and the model's output for it."""

    label: str
    text: str
    hundredths: int | None  # None for a raw number, which has no bar
    explained: bool


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
        return index_row(self.number, [row.item for row in self.rows], [row.merged for row in self.rows])

    @cached_property
    def sentence(self) -> Sentence:
        return sentence([row.merged for row in self.rows])

    @cached_property
    def settings(self) -> list[tuple[str, str]]:
        """Settings that all explanations have in common."""
        values = {name: {read(row.item) for row in self.rows} for name, read in SETTINGS.items()}
        return [(name, same.pop()) for name, same in values.items() if len(same) == 1 and same != {""}]

    @cached_property
    def facts(self) -> list[Fact]:
        """Exact numbers behind the example, for its details."""
        item, facts = self.first, [Fact(plain(self.first.task), "task")]
        if not item.task:
            return [Fact(str(len(item.tokens)), "tokens")]
        facts += [Fact(target_text(row.item), "target") for row in self.rows[:1] if len(self.rows) == 1]
        if len(self.rows) == 1:
            facts.append(explained_fact(item))
            facts += [fact for fact in [unexplained(item)] if fact]
            names = {"steps_used": "steps along the path", "windows": "windows, because the text is long"}
            numbers = ((integer_parameter(item, name), label) for name, label in names.items())
            facts += [Fact(str(number), label) for number, label in numbers if number]
        special = item.segment.count(SPECIAL)
        tokens = f"tokens, {special} of them special" if special else "tokens"
        return [*facts, Fact(str(len(item.tokens)), tokens)]

    @cached_property
    def strongest(self) -> tuple[Table, ...]:
        return score_tables((token_column(r.merged, r.name, r.shared) for r in self.rows if r.item.tokens), TOP)

    @cached_property
    def regions(self) -> tuple[Table, ...]:
        return score_tables((region_column(r.item, r.name, r.shared) for r in self.rows), TOP)

    @cached_property
    def numbers(self) -> tuple[Table, ...]:
        return score_tables(token_column(r.item, r.name, r.shared) for r in self.rows if r.item.tokens)

    @cached_property
    def region_numbers(self) -> tuple[Table, ...]:
        return score_tables(region_column(r.item, r.name, r.shared) for r in self.rows)

    @cached_property
    def balance(self) -> Table | None:
        return balance_table(self.rows[0].merged) if len(self.rows) == 1 else None

    @cached_property
    def outputs(self) -> list[Output]:
        """The largest outputs, and those that are explained."""
        item, explained = self.first, explained_labels(self.first)
        ranked = sorted(item.outputs, key=lambda label: -item.outputs[label])
        return [
            Output(
                label=label or "no answer",
                text=output_text(item, label),
                hundredths=round(100 * item.outputs[label]) if gives_probabilities(item) else None,
                explained=label in explained,
            )
            for place, label in enumerate(ranked)
            if place < LABELS or label in explained
        ]


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
        questions = {headline(item) for item in self.items}
        if len(self.examples) == 1 and len(questions) == 1:
            return questions.pop()
        return f"{count(len(self.examples), self.noun)} explained" if self.examples else "Nothing explained yet"

    @cached_property
    def noun(self) -> str:
        """The word for an example: “text”, “question” about an image, or “example” of any kind."""
        asked = {"visual-question-answering", "text-generation"}
        nouns = {"text" if not i.image else "question" if i.task in asked else "example" for i in self.items}
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
            terms[method_name(item)] = METHOD_COMPLETE if item.complete else METHOD
        if any(SPECIAL in item.segment for item in self.items):
            terms["tokenizer"] = TERMS["tokenizer"]
        return terms | {item.unit: TERMS[item.unit] for item in self.items[:1] if item.unit in TERMS}

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
    names = [name or method_name(item) for name, item in zip(names, items, strict=True)]
    return [name if names.count(name) == 1 else f"{name} ({n})" for n, name in enumerate(names, start=1)]
