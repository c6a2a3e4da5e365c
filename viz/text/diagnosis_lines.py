"""What a diagnosis says around its checks, for the page and the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from xai_nlp.core.diagnosis import Check, Diagnosis, MethodTrial
from xai_nlp.viz.text.wording import plain


def about(diagnosis: Diagnosis) -> list[str]:
    """The model's task and architecture, the versions and the time."""
    task = [plain(diagnosis.task)] if diagnosis.task else []
    architecture = [diagnosis.architecture] if diagnosis.architecture else []
    versions = [f"{name} {number}" for name, number in diagnosis.versions.items()]
    return [*task, *architecture, *versions, f"{diagnosis.seconds:.1f} s"]


def sorted_checks(diagnosis: Diagnosis) -> list[Sequence[Check]]:
    """What is wrong, causes before what follows from them; then what is fine."""
    wrong = [check for check in diagnosis if check.level != "ok"]
    return [checks for checks in (wrong, diagnosis.of_level("ok")) if checks]


def not_checked(diagnosis: Diagnosis) -> str:
    """The checks that were left out, and why."""
    return f"Not checked, because the model gives no output that can be compared: {', '.join(diagnosis.omitted)}."


def working(diagnosis: Diagnosis) -> list[MethodTrial]:
    """The methods that work, the fastest first."""
    return sorted((one for one in diagnosis.methods if one.outcome == "works"), key=lambda one: one.seconds)


def refused(diagnosis: Diagnosis) -> list[tuple[str, list[str]]]:
    """The methods that do not work, those of one reason together: (reason, methods)."""
    reasons: dict[str, list[str]] = {}
    for one in diagnosis.methods:
        if one.outcome != "works":
            reason = one.reason.replace(repr(one.method), "it") or one.outcome
            reasons.setdefault(reason, []).append(one.method)
    return list(reasons.items())


def duration(seconds: float) -> str:
    """Seconds in the unit that needs the fewest digits."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def reason_lines(diagnosis: Diagnosis) -> list[str]:
    """The methods that do not work, and why."""
    return [f"{', '.join(names)}: {reason}" for reason, names in refused(diagnosis)]
