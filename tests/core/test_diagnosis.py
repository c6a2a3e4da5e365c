"""The result of the doctor: what it says in one line, by name, and as JSON."""

import json
from dataclasses import FrozenInstanceError

import pytest

from xai_nlp.core.diagnosis import Check, Diagnosis, MethodTrial, error, ok, warning
from xai_nlp.errors import UnknownName


def check(name, level="ok", **more):
    return Check(name=name, level=level, sentence=f"About {name}.", **more)


FINE, ODD, BAD = check("files"), check("dtype", "warning", fix="Load it."), check("padding", "error", fix="Mend it.")


@pytest.mark.parametrize(
    ("checks", "healthy", "sentence"),
    [
        ((FINE,), True, "a is healthy: 1 check passed."),
        ((FINE, FINE, ODD), True, "a is healthy: 2 checks passed, 1 warning."),
        ((FINE, ODD, BAD, BAD), False, "a is not healthy: 2 errors, 1 warning; 1 check passed."),
        ((BAD,), False, "a is not healthy: 1 error."),
    ],
)
def test_the_verdict_is_one_sentence(checks, healthy, sentence):
    diagnosis = Diagnosis(model="a", checks=checks)
    assert (diagnosis.healthy, diagnosis.sentence) == (healthy, sentence)


def test_checks_are_found_by_place_and_by_name():
    diagnosis = Diagnosis(model="a", checks=(FINE, ODD, BAD))
    assert list(diagnosis) == [FINE, ODD, BAD] and len(diagnosis) == 3
    assert diagnosis[1] is diagnosis["dtype"] is ODD
    assert diagnosis[1:] == (ODD, BAD)
    assert diagnosis.of_level("error") == (BAD,)
    with pytest.raises(UnknownName, match="Did you mean 'padding'"):
        diagnosis["paddin"]


def test_it_is_frozen_and_short():
    diagnosis = Diagnosis(model="a", checks=(FINE, *[BAD] * 30))
    with pytest.raises(FrozenInstanceError):
        diagnosis.model = "b"
    assert len(repr(diagnosis)) < 150
    assert repr(Diagnosis(model="a", checks=(FINE,))) == "<Diagnosis of a: healthy; all ok>"


def test_json_holds_all_of_it():
    trial = MethodTrial(method="lime", outcome="refused", seconds=0.5, reason="no “words”")
    diagnosis = Diagnosis(model="ä", checks=(FINE, BAD), methods=(trial,), versions={"torch": "2"}, omitted=("cost",))
    data = json.loads(diagnosis.to_json())
    assert data["healthy"] is False and data["model"] == "ä" and data["omitted"] == ["cost"]
    assert data["checks"][1] == {
        "name": "padding", "level": "error", "sentence": "About padding.", "fix": "Mend it.", "measured": {},
    }  # fmt: skip
    assert data["methods"] == [{"method": "lime", "outcome": "refused", "seconds": 0.5, "reason": "no “words”"}]


def test_what_a_check_function_returns():
    assert ok("Fine.", layers=3).measured == {"layers": 3}
    assert (warning("Odd.", "Do it.").level, error("Bad.", "Do it.").level) == ("warning", "error")
    assert error("Bad.", "Do it.").fix == "Do it."
