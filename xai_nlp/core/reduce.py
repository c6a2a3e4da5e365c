"""From a score per entry to a score per token, per word, per span; sums are kept all the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    return [match.span() for match in _WORD.finditer(text)]


def assign(offsets: Sequence[Span], spans: Sequence[Span]) -> list[int | None]:
    """Which span each token belongs to: the one it overlaps most, the first of equals; None for none.

    >>> assign([(0, 2), (2, 5), (6, 7)], [(0, 5), (6, 9)])
    [0, 0, 1]
    """
    owners: list[int | None] = []
    for start, end in offsets:
        overlaps = [min(end, b) - max(start, a) for a, b in spans]
        best = max(range(len(spans)), key=lambda i: overlaps[i], default=None)
        owners.append(best if best is not None and overlaps[best] > 0 else None)
    return owners
