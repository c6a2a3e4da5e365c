"""Everything a page says, as plain values for the templates: which explanation stands where, under which name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.viz.digits import count, percent, with_unit
from xai_nlp.viz.entries import Entry, entry
from xai_nlp.viz.image import Seen, region_tables, seen
from xai_nlp.viz.maps import Maps, maps_of, parts_of
from xai_nlp.viz.strips import Legend, Strip, own_peaks, scale_key, shared_legends, shared_peaks, strip
from xai_nlp.viz.tables import Table, balance, tables
from xai_nlp.viz.wording import (
    ANSWERING,
    NO_PROMISE,
    Fact,
    explained_fact,
    gives_probabilities,
    gold_of,
    labels_of,
    layer_of,
    method_name,
    output_text,
    plain,
    question,
    quoted,
    shortened,
    steps_used,
    target_name,
    unexplained,
    windows_used,
)

TOP = 10  # words in “strongest words”
LABELS = 8  # outputs shown with a bar

#: What may differ between explanations of one text, and how it reads.
DIFFERENCES: dict[str, Callable[[Explanation], str]] = {
    "method": method_name,
    "target": lambda item: target_name(item.target),
    "model": lambda item: item.model,
    "baseline": lambda item: f"baseline {item.baseline}",
    "seed": lambda item: f"seed {item.seed}",
}


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
    kind: str  # "start" or "end" of an answer, which have colours of their own
    words: Strip
    tokens: Strip | None  # None where the tokens are the words
    seen: Seen | None  # the image, where there is one
    asked: bool  # a question was asked about it
    maps: Maps | None  # layers and attention, where they were asked for
    parts: tuple[Table, ...]  # word, position and type embeddings apart
    explained: Fact
    unexplained: Fact | None
    steps: int | None
    differs: tuple[tuple[str, str], ...]  # (“method”, its method), where not all on the page have the same


@dataclass(frozen=True)
class Group:
    """All explanations of one text."""

    entry: Entry
    question: tuple[str, str, str]
    facts: tuple[Fact, ...]
    rows: tuple[Row, ...]
    strongest: tuple[Table, ...]
    regions: tuple[Table, ...]  # the strongest of the image
    numbers: tuple[Table, ...]
    region_numbers: tuple[Table, ...]
    balance: Table | None  # where one explanation stands alone and has to add up
    outputs: tuple[Output, ...]
    unlisted: int  # labels left out of `outputs`
    prediction: str
    top: float  # the largest |score|, to sort by


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
    pictured: bool  # there is an image
    footer: tuple[str, ...]
    labels: tuple[str, ...]  # predictions, to filter by
    judged: bool  # is it known of any text what is right?
    differences: tuple[tuple[str, tuple[str, ...]], ...]  # (“method”, all methods), where a text has several
    no_promise: str  # said of the whole page; "" where residuals are shown


def view(explanations: Sequence[Explanation]) -> View:
    """What a page of these explanations says. Texts keep the order in which they first came."""
    items = list(explanations)
    words = {id(item): item.words() for item in items}
    texts: dict[tuple[object, ...], list[Explanation]] = {}
    for item in items:
        texts.setdefault((item.segments, item.image and item.image.data), []).append(item)
    whole = [words[id(item)] for item in items]
    own = [own_peaks(item, merged) for item, merged in zip(items, whole, strict=True)]
    peaks = (
        shared_peaks(whole, [of_words for of_words, _ in own]),
        shared_peaks(items, [of_tokens for _, of_tokens in own]),
    )
    differences = _differences(list(texts.values()))
    groups = tuple(
        _group(number, same, [words[id(item)] for item in same], *peaks, [name for name, _ in differences])
        for number, same in enumerate(texts.values(), start=1)
    )
    two_views = any(row.tokens for group in groups for row in group.rows)
    legends = (("words", shared_legends(whole, peaks[0])), ("tokens", shared_legends(items, peaks[1])))
    return View(
        question=_page_question(items, groups),
        meta=tuple(_meta(items)),
        facts=tuple(_page_facts(items, groups)),
        groups=groups,
        legends=legends if two_views else legends[:1],
        two_views=two_views,
        several=len(items) > 1,
        pictured=any(item.image for item in items),
        footer=tuple(_footer(items)),
        labels=tuple(sorted({group.prediction for group in groups})),
        judged=any(group.entry.gold for group in groups),
        differences=differences,
        no_promise="" if any(item.complete for item in items) else NO_PROMISE.capitalize() + ".",
    )


def _differences(texts: Sequence[Sequence[Explanation]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """In what explanations of one text differ, and all that there is of it on the page."""
    found = []
    for name, read in DIFFERENCES.items():
        if any(len({read(item) for item in same}) > 1 for same in texts):
            found.append((name, tuple(dict.fromkeys(read(item) for same in texts for item in same))))
    return tuple(found)


def _group(
    number: int,
    items: Sequence[Explanation],
    words: Sequence[Explanation],
    word_peaks: dict[str, float],
    token_peaks: dict[str, float],
    differing: Sequence[str],
) -> Group:
    first = items[0]
    names = names_of(items)
    own = [own_peaks(item, merged) for item, merged in zip(items, words, strict=True)]
    of_words, of_tokens = ([pair[n] for pair in own] for n in (0, 1))
    rows = tuple(
        Row(
            name=name,
            kind=item.target.kind if item.target.kind in ("start", "end") else "",
            words=strip(merged, largest, word_peaks, item.word_groups()),
            tokens=strip(item, largest_token, token_peaks) if merged.offsets != item.offsets else None,
            asked=item.task == "visual-question-answering",
            seen=seen(item, merged, largest, word_peaks[scale_key(item)]),
            maps=maps_of(item, merged),
            parts=parts_of(merged, TOP),
            explained=explained_fact(item),
            unexplained=unexplained(item),
            steps=steps_used(item),
            differs=tuple((name, DIFFERENCES[name](item)) for name in differing),
        )
        for name, item, merged, (largest, largest_token) in zip(names, items, words, own, strict=True)
    )
    ranked = sorted(first.outputs, key=lambda label: -first.outputs[label])
    listed = [label for place, label in enumerate(ranked) if place < LABELS or label in labels_of(first.target)]
    return Group(
        entry=entry(number, items, words),
        question=question(first),
        facts=tuple(_facts(items)),
        rows=rows,
        strongest=tables(names, words, of_words, word_peaks, top=TOP) if first.tokens else (),
        regions=region_tables(names, words, of_words, word_peaks, top=TOP),
        numbers=tables(names, items, of_tokens, token_peaks) if first.tokens else (),
        region_numbers=region_tables(names, items, of_tokens, token_peaks),
        balance=balance(words[0]) if len(words) == 1 else None,
        outputs=tuple(_output(first, label) for label in listed),
        unlisted=len(ranked) - len(listed),
        prediction=first.prediction if first.outputs else "",
        top=max(of_tokens),
    )


def names_of(items: Sequence[Explanation]) -> list[str]:
    """A name for each that says in what it differs from the others; its method if in nothing."""
    names = [""] * len(items)
    for read in DIFFERENCES.values():
        told = [f"{name} · {read(item)}".removeprefix(" · ") for name, item in zip(names, items, strict=True)]
        if len(set(names)) < len(set(told)):  # this tells some of them apart that were the same so far
            names = told
    names = [name or method_name(item) for name, item in zip(names, items, strict=True)]
    return [name if names.count(name) == 1 else f"{name} ({n})" for n, name in enumerate(names, start=1)]


def _output(item: Explanation, label: str) -> Output:
    hundredths = round(100 * item.outputs[label]) if gives_probabilities(item) else None
    return Output(label or "no answer", output_text(item, label), hundredths, label in labels_of(item.target))


def _facts(items: Sequence[Explanation]) -> list[Fact]:
    """The facts of one text: what the model said, how much was explained, what was left over."""
    first = items[0]
    facts = []
    if first.image and first.segments and first.outputs and first.task in ANSWERING:
        whose = "the model’s answer" if len(first.outputs) > 1 else "the answer"  # a written one may have been given
        facts.append(Fact(shortened(first.prediction), f"{whose} to {quoted(shortened(first.segments[0]))}"))
    if first.outputs:
        name = "probability" if gives_probabilities(first) else "output"
        told = labels_of(first.target)[0] if first.task.endswith("question-answering") else first.prediction
        if told in first.outputs:
            facts.append(Fact(output_text(first, told), f"{name} of {shortened(told) or 'no answer'}"))
    if gold := gold_of(first):
        facts.append(Fact(shortened(gold), "is right", "good" if first.correct else "poor"))
    if len(items) == 1:
        facts.append(explained_fact(first))
        if left := unexplained(first):
            facts.append(left)
        if steps := steps_used(first):
            facts.append(Fact(str(steps), "steps used"))
        if first.shares:
            facts.append(Fact(percent(first.shares["image"]), "of all that was scored lies in the image"))
        if windows := windows_used(first):
            facts.append(Fact(str(windows), "windows, as the text is longer than the model reads at once"))
    else:
        facts.append(Fact(str(len(items)), f"explanations of this {_thing(first)}"))
    special = first.segment.count(SPECIAL)
    if not first.image:
        facts.append(Fact(str(len(first.tokens)), f"tokens, {special} of them special" if special else "tokens"))
    return facts


def _thing(item: Explanation) -> str:
    """What is explained: an answer about an image, an image, or a text."""
    if item.image is None:
        return "text"
    return "answer" if item.task in ANSWERING else "example"


def _things(items: Sequence[Explanation]) -> str:
    """What each of several is."""
    things = {"question" if item.image and item.task in ANSWERING else _thing(item) for item in items}
    return things.pop() if len(things) == 1 else "example" if things - {"question", "text"} else "text"


def _page_facts(items: Sequence[Explanation], groups: Sequence[Group]) -> list[Fact]:
    if len(groups) == 1:
        return list(groups[0].facts)
    facts = [
        Fact(str(len(groups)), f"{_things(items)}s"),
        Fact(str(len(items)), "explanations"),
    ]
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
    about = _things(items)
    if len(groups) == 1:
        return f"One {about}, ", count(len(items), "explanation"), ""
    return "", count(len(groups), about) if groups else "", " explained" if groups else ""


def _meta(items: Sequence[Explanation]) -> list[tuple[str, str]]:
    """What all have in common; of what differs, only how many there are."""
    readings: list[tuple[str, Callable[[Explanation], str]]] = [
        ("task", lambda item: plain(item.task)),
        ("model", lambda item: item.model),
        ("method", method_name),
        ("target", lambda item: target_name(item.target)),
        ("layer", layer_of),
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
