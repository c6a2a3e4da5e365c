"""From a score per entry to a score per token, per word, per span; sums are kept all the way."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Span = tuple[int, int]

# A CJK character, a word with its inner apostrophes and hyphens, or a run of anything else that is not white space.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+(?:['’\-][^\W{_CJK}]+)*|[^\w\s]+")


def _last(scores: Tensor) -> Tensor:
    return scores.flatten(3)  # (B, T, L, *rest) -> (B, T, L, D)


#: How the D entries of one token become one number. Only the signed sum keeps Σ scores = f(x) − f(x₀).
REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": lambda scores: _last(scores).sum(-1),
    "l2": lambda scores: _last(scores).norm(dim=-1),
    "l1": lambda scores: _last(scores).abs().sum(-1),
    "max": lambda scores: _last(scores).abs().amax(-1),
}


def word_spans(text: str) -> list[Span]:
    """Where the words and the punctuation of a text lie.

    >>> [("It's un-do-able!"[a:b]) for a, b in word_spans("It's un-do-able!")]
    ["It's", 'un-do-able', '!']
    """
    return [match.span() for match in _WORD.finditer(text if text.isascii() else _letters(text))]


def _letters(text: str) -> str:
    """The text with marks that belong to a letter (Devanagari vowels, accents) as letters, which they are in a word."""
    letters: list[str] = []
    for c in text:
        marks = unicodedata.category(c)[0] == "M" and bool(letters) and letters[-1].isalpha()
        letters.append("x" if marks else c)
    return "".join(letters)


def assign(offsets: Sequence[Span], spans: Sequence[Span]) -> np.ndarray:
    """The span to which each token belongs: the one it overlaps most, the first of equals; −1 for none.

    Spans follow one another and do not overlap.

    >>> assign([(0, 2), (2, 5), (6, 7)], [(0, 5), (6, 9)]).tolist()
    [0, 0, 1]
    """
    import numpy as np

    tokens, known = (np.array(pairs, dtype=np.int64).reshape(-1, 2) for pairs in (offsets, spans))
    first = known[:, 1].searchsorted(tokens[:, 0], "right")  # the first span that ends behind the token's start
    behind = known[:, 0].searchsorted(tokens[:, 1], "left")  # the first span that starts at the token's end or later
    owners = np.where((first < behind) & (tokens[:, 0] < tokens[:, 1]), first, -1)
    for i in (behind > first + 1).nonzero()[0]:  # tokens that several spans touch
        if owners[i] >= 0:
            (start, end), near = tokens[i], known[first[i] : behind[i]]
            owners[i] += (np.minimum(end, near[:, 1]) - np.maximum(start, near[:, 0])).argmax()
    return owners
