"""A diagnosis in a terminal: the verdict, what is wrong and how to mend it, then what is fine, then the methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.columns import Columns
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xai_nlp.core.diagnosis import Check, Diagnosis, Level
from xai_nlp.viz.terminal.ansi import INK, SOFT, harmless
from xai_nlp.viz.text.diagnosis_lines import about, duration, not_checked, reason_lines, sorted_checks, working
from xai_nlp.viz.text.scale import DARK, hexadecimal

NARROW = 64  # columns: below it, the sentence of a check stands under its name
MARKS: dict[Level, tuple[str, str]] = {  # the sign of a level, and its colour
    "error": ("✗", hexadecimal(DARK.positive_line)),
    "warning": ("!", hexadecimal(DARK.end)),
    "ok": ("✓", hexadecimal(DARK.accent)),
}


def render_diagnosis(diagnosis: Diagnosis) -> RenderableType:
    """The diagnosis for rich, on a panel of its own."""
    return Padding(Group(*_lines(diagnosis)), (1, 2), style=INK)


def _lines(diagnosis: Diagnosis) -> Iterator[RenderableType]:
    mark, colour = MARKS["ok" if diagnosis.healthy else "error"]
    yield Text.assemble((f"{mark} ", f"bold {colour}"), (harmless(diagnosis.sentence), "bold"))
    yield Text(harmless(" · ".join(about(diagnosis))), style=SOFT)
    names = max((len(check.name) for check in diagnosis), default=0)
    for checks in sorted_checks(diagnosis):
        yield Text()
        yield CheckLines(checks, names)
    if diagnosis.omitted:
        yield Text(f"\n{not_checked(diagnosis)}", style=SOFT)
    if times := _times(diagnosis):
        yield Text("\nTime of each method on the example", style="bold")
        yield Columns(times, padding=(0, 2), column_first=True)
    for line in reason_lines(diagnosis):
        yield Text(f"\n{harmless(line)}", style=SOFT)


@dataclass(frozen=True)
class CheckLines:
    """Checks of a diagnosis: mark, name in so many letters, and sentence; what is wrong has its fix below."""

    checks: Sequence[Check]
    names: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield Group(*map(_stacked, self.checks)) if options.max_width < NARROW else self._table()

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column()
        table.add_column(width=self.names)
        table.add_column(ratio=1, overflow="fold")
        for number, check in enumerate(self.checks):
            if number and check.fix:
                table.add_row()
            table.add_row(*_cells(check))
        return table


def _cells(check: Check) -> tuple[Text, Text, Text]:
    """Mark, name, and sentence with its fix."""
    mark, colour = MARKS[check.level]
    fix = ("\n", ("Fix: ", f"bold {colour}"), harmless(check.fix)) if check.fix else ()
    name = Text(check.name, style="bold" if check.fix else SOFT)
    return Text(mark, style=f"bold {colour}"), name, Text.assemble(harmless(check.sentence), *fix)


def _stacked(check: Check) -> RenderableType:
    """The sentence under the name, for narrow terminals."""
    mark, name, sentence = _cells(check)
    return Group(Text.assemble(mark, " ", name), Padding(sentence, (0, 0, int(bool(check.fix)), 2)))


def _times(diagnosis: Diagnosis) -> list[Text]:
    """The methods that work, and how long each took, in strings of one length."""
    methods = working(diagnosis)
    width = max((len(one.method) for one in methods), default=0)
    return [Text.assemble((f"{one.method:<{width}} ", SOFT), f"{duration(one.seconds):>6}") for one in methods]
