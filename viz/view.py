"""Everything a page says, as plain values for the templates: which explanation stands where, under which name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.viz.digits import count, signed, with_unit
from xai_nlp.viz.pieces import strongest
from xai_nlp.viz.scale import peak, step
from xai_nlp.viz.strips import Legend, Strip, scale_key, shared_legends, shared_peaks, strip
from xai_nlp.viz.wording import (
    NO_PROMISE,
    Fact,
    are_probabilities,
    contrast_of,
    explained_fact,
    method_name,
    output_text,
    plain,
    question,
    steps_used,
    unexplained,
)

TOP = 10  # words in “strongest words”
LABELS = 8  # outputs shown with a bar

#: What may differ between explanations of one text, and how it reads.
DIFFERENCES: dict[str, Callable[[Explanation], str]] = {
    "method": method_name,
    "target": lambda item: item.target,
    "model": lambda item: item.model,
    "baseline": lambda item: f"baseline {item.baseline}",
    "seed": lambda item: f"seed {item.seed}",
}


@dataclass(frozen=True)
class Cell:
    """A number in a table or beside a bar, with its sign and strength."""

    number: str
    kind: str = "z"
    own: int = 0
    shared: int = 0


@dataclass(frozen=True)
class Line:
    """A line of a table: what it is about, and a number for each explanation."""

    name: str
    place: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Numbers of explanations that cut the text alike."""

    heads: tuple[str, ...]
    lines: tuple[Line, ...]
    signs: str = ""  # "pn" if both signs occur: bars then grow from the middle


@dataclass(frozen=True)
class Output:
    """A label and what the model gave it."""

    label: str
    text: str
    hundredths: int | None  # None for a raw number: no bar
    asked: bool  # part of the target


@dataclass(frozen=True)
class Row:
    """One explanation of a text."""

    name: str
    words: Strip
    tokens: Strip | None  # None where the tokens are the words
    explained: Fact
    unexplained: Fact | None
    steps: int | None


@dataclass(frozen=True)
class Group:
    """All explanations of one text."""

    question: tuple[str, str, str]
    facts: tuple[Fact, ...]
    rows: tuple[Row, ...]
    strongest: tuple[Table, ...]
    numbers: tuple[Table, ...]
    outputs: tuple[Output, ...]
    unlisted: int  # labels left out of `outputs`
    prediction: str
    top: float  # the largest |score|, to sort by
    search: str


@dataclass(frozen=True)
class View:
    """A page or a fragment."""

    question: tuple[str, str, str]
    meta: tuple[tuple[str, str], ...]
    facts: tuple[Fact, ...]
    groups: tuple[Group, ...]
    legends: tuple[tuple[str, tuple[Legend, ...]], ...]  # (“words” or “tokens”, the shared legends)
    two_views: bool
    several: bool  # more than one explanation: there is a scale to share
    footer: tuple[str, ...]
    labels: tuple[str, ...]  # predictions, to filter by
    no_promise: str  # said of the whole page; "" where residuals are shown


def view(explanations: Sequence[Explanation]) -> View:
    """What a page of these explanations says. Texts keep the order in which they first came."""
    items = list(explanations)
    words = {id(item): item.words() for item in items}
    texts: dict[tuple[str, ...], list[Explanation]] = {}
    for item in items:
        texts.setdefault(item.segments, []).append(item)
    whole = [words[id(item)] for item in items]
    peaks = (shared_peaks(whole), shared_peaks(items))
    groups = tuple(_group(same, [words[id(item)] for item in same], *peaks) for same in texts.values())
    two_views = any(row.tokens for group in groups for row in group.rows)
    legends = (("words", shared_legends(whole)), ("tokens", shared_legends(items)))
    return View(
        question=_page_question(items, groups),
        meta=tuple(_meta(items)),
        facts=tuple(_page_facts(items, groups)),
        groups=groups,
        legends=legends if two_views else legends[:1],
        two_views=two_views,
        several=len(items) > 1,
        footer=tuple(_footer(items)),
        labels=tuple(sorted({group.prediction for group in groups})),
        no_promise="" if any(item.complete for item in items) else NO_PROMISE.capitalize() + ".",
    )


def _group(
    items: Sequence[Explanation],
    words: Sequence[Explanation],
    word_peaks: dict[str, float],
    token_peaks: dict[str, float],
) -> Group:
    first = items[0]
    names = _names(items)
    rows = tuple(
        Row(
            name=name,
            words=strip(merged, word_peaks),
            tokens=strip(item, token_peaks) if merged.offsets != item.offsets else None,
            explained=explained_fact(item),
            unexplained=unexplained(item),
            steps=steps_used(item),
        )
        for name, item, merged in zip(names, items, words, strict=True)
    )
    ranked = sorted(first.outputs, key=lambda label: -first.outputs[label])
    return Group(
        question=question(first),
        facts=tuple(_facts(items)),
        rows=rows,
        strongest=_tables(names, words, word_peaks, top=TOP),
        numbers=_tables(names, items, token_peaks),
        outputs=tuple(_output(first, label) for label in ranked[:LABELS]),
        unlisted=max(0, len(ranked) - LABELS),
        prediction=first.prediction if first.outputs else "",
        top=max(peak(item.scores) for item in items),
        search=" ".join(first.segments).lower(),
    )


def _names(items: Sequence[Explanation]) -> list[str]:
    """A name for each that says in what it differs from the others; its method if in nothing."""
    differs = [read for read in DIFFERENCES.values() if len({read(item) for item in items}) > 1]
    names = [" · ".join(read(item) for read in differs) or method_name(item) for item in items]
    return [name if names.count(name) == 1 else f"{name} ({n})" for n, name in enumerate(names, start=1)]


def _tables(
    names: Sequence[str], items: Sequence[Explanation], peaks: dict[str, float], top: int | None = None
) -> tuple[Table, ...]:
    """One table for all that cut the text alike; with `top`, only the lines that are strongest in one of them."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for n, item in enumerate(items):
        alike.setdefault((item.offsets, item.segment), []).append(n)
    return tuple(_table([names[n] for n in same], [items[n] for n in same], peaks, top) for same in alike.values())


def _table(names: Sequence[str], items: Sequence[Explanation], peaks: dict[str, float], top: int | None) -> Table:
    own = [peak(item.scores) for item in items]
    shown: Sequence[int] = range(len(items[0].tokens))
    if top is not None:
        strengths = {
            i: max(abs(item.scores[i]) / (largest or 1) for item, largest in zip(items, own, strict=True))
            for item in items
            for i in strongest(item, top)
        }
        shown = sorted(strengths, key=lambda i: (-strengths[i], i))[:top]
    lines = tuple(
        Line(
            items[0].tokens[i],
            _place(items[0], i),
            tuple(
                _cell(item.scores[i], largest, peaks[scale_key(item)]) for item, largest in zip(items, own, strict=True)
            ),
        )
        for i in shown
    )
    signs = "".join(kind for kind in "pn" if any(cell.kind == kind for line in lines for cell in line.cells))
    heads = tuple(f"{name}, {item.unit}" if item.unit else name for name, item in zip(names, items, strict=True))
    return Table(heads, lines, signs)


def _cell(score: float, own: float, shared: float) -> Cell:
    kind = "n" if score < 0 else "p" if score > 0 else "z"
    return Cell(signed(score, own or None), kind, step(score, own), step(score, shared))


def _place(item: Explanation, token: int) -> str:
    if item.segment[token] == SPECIAL:
        return "special"
    start, end = item.offsets[token]
    text = f"text {item.segment[token] + 1}, " if len(item.segments) > 1 else ""
    return f"{text}{start}–{end}"


def _output(item: Explanation, label: str) -> Output:
    asked = label in (contrast_of(item) or (item.target,))
    hundredths = round(100 * item.outputs[label]) if are_probabilities(item.outputs) else None
    return Output(label, output_text(item, label), hundredths, asked)


def _facts(items: Sequence[Explanation]) -> list[Fact]:
    """The facts of one text: what the model said, how much was explained, what was left over."""
    first = items[0]
    facts = []
    if first.outputs:
        name = "probability" if are_probabilities(first.outputs) else "output"
        facts.append(Fact(output_text(first, first.prediction), f"{name} of {first.prediction}"))
    if len(items) == 1:
        facts.append(explained_fact(first))
        if left := unexplained(first):
            facts.append(left)
        if steps := steps_used(first):
            facts.append(Fact(str(steps), "steps used"))
    else:
        facts.append(Fact(str(len(items)), "explanations of this text"))
    special = first.segment.count(SPECIAL)
    facts.append(Fact(str(len(first.tokens)), f"tokens, {special} of them special" if special else "tokens"))
    return facts


def _page_facts(items: Sequence[Explanation], groups: Sequence[Group]) -> list[Fact]:
    if len(groups) == 1:
        return list(groups[0].facts)
    facts = [Fact(str(len(groups)), "texts"), Fact(str(len(items)), "explanations")]
    left = [fact for item in items if (fact := unexplained(item))]
    if left:
        good = sum(fact.mood == "good" for fact in left)
        mood = "good" if good == len(left) else "fair" if good >= 0.9 * len(left) else "poor"
        facts.append(Fact(f"{good} of {len(left)}", "leave at most 1 % unexplained", mood))
    return facts


def _page_question(items: Sequence[Explanation], groups: Sequence[Group]) -> tuple[str, str, str]:
    questions = {question(item) for item in items}
    if len(groups) == 1 and len(questions) == 1:
        return questions.pop()
    if len(groups) == 1:
        return "One text, ", count(len(items), "explanation"), ""
    return "", count(len(groups), "text") if groups else "", " explained" if groups else ""


def _meta(items: Sequence[Explanation]) -> list[tuple[str, str]]:
    """What all have in common; of what differs, only how many there are."""
    readings: list[tuple[str, Callable[[Explanation], str]]] = [
        ("task", lambda item: plain(item.task)),
        ("model", lambda item: item.model),
        ("method", method_name),
        ("target", lambda item: item.target),
        ("baseline", lambda item: item.baseline),
    ]
    meta = []
    for name, read in readings:
        values = list(dict.fromkeys(read(item) for item in items))
        if len(values) == 1 and values[0]:
            meta.append((name, values[0]))
        elif len(values) > 1:
            meta.append((name + "s", str(len(values))))
    return meta


def _footer(items: Sequence[Explanation]) -> list[str]:
    versions = dict.fromkeys(f"{name} {number}" for item in items for name, number in item.versions.items())
    seeds = sorted({item.seed for item in items})
    return [*versions, with_unit("seed" if len(seeds) == 1 else "seeds", ", ".join(map(str, seeds)))]
