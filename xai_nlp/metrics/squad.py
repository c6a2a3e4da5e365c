"""Exact match and F1 of answers, as SQuAD's official script computes them."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from xai_nlp.core.answers import exact_match, normalize_answer
from xai_nlp.errors import InvalidInput, UnreadableFile


def f1(answer: str, golds: Sequence[str]) -> float:
    """The harmonic mean of precision and recall over words, the best over the given answers.

    >>> f1("in the year 1066", ["1066"])
    0.5
    """
    return max(_f1(normalize_answer(answer).split(), normalize_answer(gold).split()) for gold in golds or [""])


def _f1(answer: Sequence[str], gold: Sequence[str]) -> float:
    if not answer or not gold:
        return float(answer == gold)
    same = sum((Counter(answer) & Counter(gold)).values())
    return 2 * same / (len(answer) + len(gold))


class SquadQuestion(NamedTuple):
    """A question of a SQuAD file."""

    id: str
    question: str
    context: str
    answers: tuple[str, ...]  # none where there is no answer to give (SQuAD 2)
    starts: tuple[int, ...]  # where each stands in the context


def read_squad(path: str | os.PathLike[str]) -> Iterator[SquadQuestion]:
    """The questions of a file in SQuAD's format, version 1 or 2. Raises UnreadableFile."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))["data"]
        for article in data:
            for paragraph in article["paragraphs"]:
                for asked in paragraph["qas"]:
                    answers = [] if asked.get("is_impossible") else asked["answers"]
                    yield SquadQuestion(
                        str(asked["id"]),
                        asked["question"],
                        paragraph["context"],
                        tuple(answer["text"] for answer in answers),
                        tuple(int(answer["answer_start"]) for answer in answers),
                    )
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableFile(f"{path} is not in SQuAD's format: {type(error).__name__} {error}.") from None


@dataclass(frozen=True)
class SquadScores:
    """How well questions were answered, in percent."""

    exact_match: float
    f1: float
    questions: int


def squad_scores(asked: Sequence[SquadQuestion], answers: Mapping[str, str]) -> SquadScores:
    """Exact match and F1 over all questions; one without an answer counts as wrong. Raises InvalidInput for none."""
    if not asked:
        raise InvalidInput("there is nothing to evaluate: no questions were given.")
    pairs = [(answers.get(a.id), a.answers) for a in asked]
    exact = sum(exact_match(answer, golds) for answer, golds in pairs if answer is not None)
    overlap = sum(f1(answer, golds) for answer, golds in pairs if answer is not None)
    return SquadScores(100 * exact / len(pairs), 100 * overlap / len(pairs), len(pairs))
