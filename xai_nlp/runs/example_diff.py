"""Two explanations of one input, compared word by word."""

from __future__ import annotations

import math
from dataclasses import replace

from xai_nlp.core.model_diff import ExampleDiff
from xai_nlp.core.result import Explanation
from xai_nlp.core.word_alignment import aligned_words
from xai_nlp.metrics.agreement import rank_correlation, sign_flips, top_k_overlap

NEARLY_ZERO = 0.01  # share of the largest score below which a word has no sign


def compare(before: Explanation, after: Explanation, *, index: int = 0, top: int = 5) -> ExampleDiff:
    """How far two explanations of one input agree, word by word.

    Raises InvalidInput if the two are of different inputs.
    """
    before, after = aligned_words(before, after)
    one = ExampleDiff(index=index, before=before, after=after)
    a, b = one.shares
    if not one.same_target or not a:
        return one
    correlation = rank_correlation(a, b)
    return replace(
        one,
        rank_correlation=None if math.isnan(correlation) else correlation,
        sign_flips=sign_flips(a, b, least=NEARLY_ZERO),
        top_overlap=top_k_overlap(a, b, k=min(top, len(a))),
    )
