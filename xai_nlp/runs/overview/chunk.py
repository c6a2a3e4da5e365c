"""The explanations of one file of a run as columns, without an object for each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow.compute as pc

from xai_nlp.core.answers import exact_match
from xai_nlp.core.result import SPECIAL, Explanation, TargetSpec
from xai_nlp.core.spans import assign, word_spans
from xai_nlp.core.statistics import NEGLIGIBLE
from xai_nlp.core.trust import Trust
from xai_nlp.runs.overview.vocabulary import Vocabulary
from xai_nlp.runs.shards import FORMAT_KEY, explanation_of
from xai_nlp.viz.text.wording import segment_names

if TYPE_CHECKING:
    from pyarrow import Table

#: Headings of answers from a text, which differ in every example; `core.statistics.label_of` has the same.
SHARED_LABELS = {"start": "start", "end": "end", "span": "the answer"}


class RegionScores(msgspec.Struct):
    """Of an image only what is counted."""

    scores: tuple[float, ...]


@dataclass(frozen=True)
class Words:
    """W words of all explanations, one after another, as `Explanation.words` has them.

    number: in the vocabulary. example: its explanation in the chunk. score: in the explanation's unit.
    segment: the text that holds it, SPECIAL for special tokens. start: its first character there.
    written: as it stands in the text.
    """

    written: list[str]
    number: np.ndarray  # (W,)
    example: np.ndarray  # (W,)
    score: np.ndarray  # (W,)
    segment: np.ndarray  # (W,)
    start: np.ndarray  # (W,)


@dataclass(frozen=True)
class WordSums:
    """One entry for each distinct word of each explanation, occurrences added up; punctuation is left out."""

    number: np.ndarray  # (S,) in the vocabulary
    example: np.ndarray  # (S,) its explanation in the chunk
    score: np.ndarray  # (S,)


@dataclass(frozen=True)
class Tokens:
    """T tokens of all explanations, one after another; columns as in `Words`, with (start, end) for offsets."""

    written: list[str]
    example: np.ndarray  # (T,)
    score: np.ndarray  # (T,)
    segment: np.ndarray  # (T,)
    offsets: np.ndarray  # (T, 2)


@dataclass(frozen=True, eq=False)
class Chunk:
    """N explanations of one file. Columns are worked out when they are read.

    table: rows of the file, none of which failed, all of one method. vocabulary: that of the whole run.
    """

    table: Table
    vocabulary: Vocabulary

    def __len__(self) -> int:
        return len(self.table)

    # One value for each explanation: (N,) -------------------------------------------------------------------------

    @cached_property
    def row(self) -> np.ndarray:
        """The row of the data."""
        return self.table["row"].to_numpy()

    @cached_property
    def targets(self) -> list[TargetSpec]:
        """The number that was explained."""
        return self._decoded("target", TargetSpec)

    @cached_property
    def labels(self) -> list[str]:
        """What was explained, as a heading: `core.statistics.label_of`."""
        return [SHARED_LABELS.get(target.kind) or str(target) for target in self.targets]

    @cached_property
    def outputs(self) -> list[dict[str, float]]:
        """The probability of each label or answer."""
        return self._decoded("outputs", dict[str, float])

    @cached_property
    def predictions(self) -> list[str]:
        """The label or answer that the model gives most to; "" where nothing is known of its outputs."""
        return [max(of, key=of.__getitem__, default="") for of in self.outputs]

    @cached_property
    def confidence(self) -> np.ndarray:
        """The output of the prediction; NaN where none is known."""
        return np.array([max(of.values(), default=np.nan) for of in self.outputs], dtype=float)

    @cached_property
    def gold(self) -> list[tuple[str, ...]]:
        """The right labels or answers; () where they are not known."""
        return [tuple(cell or ()) for cell in self.table["gold"].to_pylist()]

    @cached_property
    def correct(self) -> np.ndarray:
        """1 for a right prediction, 0 for a wrong one, −1 where that is not known: as `Explanation.correct`."""
        rows = zip(self.targets, self.predictions, self.gold, strict=True)
        return np.array([_correct(target, said, gold) for target, said, gold in rows], dtype=np.int8)

    @cached_property
    def segments(self) -> list[list[str]]:
        """The text, or the two texts of a pair."""
        segments: list[list[str]] = self.table["segments"].to_pylist()
        return segments

    @cached_property
    def segment_names(self) -> tuple[str, ...]:
        """The names of the texts of each, in lower case: ("question", "context"); ("",) for a single text."""
        if not len(self) or max(map(len, self.segments)) < 2:
            return ("",)
        return tuple(name.lower() for name in segment_names(self.explanation(0)))

    @cached_property
    def unit(self) -> str:
        """The unit of the scores."""
        return str(self.table["unit"][0].as_py()) if len(self) else ""

    @cached_property
    def explained(self) -> np.ndarray:
        """f(x) − f(x₀)."""
        return np.asarray(self._numbers("value") - self._numbers("baseline_value"))

    @cached_property
    def text_size(self) -> np.ndarray:
        """Σ |score| of the tokens."""
        return np.bincount(self.tokens.example, np.abs(self.tokens.score), minlength=len(self))

    @cached_property
    def residual(self) -> np.ndarray:
        """f(x) − f(x₀) − Σ scores, those of regions included."""
        sums = np.bincount(self.tokens.example, self.tokens.score, minlength=len(self))
        regions = np.array([0.0 if scores is None else sum(scores) for scores in self.regions])
        return np.asarray(self.explained - sums - regions)

    @cached_property
    def residual_share(self) -> np.ndarray:
        """|residual| as `core.statistics.residual_share` has it; NaN where the method promises no sum."""
        residual, explained = np.abs(self.residual), np.abs(self.explained)
        size = np.maximum(np.abs(self._numbers("value")), np.abs(self._numbers("baseline_value")))
        of_change = explained > NEGLIGIBLE * size
        share = residual / np.where(of_change, explained, np.where(size > 0, size, 1.0))
        return np.where(self.table["complete"].to_numpy(zero_copy_only=False), share, np.nan)

    @cached_property
    def regions(self) -> list[tuple[float, ...] | None]:
        """The scores of the image's regions; None without an image."""
        return [one and one.scores for one in self._decoded("image", RegionScores)]

    @cached_property
    def trust(self) -> list[Trust | None]:
        """How far to trust each, where that was measured."""
        return self._decoded("trust", Trust)

    def holds(self, column: str) -> np.ndarray:
        """The explanations that have something in a column of JSON, such as "layers" or "attention": their places."""
        filled = pc.fill_null(pc.not_equal(self.table[column], "{}"), False)
        return np.asarray(filled.to_numpy(zero_copy_only=False).nonzero()[0])

    def explanation(self, place: int) -> Explanation:
        """The whole explanation at a place; it costs a hundred times what a column does."""
        (cells,) = self.table.slice(place, 1).to_pylist()
        return explanation_of(cells, int(self.table.schema.metadata[FORMAT_KEY]))

    # Tokens and words -----------------------------------------------------------------------------------------------

    @cached_property
    def tokens(self) -> Tokens:
        """The tokens of all explanations."""
        counts = pc.list_value_length(self.table["tokens"]).to_numpy()
        offsets = pc.list_flatten(pc.list_flatten(self.table["offsets"])).to_numpy()
        return Tokens(
            written=pc.list_flatten(self.table["tokens"]).to_pylist(),
            example=np.repeat(np.arange(len(self)), counts),
            score=pc.list_flatten(self.table["scores"]).to_numpy(),
            segment=pc.list_flatten(self.table["segment"]).to_numpy().astype(np.int64),
            offsets=offsets.astype(np.int64).reshape(-1, 2),
        )

    @cached_property
    def words(self) -> Words:
        """The words of all explanations."""
        tokens, texts = self.tokens, list(chain.from_iterable(self.segments))
        counts = np.array([len(parts) for parts in self.segments], dtype=np.int64)
        first = np.cumsum(counts) - counts  # of each explanation, its first text
        lengths = np.array([len(text) + 1 for text in texts], dtype=np.int64)
        shift = np.cumsum(lengths) - lengths  # of each text, as if all stood one after another
        special = tokens.segment == SPECIAL
        text = first[tokens.example] + np.where(special, 0, tokens.segment)
        places = np.where(special[:, None], 0, tokens.offsets + shift[text][:, None])
        spans = [(a + at, b + at) for at, one in zip(shift.tolist(), texts, strict=True) for a, b in word_spans(one)]
        owner = assign(places, spans)  # type: ignore[arg-type]
        alone = owner < 0
        alone[1:] |= (owner[1:] != owner[:-1]) | (tokens.example[1:] != tokens.example[:-1])
        alone[:1] = True
        starts = alone.nonzero()[0]
        if not len(starts):
            nothing = np.empty(0, dtype=np.int64)
            return Words([], nothing, nothing, np.empty(0), nothing, nothing)
        ends = np.maximum.reduceat(tokens.offsets[:, 1], starts)
        written = [
            tokens.written[i] if behind == i + 1 else texts[of][a:b]
            for i, behind, of, a, b in zip(
                starts.tolist(),
                [*starts[1:].tolist(), len(alone)],
                text[starts].tolist(),
                tokens.offsets[starts, 0].tolist(),
                ends.tolist(),
                strict=True,
            )
        ]
        return Words(
            written=written,
            number=self.vocabulary.numbers(written),
            example=tokens.example[starts],
            score=np.add.reduceat(tokens.score, starts),
            segment=tokens.segment[starts],
            start=tokens.offsets[starts, 0],
        )

    @cached_property
    def lexical(self) -> np.ndarray:
        """Of each word: is it one, and neither punctuation nor a special token? (W,)"""
        words = self.words
        return np.asarray(self.vocabulary.lexical[words.number] & (words.segment != SPECIAL))

    @cached_property
    def word_sums(self) -> WordSums:
        """The distinct words of each explanation: an example is one observation."""
        words, size = self.words, max(len(self.vocabulary), 1)
        keys, place = np.unique(words.example[self.lexical] * size + words.number[self.lexical], return_inverse=True)
        return WordSums(keys % size, keys // size, np.bincount(place, words.score[self.lexical], minlength=len(keys)))

    def _numbers(self, column: str) -> np.ndarray:
        return np.asarray(self.table[column].to_numpy())

    def _decoded(self, column: str, kind: Any) -> list[Any]:
        """A JSON column as values of a type; equal texts are one value."""
        coded = self.table[column].combine_chunks().dictionary_encode()
        values = [msgspec.json.decode(text, type=kind) for text in coded.dictionary.to_pylist()]
        return [None if place is None else values[place] for place in coded.indices.to_pylist()]


def _correct(target: TargetSpec, prediction: str, gold: tuple[str, ...]) -> int:
    if not gold:
        return -1
    if target.kind in ("label", "output"):
        return int(prediction.casefold() in map(str.casefold, gold))
    return int(exact_match(prediction, gold))
