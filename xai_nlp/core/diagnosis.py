"""The frozen result of `xai_nlp.doctor`: independent checks of a model, and the methods that were tried on it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, overload

from xai_nlp.errors import UnknownName

Level = Literal["ok", "warning", "error"]
Outcome = Literal["works", "refused", "failed", "not tried"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """What one check found.

    level: "ok"; "warning", where explanations are right but something is worth knowing; "error", where they are wrong
        or impossible. fix: what to do about it; "" for a check that is ok. measured: the numbers behind the sentence.
    """

    name: str
    level: Level
    sentence: str
    fix: str = ""
    measured: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MethodTrial:
    """One method, tried with its defaults on one short input.

    outcome: "works"; "refused", with the method's own message; "failed", with an error that nobody expected; or "not
        tried". seconds: how long it took. reason: the message; "" where it works.
    """

    method: str
    outcome: Outcome
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Diagnosis(Sequence[Check]):
    """The checks of one model, in the order in which they were made.

    omitted: checks that need an output of the model, where it gives none.
    seconds: how long all of it took.

    >>> fine, bad = Check(name="dtype", level="ok", sentence="…"), Check(name="padding", level="error", sentence="…")
    >>> Diagnosis(model="a", checks=(fine,)).healthy, Diagnosis(model="a", checks=(fine, bad)).healthy
    (True, False)
    """

    model: str
    checks: tuple[Check, ...]
    task: str = ""
    architecture: str = ""
    methods: tuple[MethodTrial, ...] = ()
    omitted: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def healthy(self) -> bool:
        """Is there no error? Warnings are allowed."""
        return not self.of_level("error")

    def of_level(self, level: Level) -> tuple[Check, ...]:
        """The checks of one level."""
        return tuple(check for check in self.checks if check.level == level)

    @overload
    def __getitem__(self, key: int | str) -> Check: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Check, ...]: ...
    def __getitem__(self, key: int | str | slice) -> Check | tuple[Check, ...]:
        """A check by its place or by its name. Raises UnknownName for a name that no check has."""
        if not isinstance(key, str):
            return self.checks[key]
        for check in self.checks:
            if check.name == key:
                return check
        raise UnknownName("check", key, [check.name for check in self.checks])

    def __len__(self) -> int:
        return len(self.checks)

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    @property
    def sentence(self) -> str:
        """The verdict in one sentence.

        >>> Diagnosis(model="a", checks=(Check(name="dtype", level="ok", sentence="…"),)).sentence
        'a is healthy: 1 check passed.'
        """
        counts = Counter(check.level for check in self.checks)
        noun = {"ok": "check", "warning": "warning", "error": "error"}
        said = {level: f"{counts[level]} {noun[level]}{'s' * (counts[level] != 1)}" for level in counts}
        warned = f", {said['warning']}" if "warning" in said else ""
        if self.healthy:
            return f"{self.model} is healthy: {said.get('ok', 'no check')} passed{warned}."
        passed = f"; {said['ok']} passed" if "ok" in said else ""
        return f"{self.model} is not healthy: {said['error']}{warned}{passed}."

    def to_json(self) -> str:
        """The diagnosis as JSON: the fields, and `healthy`."""
        return json.dumps({"healthy": self.healthy, **asdict(self)}, ensure_ascii=False, indent=1)

    def to_ansi(self, *, colour: bool = True, width: int = 80) -> str:
        """The diagnosis as text for a terminal."""
        from xai_nlp.viz.terminal.ansi import printed
        from xai_nlp.viz.terminal.diagnosis import render_diagnosis

        return printed(render_diagnosis(self), colour=colour, width=width)

    def __repr__(self) -> str:
        wrong = [f"{check.name} ({check.level})" for check in self.checks if check.level != "ok"]
        listed = ", ".join(wrong[:4]) + (f" and {len(wrong) - 4} more" if len(wrong) > 4 else "")
        return f"<Diagnosis of {self.model}: {'healthy' if self.healthy else 'not healthy'}; {listed or 'all ok'}>"

    def _repr_html_(self) -> str:
        from xai_nlp.viz.page.diagnosis import diagnosis_html

        return diagnosis_html(self)


def ok(sentence: str, **measured: float) -> Check:
    """A check that found nothing wrong; it gets its name where it is listed."""
    return Check(name="", level="ok", sentence=sentence, measured=measured)


def warning(sentence: str, fix: str, **measured: float) -> Check:
    """A check that found something worth knowing."""
    return Check(name="", level="warning", sentence=sentence, fix=fix, measured=measured)


def error(sentence: str, fix: str, **measured: float) -> Check:
    """A check that found explanations wrong or impossible."""
    return Check(name="", level="error", sentence=sentence, fix=fix, measured=measured)
