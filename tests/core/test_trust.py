"""The trust verdict as data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.recipes.saved import DOUBT
from xai_nlp.core.trust import LEVELS, Trust, TrustCheck


def check(name: str, level: str) -> TrustCheck:
    return TrustCheck(name=name, level=level, sentence=f"This is {name}.")  # type: ignore[arg-type]


def test_a_verdict_is_that_of_its_weakest_check() -> None:
    checks = [check("a", "holds"), check("b", "do not rely on it"), check("c", "holds in part")]
    trust = Trust(checks=tuple(checks))
    assert trust.level == "do not rely on it"
    assert trust.weakest is checks[1]
    assert str(trust) == "Do not rely on it. This is b."


def test_of_equal_checks_the_first_one_speaks() -> None:
    trust = Trust(checks=(check("a", "holds"), check("b", "holds")))
    assert trust.weakest.name == "a"
    assert trust.level == LEVELS[0]


def test_a_check_is_looked_up_by_its_name() -> None:
    assert DOUBT["removal"].numbers["distance"] == 1.25
    with pytest.raises(KeyError, match="baseline"):
        DOUBT["baseline"]


def test_verdicts_compare_by_their_values() -> None:
    assert replace(DOUBT) == DOUBT
    assert replace(DOUBT, passes=1) != DOUBT
