"""Progress in passes: the estimate, the callback, the lines of a log."""

import xai_nlp
from tests.models.tiny import tiny
from xai_nlp.core import progress
from xai_nlp.tasks.progress import PassCounter, pass_counter


class Bar:
    def __init__(self):
        self.total, self.states = None, []

    def update(self, n):
        self.states.append((len(self.states) + n, self.total))


def test_the_estimate_ends_at_the_passes_that_were_made():
    counter = PassCounter(4, bar=(bar := Bar()))
    for _ in range(2):
        counter.begin(2)
        for done in (4, 8, 10):
            counter.on_rows(done, 10)
        counter.on_rows(6, 6)  # one more sweep, which nobody knew of
        counter.end()
    assert [passes for passes, _ in bar.states] == list(range(1, 9))
    assert bar.states[-1] == (8, 8)
    assert all(passes <= total for passes, total in bar.states)
    assert bar.states[3][1] == 8, "half of the windows took four passes"


def test_a_function_gets_windows(monkeypatch):
    calls = []
    explainer = xai_nlp.load(*tiny("bert"))
    explainer.explain(["a film", "the plot was great"] * 3, progress=lambda *state: calls.append(state), steps=4)
    assert calls[-1] == (6, 6) and [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_true_is_a_bar_of_passes(monkeypatch, capsys):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    monkeypatch.setattr(progress, "LOG_INTERVAL", 0.0)
    with pass_counter(True, 1) as counter:
        counter.begin(1)
        for done in range(1, 4):
            counter.on_rows(done, 3)
    assert "3/3" in (shown := capsys.readouterr().err) and "pass" in shown


def test_false_shows_nothing(capsys):
    for quiet in (False, None):
        with pass_counter(quiet, 1) as counter:
            counter.begin(1)
            counter.on_rows(1, 1)
            counter.end()
    assert capsys.readouterr().err == ""


def test_a_bar_of_ones_own_counts_passes():
    explainer, bar = xai_nlp.load(*tiny("bert")), Bar()
    explainer.explain("the film was great", method="kernel_shap", samples=40, batch_size=4, progress=bar)
    assert bar.states[-1][0] == bar.states[-1][1] >= 5
