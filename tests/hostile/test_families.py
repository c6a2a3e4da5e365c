"""Each family of hostile trials, a bounded number of them. `python -m tests.hostile` runs more."""

import pytest

from tests.hostile.families import FAMILIES
from tests.hostile.trial import Family, Trial, run_family


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_promise_is_held(name):
    count = run_family(FAMILIES[name], FAMILIES[name].quick)
    assert count.tried > 0
    assert not count.failed, "\n".join(f"{trial}\n{error}" for trial, error in count.failed.items())


def test_a_broken_promise_is_counted():
    def trials(random):
        yield Trial("held", lambda: None)
        yield Trial("not held", lambda: 1 / 0)

    count = run_family(Family("example", trials, quick=2, long=2), 5)
    assert (count.tried, count.held) == (2, 1)
    assert "ZeroDivisionError" in count.failed["2: not held"]
