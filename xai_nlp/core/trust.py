"""How far an explanation can be trusted: independent checks, each with a level, a sentence and its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

TrustLevel = Literal["holds", "holds in part", "do not rely on it"]
LEVELS: tuple[TrustLevel, ...] = get_args(TrustLevel)  # the best first
Extent = Literal["quick", "full"]
EXTENTS: tuple[Extent, ...] = get_args(Extent)


@dataclass(frozen=True, kw_only=True)
class TrustCheck:
    """One check of an explanation.

    name: such as "removal" or "residual". level: what the check allows by itself. sentence: what it saw, in words.
    numbers: what the sentence rests on, by name.
    """

    name: str
    level: TrustLevel
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Trust:
    """How far an explanation can be trusted: as far as its weakest check.

    extent: "quick" or "full". passes: model passes that the checks cost, a backward pass counted as one.

    >>> residual = TrustCheck(name="residual", level="holds", sentence="The scores leave 1 % unexplained.")
    >>> removal = TrustCheck(name="removal", level="holds in part", sentence="Some random orders do as well.")
    >>> str(Trust(checks=(residual, removal)))
    'Holds in part. Some random orders do as well.'
    """

    checks: tuple[TrustCheck, ...]
    extent: Extent = "quick"
    passes: int = 0

    @property
    def level(self) -> TrustLevel:
        """The lowest level among the checks."""
        return self.weakest.level

    @property
    def weakest(self) -> TrustCheck:
        """The first check with the lowest level."""
        return max(self.checks, key=lambda check: LEVELS.index(check.level))

    def __getitem__(self, name: str) -> TrustCheck:
        """The check of that name. Raises KeyError."""
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    def __str__(self) -> str:
        return f"{self.level[0].upper()}{self.level[1:]}. {self.weakest.sentence}"
