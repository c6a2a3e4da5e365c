"""When two answers are the same: SQuAD's normalisation and exact match."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)


def normalize_answer(answer: str) -> str:
    """Lower case, without punctuation, articles and surplus white space.

    Source: Rajpurkar et al. 2016, sec. 6.1 (arXiv:1606.05250), and its evaluation script.

    >>> normalize_answer("The  Cat's pyjamas!")
    'cats pyjamas'
    """
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1 if the answer is one of the right ones, else 0. No right answer means that "" is right.

    >>> exact_match("the Norman conquest", ["Norman Conquest", "1066"])
    1.0
    """
    return float(any(normalize_answer(answer) == normalize_answer(gold) for gold in golds or [""]))
