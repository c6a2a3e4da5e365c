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
    """Harmonic mean of precision and recall over normalised words, for the right answer with the largest one.

    golds: the right answers; () means that the question has no answer, and "" is right.

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
    answers: tuple[str, ...]  # the right answers; () if there is none (SQuAD 2)
    starts: tuple[int, ...]  # first character of each in the context


def read_squad(path: str | os.PathLike[str]) -> Iterator[SquadQuestion]:
    """The questions of a file in the format of SQuAD 1 or 2. Raises UnreadableFile for another format."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))["data"]
        for article in data:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    answers = [] if question.get("is_impossible") else question["answers"]
                    yield SquadQuestion(
                        str(question["id"]),
                        question["question"],
                        paragraph["context"],
                        tuple(answer["text"] for answer in answers),
                        tuple(int(answer["answer_start"]) for answer in answers),
                    )
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableFile(f"{path} is not in SQuAD's format: {type(error).__name__} {error}.") from None


@dataclass(frozen=True)
class SquadScores:
    """Means over all questions, in percent."""

    exact_match: float
    f1: float
    questions: int  # number of questions


def squad_scores(questions: Sequence[SquadQuestion], answers: Mapping[str, str]) -> SquadScores:
    """Exact match and F1 of the answers, by question id; a question without an answer counts as wrong.

    Raises InvalidInput for no questions.

    >>> question = SquadQuestion("1", "Who wrote it?", "Mary Shelley wrote it.", ("Mary Shelley",), (0,))
    >>> squad_scores([question], {"1": "the Mary Shelley"})
    SquadScores(exact_match=100.0, f1=100.0, questions=1)
    """
    if not questions:
        raise InvalidInput("there is nothing to evaluate: no questions were given.")
    pairs = [(answers[one.id], one.answers) for one in questions if one.id in answers]
    exact = sum(exact_match(answer, golds) for answer, golds in pairs)
    overlap = sum(f1(answer, golds) for answer, golds in pairs)
    return SquadScores(100 * exact / len(questions), 100 * overlap / len(questions), len(questions))
