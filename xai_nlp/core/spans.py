"""Spans of characters: the words of a text, and the word that each token belongs to."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

from xai_nlp.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

Span = tuple[int, int]  # start and end, in characters


def as_span(value: Any, name: str) -> Span:
    """The start and the end in a value that a user gave. Raises InvalidInput, which calls it `name`."""
    pair = list(value) if isinstance(value, (tuple, list)) else []
    if len(pair) != 2 or not all(isinstance(number, Integral) for number in pair):
        raise InvalidInput(f"{name} is a text, or the numbers of its first character and its end; got {value!r}.")
    return int(pair[0]), int(pair[1])


# A CJK character, a word with its inner apostrophes and hyphens, or a run of anything else that is not white space.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+(?:['’\-][^\W{_CJK}]+)*|[^\w\s]+")


def word_spans(text: str) -> list[Span]:
    """The spans of the words and of the punctuation of a text, in order.

    >>> [("It's un-do-able!"[a:b]) for a, b in word_spans("It's un-do-able!")]
    ["It's", 'un-do-able', '!']
    """
    return [match.span() for match in _WORD.finditer(text if text.isascii() else _marks_as_letters(text))]


def _marks_as_letters(text: str) -> str:
    """Replaces marks that belong to a letter (Devanagari vowels, accents) by letters, since they are in its word."""
    letters: list[str] = []
    for c in text:
        is_mark = unicodedata.category(c)[0] == "M" and bool(letters) and letters[-1].isalpha()
        letters.append("x" if is_mark else c)
    return "".join(letters)


def assign(offsets: Sequence[Span], spans: Sequence[Span]) -> np.ndarray:
    """For each token, the index of the span that it overlaps most, the first one of equals; −1 if it overlaps none.

    offsets: the tokens' spans, in any order.
    spans: in ascending order, without overlap.

    >>> assign([(0, 2), (2, 5), (6, 7)], [(0, 5), (6, 9)]).tolist()
    [0, 0, 1]
    """
    import numpy as np

    tokens, known = (np.array(pairs, dtype=np.int64).reshape(-1, 2) for pairs in (offsets, spans))
    first = known[:, 1].searchsorted(tokens[:, 0], "right")  # the first span that ends behind the token's start
    behind = known[:, 0].searchsorted(tokens[:, 1], "left")  # the first span that starts at the token's end or later
    indices = np.where((first < behind) & (tokens[:, 0] < tokens[:, 1]), first, -1)
    for i in (behind > first + 1).nonzero()[0]:  # tokens that overlap several spans
        if indices[i] >= 0:
            (start, end), near = tokens[i], known[first[i] : behind[i]]
            indices[i] += (np.minimum(end, near[:, 1]) - np.maximum(start, near[:, 0])).argmax()
    return indices
