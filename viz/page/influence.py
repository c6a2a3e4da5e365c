"""Influence as HTML: the training texts behind a prediction with the words that both texts share; suspect labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from xai_nlp.core.training_influence import SuspectLabels, TrainingExample, TrainingInfluence
from xai_nlp.viz.page.html import render, sealed
from xai_nlp.viz.page.notebook import cell as notebook_cell
from xai_nlp.viz.page.view_model import Row
from xai_nlp.viz.text import influence_texts
from xai_nlp.viz.text.influence_texts import TextPair, scored_text
from xai_nlp.viz.text.number_format import signed
from xai_nlp.viz.text.scale import peak
from xai_nlp.viz.text.text_marks import Cell, Legend, cell
from xai_nlp.viz.text.wording import TERMS, Sentence

UNFOLDED = 10  # training texts of each side that are shown at once; the others are folded
IN_CELL = 3  # the same in a notebook's cell
MOST = 20  # training texts of each side, or lines of the table, that a notebook's cell holds


@dataclass(frozen=True)
class Card:
    """A training text beside the text that was asked about."""

    rank: int
    example: TrainingExample
    influence: Cell  # strength as a share of the page's largest
    training: Row
    query: Row
    shares_words: bool


@dataclass(frozen=True)
class Side:
    """The proponents, or the opponents."""

    title: str
    meaning: str
    remark: str
    cards: tuple[Card, ...]
    left: int  # texts that are not drawn


@dataclass(frozen=True)
class InfluenceView:
    """The values that the templates of influence draw. most: how many texts of each side are drawn; None for all."""

    result: TrainingInfluence
    most: int | None
    unfolded: int

    @property
    def title(self) -> str:
        return f"Training texts behind {self.result.label}"

    @property
    def sentence(self) -> Sentence:
        return influence_texts.sentence(self.result)

    @property
    def counts(self) -> str:
        return influence_texts.counts(self.result)

    @property
    def method(self) -> str:
        return influence_texts.method_text(self.result.method)

    @property
    def labelled(self) -> bool:
        """Is the influence about a label?"""
        return self.result.method != "similarity"

    @cached_property
    def splits(self) -> bool:
        """Does the influence split over words?"""
        return influence_texts.splits(self.result)

    @cached_property
    def query(self) -> Row:
        """The text that was asked about, without colours."""
        item = scored_text(self.result.text, self.result, (), self.result.unit)
        return Row("", item, item, 0.0)

    @cached_property
    def sides(self) -> tuple[Side, ...]:
        result = self.result
        largest = peak(one.score for one in (*result.proponents, *result.opponents))
        sides = []
        for (title, meaning), examples, sign in zip(
            influence_texts.side_titles(result), (result.proponents, result.opponents), (1, -1), strict=True
        ):
            drawn = examples[: self.most]
            cards = tuple(self._card(rank, one, largest) for rank, one in enumerate(drawn, 1))
            remark = influence_texts.wrong_signs(result, examples, sign)
            sides.append(Side(title, meaning, remark, cards, len(examples) - len(drawn)))
        return tuple(sides)

    def _card(self, rank: int, example: TrainingExample, largest: float) -> Card:
        pair = self._pairs[id(example)]
        training, query = (
            Row("", item, item.words(), self._peak, own=pair.peak) for item in (pair.training, pair.query)
        )
        influence = replace(cell(example.score, largest), number=signed(example.score))
        return Card(rank, example, influence, training, query, pair.shares_words)

    @cached_property
    def _pairs(self) -> dict[int, TextPair]:
        return {
            id(one): TextPair.of(self.result, one)
            for examples in (self.result.proponents, self.result.opponents)
            for one in examples[: self.most]
        }

    @cached_property
    def _peak(self) -> float:
        return peak(pair.peak for pair in self._pairs.values())

    # What the macros of marks, legends and controls read -------------------------------------------------------------

    @property
    def several(self) -> bool:
        return len(self._pairs) > 1

    @property
    def legends(self) -> tuple[Legend, ...]:
        return (Legend(self._peak, self.result.unit),)

    @property
    def two_views(self) -> bool:
        return any(row.tokens for side in self.sides for card in side.cards for row in (card.training, card.query))

    @property
    def terms(self) -> dict[str, str]:
        return {self.result.unit: influence_texts.EXPLAINED[self.result.unit], "tokenizer": TERMS["tokenizer"]}


@dataclass(frozen=True)
class SuspectsView:
    """The values that the templates of suspect labels draw."""

    suspects: SuspectLabels
    drawn: Sequence[TrainingExample]

    @property
    def title(self) -> str:
        return "Training texts with suspect labels"

    @property
    def sentence(self) -> Sentence:
        return influence_texts.suspects_sentence(self.suspects)

    @property
    def counts(self) -> str:
        return influence_texts.suspects_counts(self.suspects)

    @property
    def method(self) -> str:
        return influence_texts.method_text(self.suspects.method)

    @property
    def score_name(self) -> str:
        return influence_texts.suspects_meaning(self.suspects)[0]

    @property
    def meaning(self) -> str:
        return influence_texts.suspects_meaning(self.suspects)[1]

    @cached_property
    def lines(self) -> list[tuple[TrainingExample, str, Cell]]:
        """Each text with its excerpt's segments and its score."""
        largest = peak(one.score for one in self.drawn)
        return [(one, " · ".join(influence_texts.segments(one.text)), cell(one.score, largest)) for one in self.drawn]

    @property
    def left(self) -> int:
        return len(self.suspects) - len(self.drawn)


def influence_page(result: TrainingInfluence) -> str:
    """A complete HTML file that makes no network request, under a strict content policy."""
    return render("influence_page.html", InfluenceView(result, None, UNFOLDED), level=1, **sealed())


def influence_cell(result: TrainingInfluence, *, assets: bool | None = None) -> str:
    """HTML for a notebook's cell; assets: as in `notebook_html`."""
    return notebook_cell("influence_cell.html", InfluenceView(result, MOST, IN_CELL), assets=assets)


def suspects_page(suspects: SuspectLabels) -> str:
    """A complete HTML file that makes no network request, under a strict content policy."""
    return render("suspects_page.html", SuspectsView(suspects, suspects.examples), level=1, **sealed())


def suspects_cell(suspects: SuspectLabels, *, assets: bool | None = None) -> str:
    """HTML for a notebook's cell; assets: as in `notebook_html`."""
    return notebook_cell("suspects_cell.html", SuspectsView(suspects, suspects.examples[:MOST]), assets=assets)
