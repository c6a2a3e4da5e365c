"""Two explanations compared: how prediction and scores changed when words of the text did."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Any

from xai_nlp.core.result import Explanation


def compare(before: Explanation, after: Explanation) -> dict[str, Any]:
    """The prediction, the outputs and the score of each word, before and after, as JSON can hold them.

    Words are matched in order; a word that has no counterpart has None there.
    """
    return {
        "prediction": [before.prediction, after.prediction],
        "target": [str(before.target), str(after.target)],
        "method": after.method,
        "unit": after.unit,
        "value": [before.value, after.value],
        "outputs": [
            {"label": label, "scores": [before.outputs.get(label), after.outputs.get(label)]}
            for label in dict.fromkeys([*before.outputs, *after.outputs])
        ],
        "words": _words(before.words(), after.words()),
    }


def _words(before: Explanation, after: Explanation) -> list[dict[str, Any]]:
    """One entry for each word of either text."""
    rows = []
    old_words, new_words = _scored_words(before), _scored_words(after)
    tokens, new_tokens = [word for word, _ in old_words], [word for word, _ in new_words]
    matcher = SequenceMatcher(None, tokens, new_tokens, autojunk=False)
    for _, start, end, start_after, end_after in matcher.get_opcodes():
        for k in range(max(end - start, end_after - start_after)):
            old = old_words[start + k] if start + k < end else (None, None)
            new = new_words[start_after + k] if start_after + k < end_after else (None, None)
            rows.append({"words": [old[0], new[0]], "scores": [old[1], new[1]]})
    return rows


def _scored_words(words: Explanation) -> list[tuple[str, float]]:
    """The words of the texts and their scores, without special tokens."""
    both = zip(words.tokens, words.scores, words.segment, strict=True)
    return [(token, score) for token, score, segment in both if segment >= 0]
