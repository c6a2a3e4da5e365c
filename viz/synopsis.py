"""The summary of a report in words and tables: what `summary` works out, as a reader wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from xai_nlp.core.result import Explanation
from xai_nlp.viz.digits import percent, signed
from xai_nlp.viz.maps import brief
from xai_nlp.viz.scale import peak
from xai_nlp.viz.summary import (
    Confusion,
    Effect,
    Estimate,
    confusion,
    head_sizes,
    modality_shares,
    proportion,
    word_effects,
)
from xai_nlp.viz.tables import Cell, Line, Table, cell
from xai_nlp.viz.view import names_of
from xai_nlp.viz.wording import Fact, plain, unexplained

WORDS = 12  # of each label


@dataclass(frozen=True)
class WordLine:
    """A word, what it brought on average, and how sure that is."""

    word: str
    everywhere: Cell  # over all examples of the label
    count: int  # examples that have it
    present: str  # mean in those
    interval: str


@dataclass(frozen=True)
class WordTable:
    """The words of one label."""

    label: str
    name: str  # which explanations, where there are several kinds
    unit: str
    examples: int
    lines: tuple[WordLine, ...]
    both: bool  # do both signs occur?


@dataclass(frozen=True)
class Modality:
    """How much of what was scored lay in the text, or in the image."""

    name: str
    share: str
    interval: str
    hundredths: int


@dataclass(frozen=True)
class Heads:
    """How much each head carried."""

    title: str
    table: Table


@dataclass(frozen=True)
class Synopsis:
    """The summary of a report."""

    facts: tuple[Fact, ...]
    confusions: tuple[tuple[str, Confusion, int], ...]  # model, counts, the largest of them
    words: tuple[WordTable, ...]
    modalities: tuple[tuple[str, tuple[Modality, ...]], ...]  # which explanations, where there are several kinds
    heads: tuple[Heads, ...]


def synopsis(items: Sequence[Explanation], firsts: Sequence[int]) -> Synopsis:
    """What explanations say together. firsts: the first explanation of each example."""
    models = list(dict.fromkeys(item.model for item in items))
    judged = {model: _judged(items, model) for model in models}
    facts = [Fact(f"{len(firsts):,}", "example" if len(firsts) == 1 else "examples")]
    for model, known in judged.items():
        if known:
            right = proportion(sum(bool(item.correct) for item in known), len(known))
            whose = f" of {model}" if len(models) > 1 else ""
            facts.append(Fact(percent(right.mean), f"right{whose}: {_range(right, percent)} of {right.count:,} judged"))
    facts += _left(items)
    tables = []
    for model, known in judged.items():
        found = confusion(map(_right_and_predicted, known)) if _labels(items) else None
        if found:
            tables.append((model if len(models) > 1 else "", found, max(map(max, found.counts))))
    return Synopsis(
        facts=tuple(facts),
        confusions=tuple(tables),
        words=tuple(_words(items)),
        modalities=tuple(_modalities(items)),
        heads=tuple(_heads(items)),
    )


def _labels(items: Sequence[Explanation]) -> bool:
    """Does the model choose among labels, so that it can take one for another?"""
    return items[0].task == "text-classification"


def _judged(items: Sequence[Explanation], model: str) -> list[Explanation]:
    """One explanation for each example of the model whose right label is known, however many the example has."""
    found: dict[object, Explanation] = {}
    for item in items:
        if item.gold and item.model == model:
            found.setdefault((item.segments, item.image and item.image.data), item)
    return list(found.values())


def _right_and_predicted(item: Explanation) -> tuple[str, str]:
    return item.prediction if item.correct else item.gold[0], item.prediction


def _left(items: Sequence[Explanation]) -> list[Fact]:
    left = [fact for item in items if (fact := unexplained(item))]
    good = sum(fact.mood == "good" for fact in left)
    if not left:
        return []
    mood = "good" if good == len(left) else "fair" if good >= 0.9 * len(left) else "poor"
    return [Fact(f"{good:,} of {len(left):,}", "explanations leave at most 1 % unexplained", mood)]


def _ways(items: Sequence[Explanation]) -> list[tuple[str, list[Explanation]]]:
    """Explanations apart for each way of explaining, with its name if there are several.

    Means over two methods would say nothing, and an example explained twice is no two observations.
    """
    ways: dict[tuple[str, ...], list[Explanation]] = {}
    for item in items:
        ways.setdefault((item.model, item.method, item.baseline, item.unit), []).append(item)
    names = names_of([same[0] for same in ways.values()]) if len(ways) > 1 else [""]
    return list(zip(names, ways.values(), strict=True))


def _modalities(items: Sequence[Explanation]) -> Iterator[tuple[str, tuple[Modality, ...]]]:
    for name, same in _ways(items):
        shares = modality_shares(same).items()
        if shares:
            yield (
                name,
                tuple(
                    Modality(of, percent(share.mean), _range(share, percent), round(100 * share.mean))
                    for of, share in shares
                ),
            )


def _words(items: Sequence[Explanation]) -> list[WordTable]:
    """The words of each label."""
    tables = []
    for name, same in _ways(items):
        for label, found in word_effects(same).items():
            shown = found.effects[:WORDS]
            largest = peak(effect.everywhere for effect in shown)
            lines = tuple(_word(effect, largest) for effect in shown)
            both = {"p", "n"} <= {line.everywhere.kind for line in lines}
            tables.append(WordTable(label, name, same[0].unit, found.examples, lines, both))
    return tables


def _word(effect: Effect, largest: float) -> WordLine:
    spread = peak((effect.present.mean, *(effect.present.interval or ())))

    def shown(number: float) -> str:
        return signed(number, spread or None)

    return WordLine(
        word=effect.word,
        everywhere=cell(effect.everywhere, largest, largest),
        count=effect.present.count,
        present=shown(effect.present.mean),
        interval=_range(effect.present, shown),
    )


def _range(estimate: Estimate, shown: Callable[[float], str]) -> str:
    if estimate.interval is None:
        return "one observation"
    low, high = estimate.interval
    return f"{shown(low)} to {shown(high)}"


def _heads(items: Sequence[Explanation]) -> list[Heads]:
    found = []
    for (stack, method, layers), sizes in head_sizes(items).items():
        largest = peak(sizes.flat)
        lines = tuple(
            Line(name, "", tuple(Cell(brief(n, largest), *_strength(n, largest)) for n in row))
            for name, row in zip(layers, sizes.tolist(), strict=True)
        )
        heads = tuple(f"head {h}" for h in range(sizes.shape[1])) if sizes.shape[1] > 1 else ("all heads",)
        title = plain(method) if stack == "self" else f"{stack}, {plain(method)}"
        found.append(Heads(title, Table(heads, lines)))
    return found


def _strength(number: float, largest: float) -> tuple[str, int, int]:
    drawn = cell(number, largest, largest)
    return drawn.kind, drawn.own, drawn.shared
