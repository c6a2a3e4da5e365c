"""Saved explanations compared with saved ones: which belong together, and how each pair differs."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import cast

from xai_nlp.concept.digests import digest
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.model_diff import ExampleDiff, Failure, ReadDiff
from xai_nlp.core.result import Explanation
from xai_nlp.runs.example_diff import compare
from xai_nlp.runs.read import Run


def compare_saved(one: Explanations, other: Explanations, top: int) -> tuple[list[ExampleDiff], list[Failure]]:
    """Explanations of the same input compared. Those of runs stay in their files."""
    places, failures = _pairs(one, other)

    @lru_cache(maxsize=1)  # its parts are asked for one after the other
    def compared(first: int, second: int) -> ExampleDiff:
        return compare(one[first], other[second], index=_row(one, first), top=top)

    if isinstance(one, Run) or isinstance(other, Run):
        return [cast("ExampleDiff", ReadDiff(partial(compared, *pair))) for pair in places], failures
    return [compared(*pair) for pair in places], failures


def _pairs(one: Explanations, other: Explanations) -> tuple[list[tuple[int, int]], list[Failure]]:
    """Places of explanations of the same input, in the order of the first; with the same target, where there is one."""
    left: dict[str, list[tuple[int, str]]] = {}
    for place, item in enumerate(other):
        left.setdefault(_input_key(item), []).append((place, str(item.target)))
    pairs: list[tuple[int, int]] = []
    failures = []
    for place, item in enumerate(one):
        candidates = left.get(_input_key(item), [])
        if not candidates:
            failures.append(Failure(_row(one, place), "B", "B has no explanation of this input."))
            continue
        same = [k for k, (_, target) in enumerate(candidates) if target == str(item.target)]
        pairs.append((place, candidates.pop(same[0] if same else 0)[0]))
    over = sorted(place for candidates in left.values() for place, _ in candidates)
    return pairs, [
        *failures,
        *(Failure(_row(other, place), "A", "A has no explanation of this input.") for place in over),
    ]


def _row(items: Explanations, place: int) -> int:
    """The number of an example: the row of a run's data, else the place."""
    return items.inputs[place] if isinstance(items, Run) else place


def _input_key(item: Explanation) -> str:
    return digest(repr((item.segments, item.image and item.image.data)))
