"""Influence of training texts in words, and their texts with the part of the influence of each token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from xai_nlp.core.result import Explanation, TargetSpec
from xai_nlp.core.training_influence import (
    METHODS,
    SuspectLabels,
    Text,
    TokenPlaces,
    TrainingExample,
    TrainingInfluence,
)
from xai_nlp.viz.text.number_format import count
from xai_nlp.viz.text.text_marks import own_peaks
from xai_nlp.viz.text.wording import TERMS, Sentence, quoted, shortened

QUOTED = 80  # characters of a training text in a sentence
NAT = "the unit of the loss: a loss of 1 nat is a probability of 37 % for the right label"
EXPLAINED = {"cosine": TERMS["cosine"], "nat": NAT}  # units


def scored_text(text: Text, places: TokenPlaces, scores: Sequence[float], unit: str) -> Explanation:
    """A text whose tokens have these scores; without scores, a text without tokens."""
    tokens, offsets, segment = (places.tokens, places.offsets, places.segment) if scores else ((), (), ())
    return Explanation(
        segments=segments(text), tokens=tokens, offsets=offsets, segment=segment, scores=tuple(scores), unit=unit,
        value=0.0, baseline_value=0.0, outputs={}, method="", baseline="none", complete=False, task="",
        target=TargetSpec(kind="output", label=""),
    )  # fmt: skip


def segments(text: Text) -> tuple[str, ...]:
    """A text as one segment, a pair as two."""
    return (text,) if isinstance(text, str) else tuple(text)


@dataclass(frozen=True)
class TextPair:
    """A training example and the text that was asked about, with the part of the influence of each token."""

    example: TrainingExample
    training: Explanation
    query: Explanation

    @classmethod
    def of(cls, result: TrainingInfluence, example: TrainingExample) -> TextPair:
        """The pair of a training example of a result."""
        training = scored_text(example.text, example, example.token_scores, result.unit)
        return cls(example, training, scored_text(result.text, result, example.query_token_scores, result.unit))

    @cached_property
    def words(self) -> tuple[Explanation, Explanation]:
        """Both over words."""
        return self.training.words(), self.query.words()

    @cached_property
    def peak(self) -> float:
        """The largest |score| of a word or token of either text: both have one scale."""
        return max(own_peaks(item)[0] for item in (self.training, self.query, *self.words))

    @property
    def shares_words(self) -> bool:
        """Is there a word in both texts, and not only what the tokenizer adds to every text?"""
        scored = zip(self.training.segment, self.training.scores, strict=True)
        return any(score and segment >= 0 for segment, score in scored)


def splits(result: TrainingInfluence) -> bool:
    """Does the influence split over words?"""
    return any(one.token_scores for one in (*result.proponents, *result.opponents))


def sentence(result: TrainingInfluence) -> Sentence:
    """The strongest proponent and the strongest opponent, in one sentence."""
    first, last = result.proponents[:1], result.opponents[:1]
    if result.method == "similarity":
        if not first:
            return [("No training text is named.", "")]
        lead = "Of the training texts, "
        return [(lead, ""), *_quotation(first[0], "p"), (" is most similar to this text.", "")]
    label: Sentence = [(result.label, "em")]
    pro, contra = [one for one in first if one.score > 0], [one for one in last if one.score < 0]
    if not pro and not contra:
        return [("No training text speaks for or against ", ""), *label, (".", "")]
    if not pro:
        return [("No training text speaks for ", ""), *label, ("; ", ""), *_against(contra[0])]
    parts: Sentence = [("Training on ", ""), *_quotation(pro[0], "p"), (" speaks for ", ""), *label, (" most; ", "")]
    return parts + (_against(contra[0]) if contra else [("no training text speaks against it.", "")])


def _quotation(example: TrainingExample, kind: str) -> Sentence:
    text = " / ".join(" ".join(part.split()) for part in segments(example.text))
    return [(quoted(shortened(text, QUOTED)), kind)]


def _against(example: TrainingExample) -> Sentence:
    return [*_quotation(example, "n"), (" speaks against it most.", "")]


def side_titles(result: TrainingInfluence) -> tuple[tuple[str, str], tuple[str, str]]:
    """Title and meaning of the proponents, and of the opponents."""
    if result.method == "similarity":
        return ("Most similar", "The largest cosines, first."), ("Least similar", "The smallest cosines, first.")
    label = shortened(result.label, 40)
    return (
        (f"Proponents: for {label}", "Training on them lowers the loss of the label for this text."),
        (f"Opponents: against {label}", "Training on them raises it."),
    )


def wrong_signs(result: TrainingInfluence, examples: Sequence[TrainingExample], sign: int) -> str:
    """A remark where texts that rank among the most extreme of one side belong to the other; "" where none does."""
    others = sum(sign * one.score <= 0 for one in examples)
    if not others or result.method == "similarity":
        return ""
    verb = "does" if others == 1 else "do"
    kind = "negative" if sign > 0 else "positive"
    return f"{count(others, 'text')} below {verb} not: the influence is {kind} or 0, and no other text comes nearer."


def counts(result: TrainingInfluence) -> str:
    """How many training texts are shown, of how many."""
    named = (count(len(result.proponents), "proponent"), count(len(result.opponents), "opponent"))
    if result.method == "similarity":
        named = (f"the {len(result.proponents)} most", f"the {len(result.opponents)} least similar")
    return f"{named[0]} and {named[1]} of {count(len(result.scores), 'training text')}"


def suspects_sentence(suspects: SuspectLabels) -> Sentence:
    """The most suspect label in one sentence."""
    if not suspects:
        return [("No label is named as suspect.", "")]
    first = suspects[0]
    return [("The most suspect label is ", ""), (first.label, "em"), (" of ", ""), *_quotation(first, "em"), (".", "")]


def suspects_counts(suspects: SuspectLabels) -> str:
    """How many training texts are listed, of how many."""
    return f"{len(suspects):,} of {count(suspects.total, 'training text')}, the most suspect first"


def method_text(method: str) -> str:
    """What the influence was read from."""
    return METHODS.get(method, method)


def suspects_meaning(suspects: SuspectLabels) -> tuple[str, str]:
    """The name of the score, and what it means."""
    if suspects.method == "similarity":
        return "disagreement", "The share of the ten most similar training texts that have another label."
    return "self-influence", (
        "How far one step of training on a text lowers its own loss, to first order and at a learning rate of 1 or "
        "those of the checkpoints. It is high where the other texts speak for another label, so wrong labels come "
        "first. Rare and hard texts come first, too."
    )
