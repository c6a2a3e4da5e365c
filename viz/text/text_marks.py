"""A text as marks: stretches with a number and a strength on each scale; and the legends of those scales."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.viz.text.number_format import signed, with_unit
from xai_nlp.viz.text.scale import peak, sign_class, step
from xai_nlp.viz.text.text_spans import TextSpan, ranks, text_spans, tokens_without_text
from xai_nlp.viz.text.wording import plain, segment_names

TAB_STOPS = 120  # marks that the tab key reaches where no script runs: the strongest
LONG = 1_500  # characters; a longer text scrolls in a box until it is opened


@dataclass(frozen=True)
class Cell:
    """A number with its sign and its strength on both scales."""

    number: str = ""
    kind: str = "z"  # "p" for, "n" against, "z" exactly zero
    own: int = 0  # strength in hundredths of the peak of its own explanation, or of its table
    shared: int = 0  # strength in hundredths of the peak of all explanations in this unit


@dataclass(frozen=True, kw_only=True)
class Mark(Cell):
    """A stretch of text and its score; text between tokens has no `kind`."""

    kind: str = ""
    text: str
    description: str = ""  # the number with its unit, and how many tokens it sums
    rank: int = 0
    edges: str = ""  # "l", "r", "lr": sides with white space or the end of the text next to them
    tokens: str = ""  # "3 4": its tokens, for the attention view
    answer: str = ""  # "o": the answer opens before it; "c": the answer closes after it
    tab_stop: bool = False  # the tab key reaches it where no script runs


@dataclass(frozen=True)
class Legend:
    """The ends of a colour scale."""

    peak: float
    unit: str
    methods: tuple[str, ...] = ()


@dataclass(frozen=True)
class MarkedText:
    """One explanation over tokens or over words."""

    paragraphs: tuple[tuple[str, tuple[Mark, ...]], ...]  # (name of the segment, its marks)
    specials: tuple[Mark, ...]  # tokens without text: those that score, and with attention the others
    legend: Legend  # of its own scale
    long: bool


def cell(score: float, own: float, shared: float | None = None) -> Cell:
    """A score as a cell; own, shared: the peaks of the two scales, one for both if only one is named."""
    strengths = step(score, own), step(score, own if shared is None else shared)
    return Cell(signed(score, own or None), sign_class(score), *strengths)


def scale_key(explanation: Explanation) -> str:
    """Explanations with the same key can share a scale: the same unit; without a unit, the same method."""
    return explanation.unit or f"method {explanation.method}"


def own_peaks(explanation: Explanation) -> tuple[float, float]:
    """The largest |score| of its tokens and of its image's regions: text and image have a scale each.

    Special tokens do not count where a word scores, so that the strongest word is the strongest colour.
    """
    image, scores = explanation.image, explanation.scores
    words = (score for score, segment in zip(scores, explanation.segment, strict=True) if segment != SPECIAL)
    return peak(words) or peak(scores), peak(image.scores) if image else 0.0


def scoring_specials(explanation: Explanation) -> list[int]:
    """The tokens without text that score: at least 1/200 of the largest |score|, the weakest that has a colour."""
    largest = own_peaks(explanation)[0]
    return [i for i in tokens_without_text(explanation) if step(explanation.scores[i], largest)]


def shared_legends(explanations: Iterable[Explanation]) -> dict[str, Legend]:
    """Scale key → the scale that all explanations with this key can share: words and regions alike."""
    legends: dict[str, Legend] = {}
    for item in explanations:
        known = legends.get(scale_key(item), Legend(0.0, item.unit))
        methods = tuple(dict.fromkeys((*known.methods, plain(item.method))))
        legends[scale_key(item)] = Legend(max(known.peak, *own_peaks(item)), item.unit, methods)
    return legends


def marked_text(
    explanation: Explanation, shared: float, groups: Sequence[Sequence[int]] | None = None, own: float | None = None
) -> MarkedText:
    """The marks of an explanation, in text order.

    shared: peak of the shared scale. groups: the model's tokens behind each token of `explanation`, for words.
    own: peak of its own scale; None for its largest |score|.
    """
    largest, of_regions = own_peaks(explanation)
    own = largest if own is None else own
    places = ranks(explanation.scores)
    groups = groups or [[i] for i in range(len(places))]

    def mark(span: TextSpan, answer: str = "") -> Mark:
        if not span.members:
            return Mark(text=span.text, answer=answer)
        number = cell(span.score, own, shared)
        several = f", sum of {len(span.members)} tokens" if len(span.members) > 1 else ""
        tokens = [i for member in span.members for i in groups[member]] if explanation.attention else []
        rank = min(places[i] for i in span.members)
        return Mark(
            **vars(number),
            text=span.text,
            description=with_unit(number.number, explanation.unit) + several,
            rank=rank,
            edges="l" * span.starts + "r" * span.ends,
            tokens=" ".join(map(str, tokens)),
            answer=answer,
            tab_stop=rank <= TAB_STOPS,
        )

    paragraphs = []
    for segment, name in enumerate(segment_names(explanation)):
        spans = text_spans(explanation, segment)
        inside = [False, *(span.in_answer for span in spans), False]
        neighbours = zip(spans, inside, inside[2:], strict=False)
        marks = [
            mark(span, "o" * (span.in_answer and not before) + "c" * (span.in_answer and not after))
            for span, before, after in neighbours
        ]
        paragraphs.append((name, tuple(marks)))
    # Attention goes to special tokens too: where there is some, its view of the text shows all of them.
    listed = (tokens_without_text if explanation.attention else scoring_specials)(explanation)
    specials = [TextSpan(explanation.tokens[i], (i,), explanation.scores[i]) for i in listed]
    return MarkedText(
        paragraphs=tuple(paragraphs),
        specials=tuple(map(mark, specials)),
        legend=Legend(own if explanation.tokens else of_regions, explanation.unit),
        long=sum(map(len, explanation.segments)) > LONG,
    )
