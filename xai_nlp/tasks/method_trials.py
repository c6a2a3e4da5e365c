"""Every method tried on one short input, with its defaults."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from xai_nlp.core.diagnosis import Check, MethodTrial, Outcome, error, ok, warning
from xai_nlp.errors import XaiError
from xai_nlp.methods import find_method
from xai_nlp.tasks.model_checks import listed
from xai_nlp.tasks.pass_checks import first_sentence
from xai_nlp.tasks.probe import Probe

USUAL = ("integrated_gradients", "shapley")  # methods that are named where others are refused


def tried(probe: Probe, names: Sequence[str], seconds: float, done: Callable[[], None]) -> tuple[MethodTrial, ...]:
    """Each method on the example; none begins after so many seconds. `done` is called after each."""
    trials, began = [], time.monotonic()
    for name in names:
        late = time.monotonic() - began > seconds
        trials.append(MethodTrial(method=name, outcome="not tried") if late else _trial(probe, name))
        done()
    return tuple(trials)


def _trial(probe: Probe, name: str) -> MethodTrial:
    outcome: Outcome = "works"
    began, reason = time.perf_counter(), ""
    try:
        result = probe.explainer.explain(**probe.example, method=name, progress=False)
        assert result.method == name  # explanations are made when they are read
    except XaiError as refusal:
        outcome, reason = "refused", str(refusal)
    except Exception as failure:
        outcome, reason = "failed", f"{type(failure).__name__}: {failure}"
    return MethodTrial(method=name, outcome=outcome, seconds=time.perf_counter() - began, reason=reason)


def methods(probe: Probe, trials: Sequence[MethodTrial]) -> Check:
    """What the trials say together."""
    by_outcome: dict[str, list[str]] = {"works": [], "refused": [], "failed": [], "not tried": []}
    for trial in trials:
        by_outcome[trial.outcome].append(trial.method)
    working, refused, failed, left = by_outcome.values()
    reasons = {trial.method: first_sentence(trial.reason) for trial in trials if trial.reason}
    counts = {outcome: len(names) for outcome, names in by_outcome.items()}
    sentence = f"{len(working)} of {len(trials)} explain the example"
    sentence += f"; {len(left)} were not tried, for time" if left else ""
    if failed:
        return error(
            f"{sentence}; {listed(failed)} {_verb(failed, 'fails', 'fail')}: {reasons[failed[0]]}",
            "Choose a method that works, and report this with the model's name.",
            **counts,
        )
    if refused and not working:
        return error(f"{sentence}: {reasons[refused[0]]}", "Mend what the checks above name.", **counts)
    here = [name for name in refused if probe.explainer.takes(find_method(name))]
    if here:
        return warning(
            f"{sentence}; {listed(here)} {_verb(here, 'is', 'are')} refused: {reasons[here[0]]}",
            f"Choose a method that works, such as method={next((n for n in USUAL if n in working), working[0])!r}.",
            **counts,
        )
    apart = f"; {len(refused)} {_verb(refused, 'does', 'do')} not go with this model" if refused else ""
    return ok(f"{sentence}{apart}.", **counts)


def _verb(names: Sequence[str], one: str, several: str) -> str:
    return one if len(names) == 1 else several
