"""Functions and models that fail on the way: they raise, give NaN, other shapes or types, or write into their input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any

import torch
from torch import Tensor

import xai_nlp.attr as ours
from tests.attr.calls import ROWS
from tests.attr.drawn import Case
from tests.attr.test_handed_back import tensors_in
from tests.attr.test_random_comparison import asked
from tests.hostile.models import explainers
from tests.hostile.trial import Trial, family
from xai_nlp.errors import XaiError
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.methods import METHODS


class Broken(Exception):
    """What a model of a trial raises."""


def raises(output: Any) -> Any:
    raise Broken


def mapped(change: Callable[[Tensor], Any]) -> Callable[[Any], Any]:
    """The change of an output's tensors."""

    def changed(output: Any) -> Any:
        if isinstance(output, Tensor):
            return change(output)
        if isinstance(output, dict):
            return type(output)(**{name: change(value) for name, value in output.items() if isinstance(value, Tensor)})
        return output

    return changed


FAULTS: dict[str, Callable[[Any], Any]] = {
    "raises": raises,
    "NaN": mapped(lambda t: t * float("nan")),
    "infinite": mapped(lambda t: t + float("inf")),
    "a row less": mapped(lambda t: t[:-1]),
    "no row": mapped(lambda t: t[:0]),
    "another axis": mapped(lambda t: t[None]),
    "a number": mapped(lambda t: t.sum()),
    "whole numbers": mapped(lambda t: t.long()),
    "detached": mapped(lambda t: t.detach()),
    "None": lambda output: None,
    "a text": lambda output: "output",
    "an empty tuple": lambda output: (),
    "in place": mapped(lambda t: t.detach().mul_(2)),
}


def from_pass(number: int, fault: Callable[[Any], Any]) -> Callable[..., Any]:
    """A hook that spoils a module's output from that pass on."""
    passes = 0

    def hook(module: Any, args: Any, output: Any) -> Any:
        nonlocal passes
        passes += 1
        return fault(output) if passes > number else output

    return hook


def run_name(name: str, seed: int, fault: str, number: int) -> None:
    """An attribution name of Captum's on a network that fails; its own error may be of any type."""
    kinds = ROWS[name].kinds
    case = Case("linear" if "linear" in kinds else kinds[0], f"{name} {seed}")
    make, how = ROWS[name].call(case)
    given = [*tensors_in(case.inputs), *tensors_in(how)]
    before, copies = fingerprint(case.net), [tensor.clone() for tensor in given]
    handle = case.net.register_forward_hook(from_pass(number, FAULTS[fault]))
    with suppress(Exception), handle:
        asked(ours, name, case.net, case, make, how)
    assert fingerprint(case.net) == before, "the network was changed"
    assert all(torch.equal(one, other) for one, other in zip(given, copies, strict=True)), "the inputs were changed"
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()


def run_task(name: str, method: str, fault: str, number: int) -> None:
    """A task whose model fails: the model's own error, or ours."""
    explainer, inputs = explainers()[name]
    before = fingerprint(explainer.model)
    handle = explainer.model.register_forward_hook(from_pass(number, FAULTS[fault]))
    own_errors = (Broken, XaiError) if fault in ("raises", "NaN", "infinite") else (Exception,)
    with suppress(*own_errors), handle:
        explainer.explain(**inputs, method=method, progress=False)
    assert fingerprint(explainer.model) == before, "the model was changed"


@family("forwards", quick=300, long=6000)
def trials(random: Random) -> Iterator[Trial]:
    names, methods = sorted(ROWS), sorted(METHODS)
    while True:
        fault, number, seed = random.choice(sorted(FAULTS)), random.choice([0, 0, 1, 2, 3, 5, 9]), random.randrange(100)
        if random.random() < 0.5:
            what = (random.choice(names), seed, fault, number)
            yield Trial(f"name {what}", lambda what=what: run_name(*what))
        else:
            what = (random.choice(sorted(explainers())), random.choice(methods), fault, number)
            yield Trial(f"task {what}", lambda what=what: run_task(*what))
