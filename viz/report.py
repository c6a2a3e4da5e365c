"""Many explanations as one report: what they are of, what they say together, then each of them.

A page of explanations shows each in every view; here an example is as light as can be (a stretch of text, its strength,
its number), so that hundreds fit into a file that can be sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.digits import MINUS, signed, with_unit
from xai_nlp.viz.entries import Entry, entry
from xai_nlp.viz.html import sealed, written
from xai_nlp.viz.image import Seen, seen
from xai_nlp.viz.pieces import all_scores, strongest
from xai_nlp.viz.scale import peak
from xai_nlp.viz.strips import Legend, Mark, scale_key, shared_legends, shared_peaks, strip
from xai_nlp.viz.synopsis import Synopsis, synopsis
from xai_nlp.viz.view import names_of
from xai_nlp.viz.wording import Fact, method_name, plain, shortened, unexplained

TOLD = 5  # strongest words named under an example
#: Entries of `params` that say how a run went, not how it was set up.
FOUND = ("names", "steps_used", "windows", "answer_score", "no_answer_score")


@dataclass(frozen=True)
class Shown:
    """One explanation in a report."""

    name: str
    paragraphs: tuple[tuple[str, tuple[Mark, ...], str], ...]  # what the text is called, its marks, their numbers
    unit: str
    peaks: str  # the largest |score|, its own and that of all with its unit
    seen: Seen | None
    strongest: tuple[tuple[str, str, str], ...]  # word, number, kind
    unexplained: Fact | None


@dataclass(frozen=True)
class Example:
    """All explanations of one input."""

    entry: Entry
    rows: tuple[Shown, ...]


@dataclass(frozen=True)
class Report:
    """Everything that a report says."""

    title: str
    cover: tuple[tuple[str, tuple[str, ...]], ...]  # (“model”, its values)
    synopsis: Synopsis
    examples: tuple[Example, ...]
    legends: tuple[Legend, ...]
    labels: tuple[str, ...]
    judged: bool  # is it known of any example what is right?


def report(
    explanations: Sequence[Explanation],
    *,
    title: str = "",
    data: str = "",
    date: str = "",
) -> str:
    """A report as one HTML file under a strict content policy: same input, same bytes.

    data: what was explained, in a few words.
    Raises InvalidInput for no explanations, or explanations of several tasks.
    """
    items = list(explanations)
    tasks = sorted({item.task for item in items})
    if len(tasks) != 1:
        raise InvalidInput(
            f"a report is about explanations of one task; got {' and '.join(map(plain, tasks)) or 'none'}. "
            "Write one for each."
        )
    told = _report(items, title, data, date)
    return written("report.html", report=told, level=1, **sealed("report.css"))


def _report(items: list[Explanation], title: str, data: str, date: str) -> Report:
    words = [item.words() for item in items]
    peaks = shared_peaks(words, [peak(all_scores(merged)) for merged in words])
    inputs: dict[object, list[int]] = {}
    for n, item in enumerate(items):
        inputs.setdefault((item.segments, item.image and item.image.data), []).append(n)
    examples = tuple(
        _example(number, [items[n] for n in same], [words[n] for n in same], peaks)
        for number, same in enumerate(inputs.values(), start=1)
    )
    about = plain(items[0].task)
    return Report(
        title=title or f"{about[0].upper()}{about[1:]}: {len(examples)} explained",
        cover=tuple(_cover(items, len(examples), data, date)),
        synopsis=synopsis(items, [same[0] for same in inputs.values()]),
        examples=examples,
        legends=shared_legends(words, peaks),
        labels=tuple(sorted({example.entry.prediction for example in examples})),
        judged=any(example.entry.gold for example in examples),
    )


def _example(
    number: int,
    items: Sequence[Explanation],
    words: Sequence[Explanation],
    peaks: Mapping[str, float],
) -> Example:
    return Example(
        entry=entry(number, items, words),
        rows=tuple(
            _shown(name, item, merged, peaks) for name, item, merged in zip(names_of(items), items, words, strict=True)
        ),
    )


def _shown(name: str, item: Explanation, words: Explanation, peaks: Mapping[str, float]) -> Shown:
    own = peak(all_scores(words))
    drawn = strip(words, own, peaks)
    return Shown(
        name=name,
        paragraphs=tuple((title, marks, _numbers(marks)) for title, marks in drawn.paragraphs),
        unit=item.unit,
        peaks=f"{own:.4g} {peaks[scale_key(item)]:.4g}",
        seen=seen(replace(item, attention={}), words, own, peaks[scale_key(item)]),
        strongest=tuple(
            (words.tokens[i], with_unit(signed(words.scores[i], own), item.unit), "n" if words.scores[i] < 0 else "p")
            for i in strongest(words, TOLD)
        ),
        unexplained=unexplained(item),
    )


def _numbers(marks: Sequence[Mark]) -> str:
    """The numbers of the marks in order, as short as they can be: the script hands them out."""
    return " ".join(mark.number.removeprefix("+").replace(MINUS, "-") for mark in marks if mark.kind)


def _cover(items: Sequence[Explanation], examples: int, data: str, date: str) -> list[tuple[str, tuple[str, ...]]]:
    """What was explained, by what and how; only what is known."""
    settings = dict.fromkeys(_setting(item) for item in items)
    versions = dict.fromkeys(f"{name} {number}" for item in items for name, number in item.versions.items())
    seeds = ", ".join(map(str, sorted({item.seed for item in items})))
    rows: list[tuple[str, tuple[str, ...]]] = [
        ("model", tuple(dict.fromkeys(item.model for item in items if item.model))),
        ("data", (data,) if data else ()),
        ("date", (date,) if date else ()),
        ("examples", (f"{examples:,}" + (f" · {len(items):,} explanations" if len(items) > examples else ""),)),
        ("method", tuple(settings)),
        ("versions", (" · ".join(versions),) if versions else ()),
        ("seed", (seeds,)),
    ]
    return [(name, values) for name, values in rows if values]


def _setting(item: Explanation) -> str:
    """A method with its baseline and its options, those found out on the way left out."""
    options = [
        f"{plain(name)} {value}"
        for name, value in item.params.items()
        if name not in FOUND and isinstance(value, (str, int, float)) and not isinstance(value, bool)
    ]
    against = [f"baseline {shortened(item.baseline, 40)}"] if item.baseline != "none" else []
    return " · ".join([method_name(item), *against, *options])
