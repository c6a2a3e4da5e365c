"""A comparison of two models in a terminal: the verdict, the facts, the words, and the examples that changed most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xai_nlp.core.model_diff import ExampleDiff, ModelDiff, WordChange
from xai_nlp.viz.terminal.ansi import INK, SOFT, bars, harmless
from xai_nlp.viz.text import diff_wording
from xai_nlp.viz.text.scale import DARK, hexadecimal, peak

EXAMPLES = 10  # that are listed
WORDS = 5  # of each label, and of an example
LABELS = 4  # whose words are listed


def render_diff(diff: ModelDiff, examples: int = EXAMPLES) -> RenderableType:
    """The comparison for rich. examples: how many are listed, the most changed first."""
    return Padding(Group(*_lines(diff, examples)), (1, 2), style=INK)


def _lines(diff: ModelDiff, examples: int) -> Iterator[RenderableType]:
    yield Text(harmless(diff_wording.verdict(diff)), style="bold")
    yield Text(harmless(f"A: {diff.models[0]}\nB: {diff.models[1]}"), style=SOFT)
    yield Text()
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    for fact in diff_wording.facts(diff):
        table.add_row(Text(fact.value, style="bold"), Text(fact.label))
    yield table
    yield Text("Intervals are of 95 %; those of means by bootstrap over the examples.", style=SOFT)
    changed = [one for one in diff.by_change if one.flipped or one.moved != 0]
    if not changed:
        return
    for label, of_label in list(diff.words().items())[:LABELS]:
        effects = [one for one in of_label.effects[:WORDS] if one.overall]
        if effects:
            yield Text(
                harmless(f"\nwords that moved most, {label}: points of their share in B less in A"), style="bold"
            )
            yield bars([(100 * one.overall, one.word) for one in effects], peak(100 * one.overall for one in effects))
    if examples:
        yield Text(
            f"\nexamples, the most changed first ({min(examples, len(changed)):,} of {len(changed):,})", style="bold"
        )
        for one in changed[:examples]:
            yield Text()
            yield from example_lines(one, words=2)


def example_lines(example: ExampleDiff, *, words: int = WORDS) -> Iterator[RenderableType]:
    """One example: its text, both predictions, the agreement, and the words that changed most."""
    text = " · ".join(" ".join(segment.split()) for segment in example.before.segments)
    yield Text(harmless(f"{example.index}  {text}"), overflow="ellipsis", no_wrap=True)
    style = hexadecimal(DARK.accent) if example.flipped else ""
    yield _inner(Text(harmless(diff_wording.outcome(example)), style=style))
    yield _inner(Text(harmless(" · ".join(diff_wording.agreement_text(example))), style=SOFT))
    if not example.same_target:
        yield from map(_inner, map(Text, map(harmless, diff_wording.strongest_of_both(example, words))))
    if changes := [one for one in example.changes[:words] if abs(one.change) >= diff_wording.LEAST]:
        yield _inner(_change_table(changes))


def _inner(part: RenderableType) -> Padding:
    return Padding(part, (0, 0, 0, 3))


def _change_table(changes: Sequence[WordChange]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(overflow="ellipsis", no_wrap=True, max_width=24)
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True)
    for one in changes:
        line = hexadecimal(DARK.line(one.change))
        shares = [diff_wording.share_text(share) for share in (one.before, one.after)]
        numbers = (Text(f"{shares[0]} →", style=SOFT), Text(shares[1], style=SOFT))
        word = Text(harmless(diff_wording.word_text(one)))
        table.add_row(word, *numbers, Text(diff_wording.points(one.change), style=line))
    return table
