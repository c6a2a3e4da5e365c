"""Explanations in a terminal: coloured text through rich, with the numbers beside it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xai_nlp.core.result import Explanation
from xai_nlp.viz.digits import signed, unsigned
from xai_nlp.viz.pieces import apart, pieces, strongest
from xai_nlp.viz.scale import DARK, LIGHT, hexadecimal, peak
from xai_nlp.viz.wording import (
    NO_PROMISE,
    explained_fact,
    headline,
    method_name,
    output_text,
    segment_names,
    unexplained,
)

TOP = 5
WIDTH = 80

# What a terminal might obey: control characters except newline and tab, and the marks that reorder text.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def tokens_ansi(explanation: Explanation, *, colour: bool = True, width: int = WIDTH) -> str:
    """The explanation as text for a terminal, 24-bit colours in it unless `colour` is False.

    Depends on its arguments only. To print, and have NO_COLOR and the terminal's abilities respected, give `render` to
    a rich console.
    """
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colour, color_system="truecolor" if colour else None,
        no_color=not colour, legacy_windows=False, highlight=False, markup=False, emoji=False, _environ={},
    )  # fmt: skip
    with console.capture() as capture:
        console.print(render(explanation))
    return capture.get()


def render(explanation: Explanation) -> RenderableType:
    """What rich prints: question, text in colour, legend, what is left unexplained, strongest words."""
    return Group(*_lines(explanation.words()))


def harmless(text: str) -> str:
    """The text with what a terminal would obey made visible: ESC becomes ␛.

    >>> harmless("a\\x1b[31mb")
    'a␛[31mb'
    """
    return _CONTROL.sub(_picture, text)


def _picture(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else "\ufffd"


def _lines(words: Explanation) -> Iterator[RenderableType]:
    yield Text(harmless(headline(words)), style="bold")
    yield Text(harmless(_summary(words)), style="dim")
    yield Text()
    for segment, name in enumerate(segment_names(words)):
        if name:
            yield Text(name, style="dim")
        yield _coloured(words, segment)
    if apart(words):
        yield _specials(words)
    yield Text()
    yield _legend(words)
    yield _trust(words)
    if strongest(words):
        yield Text()
        yield Padding(_top_words(words), (0, 0))


def _summary(words: Explanation) -> str:
    parts = [method_name(words), f"target {words.target}", f"baseline {words.baseline}"]
    if words.outputs:
        parts.insert(0, f"{words.prediction} {output_text(words, words.prediction)}")
    if words.model:
        parts.insert(1, words.model)
    return " · ".join(parts)


def _style(score: float, largest: float) -> str:
    """Light colours with dark ink, whatever the terminal's own: the scale's contrast holds on both backgrounds."""
    if score == 0:
        return ""
    return f"{hexadecimal(LIGHT.ink)} on {hexadecimal(LIGHT.colour(score, largest))}"


def _coloured(words: Explanation, segment: int) -> Text:
    largest, text = peak(words.scores), Text()
    for piece in pieces(words, segment):
        text.append(harmless(piece.text), style=_style(piece.score, largest) if piece.members else "")
    return text


def _specials(words: Explanation) -> Text:
    largest, text = peak(words.scores), Text("added by the tokenizer:", style="dim")
    for i in apart(words):
        text.append(" ")
        text.append(harmless(words.tokens[i]), style=_style(words.scores[i], largest))
        text.append(f" {signed(words.scores[i], largest or None)}")
    return text


def _legend(words: Explanation) -> Text:
    largest = peak(words.scores)
    if not largest:
        return Text("every score is 0: nothing counts for or against", style="dim")
    text = Text()
    text.append(f" −{unsigned(largest)} against ", style=_style(-1, 1))
    text.append("  0  ")
    text.append(f" +{unsigned(largest)} for ", style=_style(1, 1))
    return text.append(f" {words.unit or 'no unit'}, per word", style="dim")


def _trust(words: Explanation) -> Text:
    fact = explained_fact(words)
    line = f"{fact.label} {fact.value}"
    left = unexplained(words)
    return Text(harmless(f"{line} · {left.label} {left.value}" if left else f"{line} · {NO_PROMISE}"))


def _top_words(words: Explanation) -> Table:
    largest = peak(words.scores)
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column(overflow="ellipsis", no_wrap=True)
    for i in strongest(words, TOP):
        score = words.scores[i]
        number = Text(signed(score, largest), style=hexadecimal((DARK if score else LIGHT).line(score)))
        table.add_row(number, Text(harmless(words.tokens[i].replace("\n", "␊"))))
    return table
