"""Explanations as short vectors: the words that count most, where in the text they stand, and what else is scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xai_nlp.core.result import SPECIAL
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.features import DIGITS, WordForms, input_names, input_shares
from xai_nlp.runs.overview.vocabulary import Vocabulary

if TYPE_CHECKING:
    from scipy.sparse import csr_array

WORDS = 8  # of each explanation, those with the largest |score|
VOCABULARY = 1000  # words that tell explanations apart, those with the largest |score| over all of them
FIFTHS = ("first", "second", "third", "fourth", "last")
SUMMARY = (*(f"the {fifth} fifth of the text" for fifth in FIFTHS), "punctuation", "special tokens", "numbers")
INPUTS = 3  # inputs whose shares are kept
SUMMARY_WEIGHT = 0.1  # length of the summary beside the words, whose length is 1: it decides where no word is shared


class ExplanationVectors:
    """N explanations as vectors of signed shares of their Σ|score|, each a hundred bytes.

    An explanation keeps its WORDS strongest words; and a summary: the shares of each fifth of its text, of punctuation,
    of special tokens and of numbers, and, of several inputs, of each.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary, self.forms, self.inputs = vocabulary, WordForms(), list[str]()
        self._words: list[np.ndarray] = []  # (N, WORDS), −1 for none
        self._shares: list[np.ndarray] = []  # (N, WORDS)
        self._summaries: list[np.ndarray] = []  # (N, summary)

    def add(self, chunk: Chunk) -> None:
        """Add the explanations of a chunk."""
        sums = chunk.word_sums
        size = np.maximum(chunk.text_size, np.finfo(float).tiny)
        share = sums.score / size[sums.example]
        order = np.lexsort((-np.abs(share), sums.example))
        place = np.arange(len(order)) - np.searchsorted(sums.example[order], sums.example[order])
        order, place = order[place < WORDS], place[place < WORDS]
        words, shares = (
            np.full((len(chunk), WORDS), -1, dtype=np.int32),
            np.zeros((len(chunk), WORDS), dtype=np.float32),
        )
        words[sums.example[order], place] = sums.number[order]
        shares[sums.example[order], place] = share[order]
        self._words.append(words)
        self._shares.append(shares)
        self._summaries.append(self._summary(chunk, size).astype(np.float32))

    def _summary(self, chunk: Chunk, size: np.ndarray) -> np.ndarray:
        words, special = chunk.words, chunk.words.segment == SPECIAL
        bits = self.forms.bits(words.written)
        inside = ~special
        text = words.example * (int(words.segment.max(initial=0)) + 1) + words.segment
        _, starts, counts = np.unique(text[inside], return_index=True, return_counts=True)
        place = np.arange(int(inside.sum())) - np.repeat(starts, counts)
        columns = np.full(len(special), -1)
        columns[inside] = place * len(FIFTHS) // np.repeat(counts, counts)
        kinds = np.where(special, 6, np.where(~chunk.lexical, 5, np.where(bits & DIGITS > 0, 7, -1)))
        found = np.zeros((len(chunk), len(SUMMARY) + INPUTS))
        for column in (columns, kinds):
            there = column >= 0
            np.add.at(found, (words.example[there], column[there]), (words.score / size[words.example])[there])
        names = input_names(chunk)
        if len(names) > 1:
            self.inputs = names if len(names) > len(self.inputs) else self.inputs
            found[:, len(SUMMARY) : len(SUMMARY) + len(names)] = input_shares(chunk, names)[:, :INPUTS]
        return found

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Numbers of the words (N, WORDS), −1 for none; their shares (N, WORDS); and summaries (N, summary)."""
        return np.concatenate(self._words), np.concatenate(self._shares), np.concatenate(self._summaries)

    def matrix(self) -> tuple[csr_array, list[str]]:
        """Unit vectors, (N, F), and the names of the F features, words first."""
        from scipy.sparse import csr_array, hstack

        words, shares, summaries = self.arrays()
        weights = np.bincount(words[words >= 0], np.abs(shares[words >= 0]), minlength=len(self.vocabulary))
        kept = np.argsort(-weights, kind="stable")[:VOCABULARY]
        column = np.full(len(self.vocabulary), -1)
        column[kept] = np.arange(len(kept))
        rows, places = (words >= 0).nonzero()
        columns = column[words[rows, places]]
        there = columns >= 0
        of_words = csr_array(
            (shares[rows, places][there].astype(float), (rows[there], columns[there])), shape=(len(words), len(kept))
        )
        blocks = [_unit(of_words), SUMMARY_WEIGHT * _unit(csr_array(summaries.astype(float)))]
        names = [f"“{self.vocabulary.words[number]}”" for number in kept.tolist()]
        return _unit(csr_array(hstack(blocks, format="csr"))), [*names, *SUMMARY, *self._input_names()]

    def _input_names(self) -> list[str]:
        names = [f"the {name}" for name in self.inputs[:INPUTS]]
        return [*names, *[""] * (INPUTS - len(names))]


def _unit(matrix: csr_array) -> csr_array:
    """Rows of length 1; a row of zeros stays."""
    from scipy.sparse import csr_array, diags_array

    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return csr_array(diags_array(1 / np.where(lengths > 0, lengths, 1.0)) @ matrix)
