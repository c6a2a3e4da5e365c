"""The summary of a report: accuracy, confusions, words, modalities and heads over all examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from xai_nlp.core import statistics
from xai_nlp.core.result import Explanation
from xai_nlp.core.trust import LEVELS
from xai_nlp.viz.page.attention_tables import head_table
from xai_nlp.viz.page.score_tables import Table
from xai_nlp.viz.page.view_model import input_key, names_of
from xai_nlp.viz.text.number_format import percent, signed
from xai_nlp.viz.text.scale import peak
from xai_nlp.viz.text.text_marks import Cell, cell
from xai_nlp.viz.text.trust_wording import level_kind
from xai_nlp.viz.text.wording import Fact, plain

WORDS = 12  # words of each label


@dataclass(frozen=True)
class WordTable:
    """The words of one label: (word, bar, examples that contain it, their mean score, its interval)."""

    label: str
    name: str  # of the explanations, where there are several kinds
    unit: str
    examples: int
    lines: tuple[tuple[str, Cell, int, str, str], ...]

    @property
    def both(self) -> bool:
        """Do both signs occur?"""
        return {"p", "n"} <= {bar.kind for _, bar, *_ in self.lines}


@dataclass(frozen=True)
class ReportSummary:
    """Statistics over the explanations of a report."""

    facts: tuple[Fact, ...]
    confusions: tuple[tuple[str, statistics.Confusion], ...]  # (model, counts)
    words: tuple[WordTable, ...]
    modalities: tuple[
        tuple[str, dict[str, statistics.Estimate]], ...
    ]  # (name of the explanations, share of each modality)
    heads: tuple[tuple[str, Table], ...]  # (title, sizes)


def report_summary(items: Sequence[Explanation], examples: int) -> ReportSummary:
    """The summary of explanations of so many examples."""
    facts = [Fact(f"{examples:,}", "example" if examples == 1 else "examples")]
    models = list(dict.fromkeys(item.model for item in items))
    confusions = []
    for model in models:
        judged = {input_key(i): i for i in reversed(items) if i.model == model and i.correct is not None}.values()
        if not judged:
            continue
        of_model = f" of {model}" if len(models) > 1 else ""
        right = statistics.proportion(sum(map(bool, (item.correct for item in judged))), len(judged))
        interval = interval_text(right, percent)
        facts.append(Fact(percent(right.mean), f"right{of_model}: {interval} of {right.count:,} judged"))
        if items[0].task == "text-classification" and (
            table := statistics.confusion((i.gold[0], i.prediction) for i in judged)
        ):
            confusions.append((model if len(models) > 1 else "", table))
    good, complete, verdict = statistics.completeness(items)
    if complete:
        facts.append(Fact(f"{good:,} of {complete:,}", "explanations leave at most 1 % unexplained", verdict))
    kinds = _kinds(items)
    facts += _trust_facts(items)
    sizes = statistics.head_sizes(items).items()
    return ReportSummary(
        facts=tuple(facts),
        confusions=tuple(confusions),
        words=tuple(
            _word_table(label, name, same[0].unit, words)
            for name, same in kinds
            for label, words in statistics.word_effects(same).items()
        ),
        modalities=tuple((name, shares) for name, same in kinds if (shares := statistics.modality_shares(same))),
        heads=tuple(
            (plain(method) if stack == "self" else f"{stack}, {plain(method)}", head_table(layers, numbers))
            for (stack, method, layers), numbers in sizes
        ),
    )


def _trust_facts(items: Sequence[Explanation]) -> list[Fact]:
    """How many explanations have each level of trust, of those that were checked."""
    levels = [item.trust.level for item in items if item.trust]
    return [
        Fact(f"{levels.count(level):,} of {len(levels):,}", f"checked explanations: {level}", level_kind(level))
        for level in LEVELS
        if levels
    ]


def _kinds(items: Sequence[Explanation]) -> list[tuple[str, list[Explanation]]]:
    """Explanations by model, method, baseline and unit, with a name if there are several kinds.

    A mean over two methods has no meaning, and an example explained twice is not two observations.
    """
    kinds: dict[tuple[str, ...], list[Explanation]] = {}
    for item in items:
        kinds.setdefault((item.model, item.method, item.baseline, item.unit), []).append(item)
    names = names_of([same[0] for same in kinds.values()]) if len(kinds) > 1 else [""]
    return list(zip(names, kinds.values(), strict=True))


def _word_table(label: str, name: str, unit: str, words: statistics.LabelWords) -> WordTable:
    effects = words.effects[:WORDS]
    largest = peak(effect.overall for effect in effects)
    lines = []
    for effect in effects:
        spread = peak((effect.present.mean, *(effect.present.interval or ()))) or None
        interval = interval_text(effect.present, partial(signed, peak=spread))
        bar, mean = cell(effect.overall, largest), signed(effect.present.mean, spread)
        lines.append((effect.word, bar, effect.present.count, mean, interval))
    return WordTable(label, name, unit, words.examples, tuple(lines))


def interval_text(estimate: statistics.Estimate, text: Callable[[float], str]) -> str:
    """The confidence interval in words."""
    if estimate.interval is None:
        return "one observation"
    low, high = estimate.interval
    return f"{text(low)} to {text(high)}"
