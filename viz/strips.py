"""Explanations as a page shows them: marks with a strength of their own and a shared one, and the legends for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from xai_nlp.core.result import Explanation
from xai_nlp.viz.digits import signed, unsigned, with_unit
from xai_nlp.viz.pieces import all_scores, apart, in_answer, pieces, ranks
from xai_nlp.viz.scale import peak, step
from xai_nlp.viz.wording import method_name, segment_names

#: Without a script every mark that can take the focus is a stop for the tab key; in a long text only the strongest are.
STOPS = 120
#: More characters than this, and a text scrolls in a box of its own until it is opened.
LONG = 1_500


@dataclass(frozen=True)
class Mark:
    """A stretch of text with its number; without one, text between tokens."""

    text: str
    kind: str = ""  # "p" for, "n" against, "z" exactly zero; "" for text between tokens
    own: int = 0  # strength in hundredths of this explanation's peak
    shared: int = 0  # and of the peak of all that have the same unit
    number: str = ""
    spoken: str = ""  # the number with its unit, and how many tokens it sums
    rank: int = 0
    stop: bool = False  # reached by the tab key where no script runs
    edges: str = ""  # "l", "r", "lr": where white space or the end of the text is next to it
    tokens: str = ""  # "3 4": the tokens it shows, for whom attention is told
    answer: str = ""  # "o", "c", "oc": the answer opens before it, closes after it


@dataclass(frozen=True)
class Legend:
    """What the ends of the scale stand for."""

    peak: str  # "2.31"; "" if every score is zero
    unit: str
    methods: tuple[str, ...] = ()


@dataclass(frozen=True)
class Strip:
    """One explanation, in tokens or in words."""

    paragraphs: tuple[tuple[str, tuple[Mark, ...]], ...]  # (what the text is called, its marks)
    chips: tuple[Mark, ...]  # special tokens
    legend: Legend  # of its own scale
    long: bool


def scale_key(explanation: Explanation) -> str:
    """Explanations with the same key may share a scale: the same unit; without a unit, the same method."""
    return explanation.unit or f"method {explanation.method}"


def own_peaks(item: Explanation, words: Explanation) -> tuple[float, float]:
    """The largest |score| of the words, and of the tokens.

    With an image there is one scale for words, tokens and regions: its regions do not change when tokens are shown.
    """
    found = peak(all_scores(words)), peak(all_scores(item))
    return found if item.image is None else (max(found),) * 2


def shared_peaks(explanations: Sequence[Explanation], own: Sequence[float]) -> dict[str, float]:
    """The largest |score| of all that may share a scale; own: the largest of each."""
    peaks: dict[str, float] = {}
    for item, largest in zip(explanations, own, strict=True):
        key = scale_key(item)
        peaks[key] = max(peaks.get(key, 0.0), largest)
    return peaks


def shared_legends(explanations: Sequence[Explanation], peaks: Mapping[str, float]) -> tuple[Legend, ...]:
    """One legend for each scale that is shared."""
    methods: dict[str, dict[str, None]] = {}
    units = {scale_key(item): item.unit for item in explanations}
    for item in explanations:
        methods.setdefault(scale_key(item), {})[method_name(item)] = None
    return tuple(Legend(_shown(peaks[key]), units[key], tuple(names)) for key, names in methods.items())


def strip(
    explanation: Explanation, own: float, peaks: Mapping[str, float], groups: Sequence[Sequence[int]] | None = None
) -> Strip:
    """The marks of one explanation, in the order of its text.

    own: its largest |score|; groups: which tokens of the model each token here stands for, where words are shown.
    """
    shared = peaks.get(scale_key(explanation), own)
    write = _Writer(explanation, own, shared, ranks(explanation.scores), groups)
    names = segment_names(explanation)
    return Strip(
        paragraphs=tuple((name, _paragraph(explanation, s, write)) for s, name in enumerate(names)),
        chips=tuple(write.piece(explanation.tokens[i], (i,), explanation.scores[i]) for i in apart(explanation)),
        legend=Legend(_shown(own), explanation.unit),
        long=sum(map(len, explanation.segments)) > LONG,
    )


def _paragraph(explanation: Explanation, segment: int, write: _Writer) -> tuple[Mark, ...]:
    """The marks of a segment; the answer opens before its first and closes after its last."""
    cut = pieces(explanation, segment)
    inside = in_answer(explanation, segment, cut)
    marks = [write.piece(p.text, p.members, p.score, p.starts, p.ends) for p in cut]
    if any(inside):
        first, last = inside.index(True), len(cut) - 1 - inside[::-1].index(True)
        marks[first] = replace(marks[first], answer="o")
        marks[last] = replace(marks[last], answer=marks[last].answer + "c")
    return tuple(marks)


@dataclass(frozen=True)
class _Writer:
    explanation: Explanation
    own: float
    shared: float
    ranks: Sequence[int]
    groups: Sequence[Sequence[int]] | None

    def piece(self, text: str, members: tuple[int, ...], score: float, starts: bool = True, ends: bool = True) -> Mark:
        if not members:
            return Mark(text)
        number = signed(score, self.own or None)
        rank = min(self.ranks[i] for i in members)
        tokens = [i for m in members for i in (self.groups[m] if self.groups else [m])]
        several = f", sum of {len(members)} tokens" if len(members) > 1 else ""
        return Mark(
            text=text,
            kind="n" if score < 0 else "p" if score > 0 else "z",
            own=step(score, self.own),
            shared=step(score, self.shared),
            number=number,
            spoken=with_unit(number, self.explanation.unit) + several,
            rank=rank,
            stop=rank <= STOPS,
            edges="l" * starts + "r" * ends,
            tokens=" ".join(map(str, tokens)) if self.explanation.attention else "",
        )


def _shown(largest: float) -> str:
    return unsigned(largest) if largest else ""
