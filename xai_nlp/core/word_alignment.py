"""Two explanations of one input over the same words, whatever their tokenizers: aligned by characters."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.core.spans import Span, assign, word_spans
from xai_nlp.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

REST = "[…]"  # the token that sums what stands in no word: special tokens, and tokens of white space
Place = tuple[int, Span]  # a segment, and characters there


def aligned_words(before: Explanation, after: Explanation) -> tuple[Explanation, Explanation]:
    """Both explanations over the same words: word k of one is word k of the other, and sums are kept.

    Words are joined where a token of either explanation covers several of them. Tokens in no word become one special
    token at the end, if either explanation has any. Layers, parts and attention are left out, as they are about tokens.
    Raises InvalidInput if the two are of different texts, or cut their image into different regions.

    >>> from xai_nlp.core.result import TargetSpec
    >>> one = Explanation(segments=("so good",), tokens=("so", "go", "od"), offsets=((0, 2), (3, 5), (5, 7)),
    ...     segment=(0, 0, 0), scores=(0.5, 1.0, 0.25), unit="logit", value=2.0, baseline_value=0.0, outputs={},
    ...     target=TargetSpec(kind="label", label="POSITIVE"), method="occlusion", baseline="pad", complete=False)
    >>> other = replace(one, tokens=("so", " good"), offsets=((0, 2), (2, 7)), segment=(0, 0), scores=(1.0, 3.0))
    >>> first, second = aligned_words(one, other)
    >>> first.tokens, first.scores, second.scores
    (('so', 'good'), (0.5, 1.25), (1.0, 3.0))
    """
    if before.segments != after.segments:
        raise InvalidInput("two explanations are compared word by word: they need the same text, letter for letter.")
    if _regions(before) != _regions(after):
        counts = " and ".join(str(len(why.image.boxes) if why.image else 0) for why in (before, after))
        raise InvalidInput(
            f"the image is cut into {counts} regions, which differ; name the same for both models, such as regions=8."
        )
    places = _common_words(before, after)
    has_rest = any(_owners(why, places).min(initial=0) < 0 for why in (before, after))
    return _over(before, places, has_rest), _over(after, places, has_rest)


def _regions(why: Explanation) -> object:
    return why.image and (why.image.boxes, why.image.shapes)


def _common_words(before: Explanation, after: Explanation) -> list[Place]:
    """The words of the texts, joined where a token of either explanation covers several."""
    import numpy as np

    places: list[Place] = []
    for s, text in enumerate(before.segments):
        spans = word_spans(text)
        words = np.array(spans, dtype=np.int64).reshape(-1, 2)
        joined = np.zeros(len(words), dtype=bool)  # with the word before
        for why in (before, after):
            tokens = np.array([span for span, of in zip(why.offsets, why.segment, strict=True) if of == s])
            tokens = tokens.reshape(-1, 2)
            first = words[:, 1].searchsorted(tokens[:, 0], "right")
            behind = words[:, 0].searchsorted(tokens[:, 1], "left")
            for a, b in zip(first, behind, strict=True):
                joined[a + 1 : b] = True
        for span, with_last in zip(spans, joined, strict=True):
            if with_last:
                places[-1] = (s, (places[-1][1][0], span[1]))
            else:
                places.append((s, span))
    return places


def _owners(why: Explanation, places: list[Place]) -> np.ndarray:
    """The word of each token (L,); −1 for a token in none."""
    import numpy as np

    owners = np.full(len(why.tokens), -1)
    segment, offsets = np.array(why.segment), np.array(why.offsets).reshape(-1, 2)
    for s in range(len(why.segments)):
        own = [k for k, (of, _) in enumerate(places) if of == s]
        inside = segment == s
        found = assign(offsets[inside], [places[k][1] for k in own])
        owners[inside] = np.where(found < 0, -1, found + min(own, default=0))
    return owners


def _over(why: Explanation, places: list[Place], has_rest: bool) -> Explanation:
    """The explanation over these words, and over one special token for the rest."""
    members: list[list[float]] = [[] for _ in range(len(places) + 1)]  # the last holds what is in no word
    for owner, score in zip(_owners(why, places).tolist(), why.scores, strict=True):
        members[owner].append(score)
    names = [why.segments[s][start:end] for s, (start, end) in places]
    places = [*places, *([(SPECIAL, (0, 0))] if has_rest else [])]
    return replace(
        why,
        tokens=(*names, *([REST] if has_rest else [])),
        segment=tuple(s for s, _ in places),
        offsets=tuple(span for _, span in places),
        scores=tuple(math.fsum(scores) for scores in members[: len(places)]),
        parts={},
        layers=None,
        attention={},
    )
