"""The words of a run as numbers, so that they can be counted in arrays."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


class Vocabulary:
    """A number for each distinct word; case and white space around it are ignored.

    >>> vocabulary = Vocabulary()
    >>> vocabulary.numbers(["Fine", " fine", "!"]).tolist(), vocabulary.words, vocabulary.lexical.tolist()
    ([0, 0, 1], ['fine', '!'], [True, False])
    """

    def __init__(self) -> None:
        self.words: list[str] = []
        self._numbers: dict[str, int] = {}  # of a word
        self._known: dict[str, int] = {}  # of a word as it was written
        self._lexical = list[bool]()

    def __len__(self) -> int:
        return len(self.words)

    def numbers(self, written: Iterable[str]) -> np.ndarray:
        """The number of each word, new ones included."""
        known = self._known
        return np.array([known[one] if one in known else self._learn(one) for one in written], dtype=np.int64)

    def number(self, word: str) -> int | None:
        """The number of a word that has occurred; None of any other."""
        return self._numbers.get(word.strip().casefold())

    def _learn(self, written: str) -> int:
        word = written.strip().casefold()
        number = self._numbers.setdefault(word, len(self.words))
        if number == len(self.words):
            self.words.append(word)
            self._lexical.append(any(map(str.isalnum, word)))
        self._known[written] = number
        return number

    @property
    def lexical(self) -> np.ndarray:
        """Of each word: does it hold a letter or a digit? Punctuation does not. (V,)"""
        return np.array(self._lexical, dtype=bool)
