"""The words without which the model decides otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xai_nlp.core.answers import normalize_answer
from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.core.spans import Span

if TYPE_CHECKING:
    from xai_nlp.tasks.explainer import Explainer

FLIPPING = ("label", "answer", "start", "end", "span")  # kinds of target that are one of several outputs
LARGEST = 6  # words of a set that is searched for
BEAM = 4  # sets that are kept at each size
CANDIDATES = 16  # words that are tried

Word = tuple[int, Span]  # its segment, and its characters there


@dataclass(frozen=True)
class Flip:
    """Words of a text whose deletion changes the prediction.

    words: their places among the explanation's words. prediction: what the model says without them.
    """

    words: tuple[int, ...]
    prediction: str


@dataclass(frozen=True)
class Deletions:
    """What a model predicts for an example without some of its words: they are deleted from the text itself."""

    explainer: Explainer
    inputs: Mapping[str, Any]  # of the example, by name
    options: Mapping[str, Any]  # of the task
    words: Explanation  # the example's explanation over words

    @property
    def order(self) -> list[int]:
        """The words that can be deleted, those with the highest scores first; not the answer itself."""
        return sorted(filter(self._can_go, range(len(self.words.tokens))), key=lambda i: -self.words.scores[i])

    def _can_go(self, word: int) -> bool:
        segment, (start, end) = self.words.segment[word], self.words.offsets[word]
        if segment == SPECIAL or self.words.segments[segment] not in self._texts():
            return False
        if self.words.answer is None or self.words.answer[0] != segment:
            return True
        first, last = self.words.answer[1]
        return end <= first or start >= last

    def _texts(self) -> list[str]:
        return [value for value in self.inputs.values() if isinstance(value, str)]

    def outputs(self, sets: Sequence[Sequence[int]]) -> list[Mapping[str, float]]:
        """The outputs without each of these sets of words; {} where nothing would be left to read."""
        examples = [self._without(words) for words in sets]
        readable = [i for i, example in enumerate(examples) if all(example[name].strip() for name in self._names())]
        results: list[Mapping[str, float]] = [{} for _ in sets]
        if readable:
            inputs = {name: [examples[i][name] for i in readable] for name in examples[0]}
            of_readable = self.explainer.outputs(self.explainer.request(inputs, self.options))
            for i, outputs in zip(readable, of_readable, strict=True):
                results[i] = outputs
        return results

    def _names(self) -> list[str]:
        return [name for name, value in self.inputs.items() if isinstance(value, str)]

    def _without(self, words: Sequence[int]) -> dict[str, Any]:
        texts = list(self.words.segments)
        for word in sorted(words, key=lambda i: self.words.offsets[i], reverse=True):
            segment, (start, end) = self.words.segment[word], self.words.offsets[word]
            texts[segment] = f"{texts[segment][:start].rstrip()} {texts[segment][end:].lstrip()}".strip()
        shortened = dict(zip(self.words.segments, texts, strict=True))
        return {
            name: shortened.get(value, value) if isinstance(value, str) else value
            for name, value in self.inputs.items()
        }

    def flip(self, words: Sequence[int], outputs: Mapping[str, float]) -> Flip | None:
        """The flip, if the prediction is another one."""
        prediction = max(outputs, key=lambda label: outputs[label], default=None)
        if prediction is None or normalize_answer(prediction) == normalize_answer(self.words.prediction):
            return None
        return Flip(tuple(words), prediction)


def first_flip(deletions: Deletions, most: int = LARGEST) -> Flip | None:
    """The fewest words from the top of the explanation without which the prediction is another one.

    most: how many words are deleted at most, one after another; as many passes.
    """
    order = deletions.order[:most]
    sets = [order[: k + 1] for k in range(len(order))]
    for words, outputs in zip(sets, deletions.outputs(sets), strict=True):
        if flip := deletions.flip(words, outputs):
            return flip
    return None


def smallest_flip(deletions: Deletions, most: int = LARGEST) -> Flip | None:
    """The smallest set of words that was found without which the prediction is another one.

    A beam search keeps the sets that leave the prediction least probable. Every single word is tried; larger sets are
    made of the most promising ones. A smaller set may exist.
    """
    label = deletions.words.prediction
    candidates = deletions.order
    kept: list[tuple[int, ...]] = [()]
    for size in range(1, min(most, len(candidates)) + 1):
        sets = list(dict.fromkeys(tuple(sorted({*words, word})) for words in kept for word in candidates))
        sets = [words for words in sets if len(words) == size]
        outputs = deletions.outputs(sets)
        ranked = sorted(zip(sets, outputs, strict=True), key=lambda pair: pair[1].get(label, 0.0))
        for words, of_words in ranked:
            if flip := deletions.flip(words, of_words):
                return flip
        kept = [words for words, of_words in ranked if of_words][:BEAM]
        if size == 1:
            promising = [words[0] for words, of_words in ranked if of_words][:CANDIDATES]
            candidates = [word for word in candidates if word in promising]
    return None
