"""Explanations in a terminal: one sentence, the text in colour, the numbers of the strongest words, through rich."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xai_nlp.core.result import Explanation
from xai_nlp.viz.text import trust_wording, wording
from xai_nlp.viz.text.number_format import percent, signed
from xai_nlp.viz.text.scale import DARK, hexadecimal, strength
from xai_nlp.viz.text.text_lines import Run, about, legend_runs, promise, sentence_runs, special_runs, text_runs
from xai_nlp.viz.text.text_marks import own_peaks
from xai_nlp.viz.text.text_spans import strongest, strongest_words

TOP = 5
WIDTH = 80
BAR = 12  # cells of the longest bar
MARKS = {"holds": "●", "holds in part": "◐", "do not rely on it": "▲"}  # of the trust verdict
RAMP = 8  # cells of the legend on each side of zero
INK = f"{hexadecimal(DARK.ink)} on {hexadecimal(DARK.card)}"
SOFT = hexadecimal(DARK.soft)

# Control characters except newline and tab, and the marks that reorder text: a terminal might obey them.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def tokens_ansi(explanation: Explanation, *, colour: bool = True, width: int = WIDTH) -> str:
    """The explanation as text for a terminal, with 24-bit colours unless `colour` is False.

    It depends on its arguments only; print `render` by a rich console to respect NO_COLOR and the terminal.
    """
    return printed(render(explanation), colour=colour, width=width)


def printed(drawing: RenderableType, *, colour: bool = True, width: int = WIDTH) -> str:
    """The text that a console of this width prints."""
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colour, color_system="truecolor" if colour else None,
        legacy_windows=False, highlight=False, _environ={},
    )  # fmt: skip
    with console.capture() as capture:
        console.print(drawing)
    # Without colours the panel is blanks, which would be in the way of a copy.
    return capture.get() if colour else "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def render(explanation: Explanation) -> RenderableType:
    """The explanation for rich: sentence, text in colour, legend, residual, strongest words and regions.

    It stands on a panel of its own, because a terminal does not say whether it is light or dark.
    """
    return Padding(Group(*_lines(explanation.words())), (1, 2), style=INK)


def harmless(text: str) -> str:
    """The text with control characters made visible: ESC becomes ␛.

    >>> harmless("a\\x1b[31mb")
    'a␛[31mb'
    """
    return _CONTROL.sub(_symbol, text)


def _symbol(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else "\ufffd"


def background(score: float, largest: float) -> str:
    """The style of a score's background; "" for 0."""
    return f"on {hexadecimal(DARK.colour(score, largest))}" if score else ""


def _lines(words: Explanation) -> Iterator[RenderableType]:
    largest, image_peak = own_peaks(words)
    yield styled(sentence_runs(words), largest)
    if words.trust:
        yield Text(harmless(f"{MARKS[words.trust.level]} {trust_wording.verdict_sentence(words.trust)}"), style=SOFT)
    for segment, name in enumerate(wording.segment_names(words)):
        yield Text(f"\n{name}" if name else "", style=SOFT)
        yield styled(text_runs(words, segment), largest, bold="bold underline")
    yield Text()
    if specials := special_runs(words):
        yield styled(specials, largest)
    yield styled(legend_runs(words, RAMP), largest or image_peak)
    if words.method:
        yield Text(harmless(" · ".join(promise(words))))
    if names := about(words):
        yield Text(harmless(" · ".join(names)), style=SOFT)
    if order := strongest_words(words, TOP):
        yield Text()
        yield bars([(words.scores[i], words.tokens[i]) for i in order], largest)
    if image := words.image:
        yield Text()
        if words.shares and words.tokens:
            yield Text(f"{percent(words.shares['image'])} of all that counts lies in the image", style="bold")
        yield bars([(image.scores[r], image.names[r]) for r in strongest(image.scores, TOP)], image_peak)


def styled(runs: Iterable[Run], largest: float, bold: str = "bold") -> Text:
    """The runs as one text; bold: the style of those that are bold."""
    text = Text()
    for run in runs:
        colour = "" if run.colour == "ink" else hexadecimal(getattr(DARK, run.colour))  # the panel is in ink
        text.append(harmless(run.text), style=f"{colour} {background(run.score, largest)} {bold * run.bold}")
    return text


def bars(scores: Sequence[tuple[float, str]], largest: float) -> Table:
    """A line for each (score, name): number, bar and name."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column(width=BAR)
    table.add_column(overflow="ellipsis", no_wrap=True)
    for score, name in scores:
        line = hexadecimal(DARK.line(score))
        bar = Text("━" * max(1, round(BAR * strength(score, largest))), style=line)
        table.add_row(Text(signed(score, largest), style=line), bar, Text(harmless(name.replace("\n", "␊"))))
    return table
