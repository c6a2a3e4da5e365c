"""Hostile trials: inputs and faults that come by the thousand, in families, from a seed."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Trial:
    """One hostile input or fault. `run` returns if the promise was held, and raises if it was not."""

    name: str
    run: Callable[[], None]


@dataclass(frozen=True)
class Family:
    """Trials of one kind.

    trials: makes the trials from a random generator, without end or until it has no more.
    quick: how many of them the test suite runs.
    long: how many of them `python -m tests.hostile` runs.
    """

    name: str
    trials: Callable[[random.Random], Iterator[Trial]]
    quick: int
    long: int


FAMILIES: dict[str, Family] = {}


def family(name: str, *, quick: int, long: int) -> Callable[..., Callable[..., Iterator[Trial]]]:
    """Register a generator of trials under a name."""

    def register(trials: Callable[[random.Random], Iterator[Trial]]) -> Callable[[random.Random], Iterator[Trial]]:
        FAMILIES[name] = Family(name, trials, quick, long)
        return trials

    return register


@dataclass
class Count:
    """What came of the trials of a family: how many were tried, and which promises were not held."""

    tried: int = 0
    seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def held(self) -> int:
        return self.tried - len(self.failed)


def run_family(family: Family, count: int, seed: int = 0) -> Count:
    """Run that many trials of a family, or as many as there are."""
    result = Count()
    start = time.monotonic()
    for _, trial in zip(range(count), family.trials(random.Random(seed)), strict=False):
        result.tried += 1
        try:
            trial.run()
        except Exception:
            result.failed[f"{result.tried}: {trial.name}"] = traceback.format_exc(limit=-3)
    result.seconds = time.monotonic() - start
    return result
