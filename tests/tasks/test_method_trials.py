"""Methods on one input: what works, what refuses and what fails are told apart, within a time."""

from types import SimpleNamespace

import pytest

from xai_nlp.core.diagnosis import MethodTrial
from xai_nlp.errors import Unsupported
from xai_nlp.tasks.method_trials import methods, tried


class Explainer:
    """Explains by one method, refuses another, and fails with all others."""

    def __init__(self):
        self.calls = []

    def explain(self, text, *, method, progress):
        self.calls.append((text, method, progress))
        if method == "lime":
            raise Unsupported("lime reads no such text. Take another.")
        if method == "lrp":
            raise ZeroDivisionError("by zero")
        return SimpleNamespace(method=method)

    def takes(self, method):
        return not method.name.startswith("attention")


def probe():
    return SimpleNamespace(explainer=Explainer(), example={"text": "a film"})


def test_outcomes_are_told_apart():
    done, here = [], probe()
    trials = tried(here, ["saliency", "lime", "lrp"], 60, lambda: done.append(1))
    assert [trial.outcome for trial in trials] == ["works", "refused", "failed"]
    assert [trial.reason for trial in trials] == [
        "", "lime reads no such text. Take another.", "ZeroDivisionError: by zero",
    ]  # fmt: skip
    assert all(trial.seconds > 0 for trial in trials) and len(done) == 3
    assert here.explainer.calls == [("a film", name, False) for name in ("saliency", "lime", "lrp")]


def test_none_begins_after_the_time():
    here = probe()
    trials = tried(here, ["saliency", "occlusion"], -1, lambda: None)
    assert {trial.outcome for trial in trials} == {"not tried"} and not here.explainer.calls
    assert methods(here, trials).sentence == "0 of 2 explain the example; 2 were not tried, for time."


def trial(method, outcome, reason=""):
    return MethodTrial(method=method, outcome=outcome, reason=reason)


@pytest.mark.parametrize(
    ("trials", "level", "sentence"),
    [
        ([trial("lime", "works")], "ok", "1 of 1 explain the example."),
        (
            [trial("lime", "works"), trial("attention_flow", "refused", "No attention. Take lime.")],
            "ok",
            "1 of 2 explain the example; 1 does not go with this model.",
        ),
        (
            [trial("shapley", "works"), trial("lime", "refused", "it is long. Shorten it.")],
            "warning",
            "1 of 2 explain the example; lime is refused: it is long.",
        ),
        ([trial("lime", "refused", "No. Yes.")], "error", "0 of 1 explain the example: No."),
        (
            [trial("lime", "works"), trial("lrp", "failed", "KeyError: 'a'")],
            "error",
            "1 of 2 explain the example; lrp fails: KeyError: 'a'.",
        ),
    ],
)
def test_what_they_say_together(trials, level, sentence):
    check = methods(probe(), trials)
    assert (check.level, check.sentence) == (level, sentence)
    assert bool(check.fix) == (level != "ok")
    assert check.measured["works"] == sum(one.outcome == "works" for one in trials)
    assert level != "warning" or "method='shapley'" in check.fix
