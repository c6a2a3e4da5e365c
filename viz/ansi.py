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
from xai_nlp.viz.digits import MINUS, percent, signed, unsigned
from xai_nlp.viz.image import strongest_regions
from xai_nlp.viz.pieces import all_scores, apart, in_answer, pieces, strongest
from xai_nlp.viz.scale import DARK, hexadecimal, peak, strength
from xai_nlp.viz.wording import (
    NO_PROMISE,
    explained_fact,
    headline,
    method_name,
    output_text,
    segment_names,
    target_name,
    unexplained,
)

TOP = 5
WIDTH = 80
BAR = 12  # cells of the longest bar
RAMP = 8  # cells of the legend on each side of zero
INK = f"{hexadecimal(DARK.ink)} on {hexadecimal(DARK.card)}"
SOFT = hexadecimal(DARK.soft)

# What a terminal might obey: control characters except newline and tab, and the marks that reorder text.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def tokens_ansi(explanation: Explanation, *, colour: bool = True, width: int = WIDTH) -> str:
    """The explanation as text for a terminal, 24-bit colours in it unless `colour` is False.

    Depends on its arguments only. To print, and have NO_COLOR and the terminal's abilities respected, give `render` to
    a rich console.
    """
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colour, color_system="truecolor" if colour else None,
        legacy_windows=False, highlight=False, _environ={},
    )  # fmt: skip
    with console.capture() as capture:
        console.print(render(explanation))
    # Without colours there is no panel, and its blanks would be in the way of whoever copies the text.
    return capture.get() if colour else "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def render(explanation: Explanation) -> RenderableType:
    """What rich prints: question, text in colour, legend, what is left unexplained, strongest words.

    It stands on a panel of its own. A terminal does not tell whether it is light or dark, and on the wrong one a weak
    colour would look like a strong one.
    """
    return Padding(Group(*_lines(explanation.words())), (1, 2), style=INK)


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
    yield Text(harmless(_summary(words)), style=SOFT)
    for segment, name in enumerate(segment_names(words)):
        yield Text(f"\n{name}" if name else "", style=SOFT)
        yield _coloured(words, segment)
    yield Text()
    if apart(words):
        yield _specials(words)
    yield _legend(words)
    yield _trust(words)
    if strongest(words):
        yield Text()
        yield _bars([(words.scores[i], words.tokens[i]) for i in strongest(words, TOP)], words)
    if words.image:
        yield Text()
        if words.shares:
            yield Text(f"{percent(words.shares['image'])} of all that was scored lies in the image", style="bold")
        regions = strongest_regions(words.image, TOP)
        yield _bars([(words.image.scores[r], words.image.names[r]) for r in regions], words)


def _summary(words: Explanation) -> str:
    parts = [method_name(words), f"target {target_name(words.target)}", f"baseline {words.baseline}"]
    if words.model:
        parts.insert(0, words.model)
    if words.outputs:
        parts.insert(0, f"{words.prediction} {output_text(words, words.prediction)}")
    return " · ".join(parts)


def _on(score: float, largest: float) -> str:
    """The background of a score."""
    return f"on {hexadecimal(DARK.colour(score, largest))}" if score else ""


def _coloured(words: Explanation, segment: int) -> Text:
    largest, text = peak(all_scores(words)), Text()
    cut = pieces(words, segment)
    for piece, answers in zip(cut, in_answer(words, segment, cut), strict=True):
        text.append(harmless(piece.text), style=f"{_on(piece.score, largest)} {'bold underline' * answers}".strip())
    return text


def _specials(words: Explanation) -> Text:
    largest, text = peak(all_scores(words)), Text("added by the tokenizer:", style=SOFT)
    for i in apart(words):
        text.append("  ")
        text.append(harmless(words.tokens[i]), style=f"{hexadecimal(DARK.ink)} {_on(words.scores[i], largest)}")
        text.append(f" {signed(words.scores[i], largest or None)}")
    return text


def _legend(words: Explanation) -> Text:
    largest, per = peak(all_scores(words)), "per word and region" if words.image else "per word"
    if not largest:
        return Text("every score is 0: nothing counts for or against", style=SOFT)
    text = Text("against ", style=SOFT)
    text.append(f"{MINUS}{unsigned(largest)} ", style=hexadecimal(DARK.ink))
    for n in range(-RAMP, RAMP + 1):
        text.append(" ", style=_on(n, RAMP))
    text.append(f" +{unsigned(largest)}", style=hexadecimal(DARK.ink))
    return text.append(f" for · {'unit: ' + harmless(words.unit) if words.unit else 'no unit'}, {per}")


def _trust(words: Explanation) -> Text:
    fact, left = explained_fact(words), unexplained(words)
    said = f"{left.label} {left.value}" if left else NO_PROMISE
    return Text(harmless(f"{fact.label} {fact.value} · {said}"))


def _bars(scored: list[tuple[float, str]], words: Explanation) -> Table:
    """Number, bar and name, as many as fit a glance."""
    largest = peak(all_scores(words))
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column(width=BAR)
    table.add_column(overflow="ellipsis", no_wrap=True)
    for score, name in scored:
        line = hexadecimal(DARK.line(score))
        bar = Text("━" * max(1, round(BAR * strength(score, largest))), style=line)
        table.add_row(Text(signed(score, largest), style=line), bar, Text(harmless(name.replace("\n", "␊"))))
    return table
