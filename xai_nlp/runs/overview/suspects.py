"""Shortcut suspects: features that speak for wrong predictions, or that take more than their share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from xai_nlp.core.grouped_means import GroupedMoments, false_discovery
from xai_nlp.core.overview import OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.features import (
    INPUT,
    KINDS,
    LENGTH,
    NAME,
    NUMBER,
    PLACES,
    POSITION,
    PUNCTUATION,
    SPECIAL_TOKEN,
    Shares,
    WordForms,
    feature_shares,
    input_names,
)
from xai_nlp.runs.overview.section import OverviewContext, Section
from xai_nlp.runs.overview.suspect_tests import MARGIN, Excess, WrongAndRight, aligned
from xai_nlp.viz.text.number_format import percent

LEAST = 10  # explanations that hold a feature
SURE = 0.05  # false-discovery rate of what is called a suspect
NAMED = 3  # suspects of the sentence
COLUMNS = (
    OverviewColumn("feature"),
    OverviewColumn("kind"),
    OverviewColumn("too much", "share"),
    OverviewColumn("interval", "interval"),
    OverviewColumn("rows", "rows"),
    OverviewColumn("texts", "count"),
    OverviewColumn("wrong with it", "share"),
    OverviewColumn("in wrong", "score", in_page=False),
    OverviewColumn("in right", "score", in_page=False),
    OverviewColumn("share of |score|", "share"),
    OverviewColumn("share of words", "share"),
    OverviewColumn("q", "q"),
    OverviewColumn("reason"),
)
REASONS = ("speaks for wrong predictions", "takes more than its share of the words")
ALONE = "is the only input that counts in most texts"
NOTE = (
    "A feature speaks for wrong predictions if its share of the |score|, counted for the prediction, is larger in "
    "wrong predictions than in as many drawn at random (exact moments of the permutation test). Marks, special "
    "tokens, positions and inputs have no meaning of their own, nor have names and numbers for a label: they are "
    f"suspects too if they take more than {percent(MARGIN)} of the |score| over their share of the words (t test). Too "
    "much is the larger of what wrong predictions have more than right ones, and of what is above that margin, as a "
    "mean over all texts, with its 95 % interval; suspects are ranked by its lower end; lengths, which take no share, "
    "come last. q is the false-discovery rate over all tests (Benjamini and Hochberg 1995); features with q above "
    f"{SURE} or in fewer than {LEAST} texts are left out. A word that is right as often as others is no suspect here, "
    "however strong: what it means is not known to the test."
)


class Suspects(Section):
    """Features that are strong in wrong predictions, or stronger than what has no meaning of its own should be.

    Every number is a share of an explanation's Σ|score|, so that explanations of all sizes count alike. Right labels
    judge words: a shortcut is a word whose scores do not care whether they are right. So it is found where the data
    hold counterexamples. Where every text with the word is right, nothing in a run tells it from a word that means its
    label: words around it, and neighbours among word embeddings, accuse honest words such as "bad" on SST-2.
    Features without a meaning are judged by what they take, and need no right labels.
    """

    def __init__(self, context: OverviewContext) -> None:
        super().__init__(context)
        self.forms = WordForms()
        self.wrong, self.right, self.cubes = GroupedMoments(), GroupedMoments(), GroupedMoments()
        self.shares, self.excess = GroupedMoments(), GroupedMoments()
        self.counts = np.zeros(3, dtype=np.int64)  # wrong predictions, right ones, explanations
        self.inputs: list[str] = []

    def add(self, chunk: Chunk) -> None:
        found = feature_shares(chunk, self.forms)
        names = input_names(chunk)
        self.inputs = names if len(names) > len(self.inputs) else self.inputs
        toward = _toward_prediction(chunk)
        states = [(chunk.correct == state) & (toward != 0) for state in (0, 1)]
        self.counts += np.array([states[0].sum(), states[1].sum(), len(chunk)])
        codes, rows = (found.number * len(KINDS) + found.kind)[:, None], chunk.row[found.example]
        claims = np.isin(found.kind, (LENGTH, INPUT))  # they hold or not, and speak for nothing
        push = np.where(claims, found.signed, found.signed * toward[found.example])
        for moments, values, chosen in (
            (self.wrong, push, states[0][found.example]),
            (self.right, push, states[1][found.example]),
            (self.cubes, push**3, (states[0] | states[1])[found.example]),
            (self.shares, found.absolute, found.kind >= 0),
            (self.excess, found.absolute - found.size, without_meaning(chunk, found)),
        ):
            moments.add(codes[chosen], values[chosen], rows[chosen])

    def result(self) -> OverviewSection | None:
        if not self.counts[2]:
            return None
        lines = tuple(self._lines())
        table = OverviewTable(name="suspects", title="Shortcut suspects", columns=COLUMNS, lines=lines, layout="table")
        return OverviewSection(
            name="suspects",
            title="Shortcut suspects",
            sentence=self._sentence(lines),
            note=NOTE,
            tables=(table,) if lines else (),
            facts=tuple((str(len(lines)), f"shortcut suspects, first “{name}”") for name, *_ in lines[:1]),
        )

    def _lines(self) -> Iterator[tuple[Any, ...]]:
        """A line for each suspect, the strongest first; lengths, which have no score, last."""
        shares = self.shares.result()
        shares = shares[shares.count >= LEAST]
        codes = shares.keys[:, 0]
        wrong, right, every = self.counts.tolist()
        in_wrong = self.wrong.result()
        spoken = WrongAndRight.of(codes, in_wrong, self.right.result(), self.cubes.result(), (wrong, right))
        excess = Excess.of(shares, self.excess.result(), every)
        q, tested = np.ones((2, len(codes))), np.stack([spoken.tested, excess.tested])
        q[tested] = false_discovery(np.stack([spoken.p, excess.p])[tested])
        more, low = np.stack([spoken.more, excess.more]), np.stack([spoken.low, excess.low])
        low = np.where(q <= SURE, low, 0.0)
        best, kinds, misled = low.argmax(0), codes % len(KINDS), aligned(in_wrong, codes)
        for i in np.lexsort((-low.max(0, initial=0.0), kinds == LENGTH)).tolist():
            end, middle = float(low[best[i], i]), float(more[best[i], i])
            if end <= 0:
                continue
            shown = kinds[i] not in (LENGTH, INPUT)  # these are claims, which take no share
            yield (
                *self._names(int(codes[i])),
                middle,
                (end, 2 * middle - end),
                (misled if low[0, i] > 0 else shares).examples(i),
                int(shares.count[i]),
                float(spoken.rates[i]) if spoken.tested[i] and kinds[i] != INPUT else None,
                *(spoken.means[:, i].tolist() if spoken.tested[i] else (None, None)),
                float(shares.mean[i]) if shown else None,
                float(excess.size[i]) if shown and excess.tested[i] else None,
                float(q[:, i].min()),
                _reason(int(kinds[i]), low[:, i]),
            )

    def _names(self, code: int) -> tuple[str, str]:
        """The name of a feature, and its kind."""
        number, kind = divmod(code, len(KINDS))
        return self._name(kind, number), KINDS[kind]

    def _name(self, kind: int, number: int) -> str:
        if kind in (NAME, NUMBER):
            return f"any {KINDS[kind]}"
        if kind == POSITION:
            text, place = divmod(number, len(PLACES))
            texts = [name for name in self.inputs if name != "image"]
            return PLACES[place] + (f" of the {texts[text]}" if len(texts) > 1 else "")
        if kind == LENGTH:
            return f"{2**number} to {2 ** (number + 1) - 1} words"
        return f"{self.inputs[number]} only" if kind == INPUT else self.context.vocabulary.words[number]

    def _sentence(self, lines: Sequence[tuple[Any, ...]]) -> str:
        named = "; ".join(f"“{name}” ({kind}) {reason}" for name, kind, *_, reason in lines[:NAMED])
        many = f"The strongest of {len(lines)} suspects: {named}." if lines[1:] else f"A suspect: {named}."
        judged = "" if self.counts[:2].all() else " No wrong predictions are known, so that words were not judged."
        return f"{many if lines else 'No feature is a suspect.'}{judged}"


def _reason(kind: int, lows: np.ndarray) -> str:
    """Why a feature is a suspect; lows: of what each test found, 0 where it found nothing."""
    reasons = (REASONS[0], ALONE if kind == INPUT else REASONS[1])
    return " and ".join(reason for reason, low in zip(reasons, lows, strict=True) if low > 0)


def without_meaning(chunk: Chunk, found: Shares) -> np.ndarray:
    """Which features say nothing by themselves, (F,). Names and numbers do where they may be answers."""
    labelled = np.array([target.kind in ("label", "output") for target in chunk.targets])
    mute = np.isin(found.kind, (PUNCTUATION, SPECIAL_TOKEN, POSITION, INPUT))
    return np.asarray(mute | (np.isin(found.kind, (NAME, NUMBER)) & labelled[found.example]))


def _toward_prediction(chunk: Chunk) -> np.ndarray:
    """1 where scores speak for the prediction, −1 for the other one of two labels, 0 for neither: (N,)."""
    return np.array(
        [
            1 if target.kind not in ("label", "output") or target.label == said else -1 if len(outputs) == 2 else 0
            for target, said, outputs in zip(chunk.targets, chunk.predictions, chunk.outputs, strict=True)
        ]
    )
