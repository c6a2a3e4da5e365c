"""A trust verdict in words: its sentence, its levels, the names of its checks and their numbers."""

from __future__ import annotations

from xai_nlp.core.trust import LEVELS, Trust, TrustCheck, TrustLevel
from xai_nlp.viz.text.number_format import signed

CHECKS = {
    "removal": "Removing words",
    "effect": "Something to explain",
    "residual": "Adding up",
    "baseline": "Another baseline",
    "method": "Another method",
    "seed": "Another seed",
    "weights": "Random weights",
    "inputs": "Unusual inputs",
    "flip": "What decides",
}
TRUST: dict[TrustLevel, str] = {
    "holds": "This explanation holds.",
    "holds in part": "This explanation holds in part.",
    "do not rely on it": "Do not rely on this explanation.",
}


def verdict_sentence(trust: Trust) -> str:
    """How far to trust an explanation, and its weakest check: “Holds in part: some random orders do as well.”."""
    return f"{TRUST[trust.level]} {trust.weakest.sentence}"


def level_kind(level: TrustLevel) -> str:
    """The kind of a level, as that of a Fact: "good", "fair" or "poor"."""
    return ("good", "fair", "poor")[LEVELS.index(level)]


def check_name(check: TrustCheck) -> str:
    """The name of a check as a title."""
    return CHECKS.get(check.name, check.name.replace("_", " ").capitalize())


def check_numbers(check: TrustCheck) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The numbers of a check as a table: the names of its columns, and (name, numbers) of each line.

    A number named "pad: deletion" stands in the column "pad"; the sentence has the others.
    """
    lines: dict[str, dict[str, str]] = {}
    for name, number in check.numbers.items():
        column, _, line = name.rpartition(": ")
        if column:
            lines.setdefault(line, {})[column] = signed(number)
    columns = list(dict.fromkeys(column for cells in lines.values() for column in cells))
    return columns, [(line, [cells.get(column, "") for column in columns]) for line, cells in lines.items()]
