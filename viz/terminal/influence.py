"""Influence in a terminal: training texts with the words that they share with the text, and suspect labels."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xai_nlp.core.training_influence import SuspectLabels, TrainingExample, TrainingInfluence
from xai_nlp.viz.terminal.ansi import BAR, INK, RAMP, SOFT, WIDTH, harmless, printed, styled
from xai_nlp.viz.text import influence_texts
from xai_nlp.viz.text.influence_texts import TextPair
from xai_nlp.viz.text.number_format import signed, with_unit
from xai_nlp.viz.text.scale import DARK, hexadecimal, peak, strength
from xai_nlp.viz.text.text_lines import Run, bold_runs, legend_runs, special_runs, text_runs
from xai_nlp.viz.text.text_marks import own_peaks


def influence_ansi(result: TrainingInfluence, *, colour: bool = True, width: int = WIDTH) -> str:
    """The influence as text for a terminal; all texts share one colour scale. The arguments: as in `tokens_ansi`."""
    return printed(Padding(Group(*_lines(result)), (1, 2), style=INK), colour=colour, width=width)


def suspects_ansi(suspects: SuspectLabels, *, colour: bool = True, width: int = WIDTH) -> str:
    """Suspect labels as text for a terminal. The arguments: as in `tokens_ansi`."""
    return printed(Padding(Group(*_suspect_lines(suspects)), (1, 2), style=INK), colour=colour, width=width)


def _lines(result: TrainingInfluence) -> Iterator[RenderableType]:
    yield styled(bold_runs(influence_texts.sentence(result)), 0.0)
    yield Text(f"{influence_texts.counts(result)}; {influence_texts.method_text(result.method)}", style=SOFT)
    yield Text()
    yield Text(harmless("\n".join(influence_texts.segments(result.text))))
    shown = (*result.proponents, *result.opponents)
    largest = peak(one.score for one in shown)
    pairs = {id(one): TextPair.of(result, one) for one in shown}
    words = [item for pair in pairs.values() for item in pair.words]
    scale = peak(own_peaks(item)[0] for item in words)
    titles = influence_texts.side_titles(result)
    for (title, meaning), examples in zip(titles, (result.proponents, result.opponents), strict=True):
        yield Text(f"\n{harmless(title)}", style="bold")
        yield Text(meaning, style=SOFT)
        for one in examples:
            yield _head(one, largest, result.unit)
            yield Padding(Group(*_texts(pairs[id(one)], scale)), (0, 0, 0, 2))
    if influence_texts.splits(result):
        yield Text()
        yield styled(legend_runs(max(words, key=lambda item: own_peaks(item)[0]), RAMP), scale)


def _head(example: TrainingExample, largest: float, unit: str) -> Text:
    """The influence with its bar, the label and the row."""
    line = hexadecimal(DARK.line(example.score))
    bar = "━" * max(1, round(BAR * strength(example.score, largest)))
    label = Text(f"  {harmless(example.label)}", style="bold")
    return Text.assemble(
        (f"{with_unit(signed(example.score), unit)}  {bar}", line), label, (f"  row {example.index}", SOFT)
    )


def _texts(pair: TextPair, scale: float) -> Iterator[Text]:
    """The training text; if the influence splits, in colour, with the text that was asked about below it."""
    training, query = pair.words
    for segment in range(len(training.segments)):
        yield styled(text_runs(training, segment), scale)
    if not training.tokens:
        return
    for segment in range(len(query.segments)):
        yield styled([Run("yours: ", "soft"), *text_runs(query, segment)], scale)
    if specials := special_runs(training):
        yield styled(specials, scale)


def _suspect_lines(suspects: SuspectLabels) -> Iterator[RenderableType]:
    yield styled(bold_runs(influence_texts.suspects_sentence(suspects)), 0.0)
    yield Text(
        f"{influence_texts.suspects_counts(suspects)}; {influence_texts.method_text(suspects.method)}", style=SOFT
    )
    yield Text()
    largest = peak(one.score for one in suspects)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold", max_width=20)
    grid.add_column(overflow="fold", ratio=1)
    for one in suspects:
        number = Text(signed(one.score, largest or None).removeprefix("+"), style=hexadecimal(DARK.line(1)))
        text = " / ".join(influence_texts.segments(one.text))
        grid.add_row(number, Text(harmless(one.label), style="bold"), Text(harmless(text)))
    yield grid
