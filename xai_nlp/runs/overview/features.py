"""Features of explanations: words, marks, names, numbers, positions, lengths, inputs; and the |score| of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from xai_nlp.core.result import SPECIAL
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.modalities import IGNORED
from xai_nlp.tasks.table import TASKS

KINDS = ("word", "punctuation", "special token", "name", "number", "position", "length", "input")
WORD, PUNCTUATION, SPECIAL_TOKEN, NAME, NUMBER, POSITION, LENGTH, INPUT = range(len(KINDS))
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "last")
PLACES = ("first sentence", "last sentence", *(f"{ordinal} tenth" for ordinal in ORDINALS))
TENTHS = len(ORDINALS)  # a text of fewer words has none
ENDS = frozenset(".!?。！？…")  # marks that end a sentence
ENDS_SENTENCE, CAPITALISED, SMALL, DIGITS, INITIAL = 1, 2, 4, 8, 16


class Shares(NamedTuple):
    """F entries, one for each feature of each explanation that holds it.

    kind, number: the feature. example: its explanation in the chunk. signed: Σ scores of its words, as a share of
    Σ|score|. absolute: Σ|score| of its words, likewise. size: its share of the words.
    A position has shares of its own text, all others of the whole explanation.
    """

    kind: np.ndarray
    number: np.ndarray
    example: np.ndarray
    signed: np.ndarray
    absolute: np.ndarray
    size: np.ndarray


class WordForms:
    """How words are written, as bits; each form is looked at once.

    >>> forms = WordForms().bits(["Anna", "saw", "12", ".", "J"])
    >>> [(forms & bit > 0).tolist().index(True) for bit in (CAPITALISED, SMALL, DIGITS, ENDS_SENTENCE, INITIAL)]
    [0, 1, 2, 3, 4]
    """

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def bits(self, written: list[str]) -> np.ndarray:
        """The bits of each word, (W,)."""
        known = self._known
        return np.array([known[one] if one in known else self._learn(one) for one in written], dtype=np.uint8)

    def _learn(self, written: str) -> int:
        word = written.strip()
        claims = (
            not ENDS.isdisjoint(word),
            word[:1].isupper() and word[1:2].islower(),
            word[:1].islower(),
            any(map(str.isdigit, word)),
            len(word) == 1 and word.isupper(),
        )
        self._known[written] = bits = sum(claim << place for place, claim in enumerate(claims))
        return bits


class TextPlaces(NamedTuple):
    """Where words stand, all (W,): words of texts only, without special tokens.

    text: numbers the texts of the chunk. first: is it the first word of its sentence? sentence, sentences: its sentence
    in the text, from 0 on, of so many. place, length: the word in the text, from 0 on, of so many.
    """

    text: np.ndarray
    first: np.ndarray
    sentence: np.ndarray
    sentences: np.ndarray
    place: np.ndarray
    length: np.ndarray


def text_places(example: np.ndarray, segment: np.ndarray, bits: np.ndarray, lexical: np.ndarray) -> TextPlaces:
    """Where each word of some texts stands; all arguments are (W,), of words in the order of their texts.

    A sentence ends at ".", "!", "?", "…" or one of their kind, unless a small letter or a digit follows or a single
    capital stands before. In an explanation without capitals small letters begin sentences too. Abbreviations of
    several letters before a capital ("Mr. Smith") are taken for ends.
    """
    if not len(example):
        return TextPlaces(*[np.empty(0, dtype=np.int64)] * 6)
    new = np.ones(len(example), dtype=bool)
    new[1:] = (example[1:] != example[:-1]) | (segment[1:] != segment[:-1])
    text, starts = np.cumsum(new) - 1, new.nonzero()[0]
    cased = np.bincount(example, bits & CAPITALISED > 0) > 0
    goes_on = bits[1:] & DIGITS | np.where(cased[example[1:]], bits[1:] & SMALL, 0) | _before(bits)[1:] & INITIAL
    begins = new.copy()
    begins[1:] |= (bits[:-1] & ENDS_SENTENCE > 0) & (goes_on == 0)
    sentence = np.cumsum(begins) - 1
    first = np.zeros(len(example), dtype=bool)
    first[lexical.nonzero()[0][np.unique(sentence[lexical], return_index=True)[1]]] = True
    counts = np.bincount(text)
    own = sentence - sentence[starts][text]
    return TextPlaces(
        text=text,
        first=first,
        sentence=own,
        sentences=np.maximum.reduceat(own, starts)[text] + 1,
        place=np.arange(len(text)) - starts[text],
        length=counts[text],
    )


def _before(bits: np.ndarray) -> np.ndarray:
    """Of each word the bits of the second word before it."""
    shifted = np.zeros_like(bits)
    shifted[2:] = bits[:-2]
    return shifted


def input_names(chunk: Chunk) -> list[str]:
    """The names of the explained inputs: the texts in the order of the segments, then the image."""
    task = TASKS.get(str(chunk.table["task"][0]))
    texts = [one.name for one in task.inputs if one.kind != "image"] if task else []
    most = max(map(len, chunk.segments), default=0)
    names = [*texts[:most], *(f"text {n + 1}" for n in range(len(texts), most))]
    return [*names, *["image"] * any(scores is not None for scores in chunk.regions)]


def input_shares(chunk: Chunk, names: list[str]) -> np.ndarray:
    """The share of the Σ|score| that each input takes, (N, inputs); special tokens are in none.

    Shares are 0 where nothing is scored.
    """
    words, count = chunk.words, len(names)
    inside = words.segment != SPECIAL
    place = words.example[inside] * count + words.segment[inside]
    sizes = np.bincount(place, np.abs(words.score[inside]), minlength=len(chunk) * count).reshape(-1, count)
    if "image" in names:
        sizes[:, -1] = _image_sizes(chunk)
    return sizes / np.maximum(sizes.sum(1, keepdims=True), np.finfo(float).tiny)


def feature_shares(chunk: Chunk, forms: WordForms) -> Shares:
    """What each feature of each explanation takes.

    Each word, mark and special token is a feature; names are one together, and so are numbers. A name is a capitalised
    word that begins no sentence.
    """
    words, bits = chunk.words, forms.bits(chunk.words.written)
    inside = (words.segment != SPECIAL).nonzero()[0]
    places = text_places(words.example[inside], words.segment[inside], bits[inside], chunk.lexical[inside])
    begins = np.zeros(len(bits), dtype=bool)
    begins[inside] = places.first
    parts = [
        *_of_words(chunk, bits, begins),
        *_of_places(words.segment[inside], words.example[inside], words.score[inside], places),
        _lengths(chunk),
        *_inputs(chunk),
    ]
    return Shares(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _of_words(chunk: Chunk, bits: np.ndarray, begins: np.ndarray) -> Iterator[Shares]:
    """begins: (W,) the words that begin a sentence."""
    words, lexical, special = chunk.words, chunk.lexical, chunk.words.segment == SPECIAL
    shares, size = _normalised(words.score, words.example, _image_sizes(chunk))
    number = lexical & (bits & DIGITS > 0)
    name = lexical & (bits & CAPITALISED > 0) & ~number & ~begins
    together = np.zeros_like(words.number)
    for kind, numbers, of_kind in (
        (WORD, words.number, lexical),
        (PUNCTUATION, words.number, ~lexical & ~special),
        (SPECIAL_TOKEN, words.number, special),
        (NAME, together, name),
        (NUMBER, together, number),
    ):
        yield _summed(kind, *(of[of_kind] for of in (numbers, words.example, shares, size)))


def _of_places(segment: np.ndarray, example: np.ndarray, score: np.ndarray, places: TextPlaces) -> Iterator[Shares]:
    """segment, example, score: (W,) of the words of texts."""
    shares, size = _normalised(score, places.text, np.zeros(places.text.max(initial=-1) + 1))
    several = places.sentences > 1
    first = np.zeros_like(segment)
    for place, there in (
        (first, several & (places.sentence == 0)),
        (first + 1, several & (places.sentence == places.sentences - 1)),
        (2 + places.place * TENTHS // np.maximum(places.length, 1), places.length >= TENTHS),
    ):
        numbers = segment * len(PLACES) + place
        yield _summed(POSITION, *(of[there] for of in (numbers, example, shares, size)))


def _normalised(scores: np.ndarray, whole: np.ndarray, beside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each word its share of the Σ|score| of its whole, with its sign; and its share of the words.

    whole: (W,) the number of the whole that a word belongs to. beside: |score| of the wholes that no word has.
    """
    total = np.bincount(whole, np.abs(scores), minlength=len(beside)) + beside
    return scores / np.maximum(total, np.finfo(float).tiny)[whole], 1 / np.bincount(whole)[whole]


def _image_sizes(chunk: Chunk) -> np.ndarray:
    """Σ|score| of each explanation's image, (N,)."""
    return np.array([0.0 if scores is None else sum(map(abs, scores)) for scores in chunk.regions])


def _summed(kind: int, number: np.ndarray, example: np.ndarray, share: np.ndarray, size: np.ndarray) -> Shares:
    """The shares of the words of each feature added up in each explanation."""
    count = int(number.max(initial=0)) + 1
    keys, place = np.unique(example * count + number, return_inverse=True)
    sums = (np.bincount(place, values, minlength=len(keys)) for values in (share, np.abs(share), size))
    return Shares(np.full(len(keys), kind), keys % count, keys // count, *sums)


def _lengths(chunk: Chunk) -> Shares:
    """The length of each explanation's texts: 2ⁿ to 2ⁿ⁺¹ − 1 words have the number n. It takes no share."""
    inside = chunk.words.segment != SPECIAL
    count = np.bincount(chunk.words.example[inside], minlength=len(chunk))
    ones = np.ones(len(chunk))
    number = np.frexp(np.maximum(count, 1))[1].astype(np.int64) - 1
    return Shares(np.full(len(chunk), LENGTH), number, np.arange(len(chunk)), ones, ones, ones)


def _inputs(chunk: Chunk) -> Iterator[Shares]:
    """Of each of several inputs: are all others ignored? 1 or 0, held against a half of the explanations."""
    names = input_names(chunk)
    shares = input_shares(chunk, names)
    for n in range(len(names)) if len(names) > 1 else ():
        alone = (shares[:, n] > 1 - IGNORED).astype(float)
        yield Shares(
            np.full(len(chunk), INPUT),
            np.full(len(chunk), n),
            np.arange(len(chunk)),
            alone,
            alone,
            np.full(len(chunk), 0.5),
        )
