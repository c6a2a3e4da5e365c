"""Every option of every task and method with values of every type: our errors, or a result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from random import Random
from typing import Any

import numpy as np
import torch

from tests.hostile.models import check_finite, explainers
from tests.hostile.trial import Trial, family
from xai_nlp.errors import XaiError
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.methods import METHODS
from xai_nlp.tasks.options import OPTION_NAMES

VALUES: tuple[Any, ...] = (
    None, -1, 0, 1, 2, 1.5, 1.0, "", "x", "1", "all", "auto", b"x", [], {}, (), (1,), [None], [1, 2], ["x"], {"a": 1},
    object(), True, False, float("nan"), float("inf"), 10**30, -(10**30), 2**70, np.int64(2), np.float32(0.5),
    np.array(3), np.zeros(2), np.zeros((3, 3)), torch.tensor(1), torch.zeros(2), "\ud800", "a\0b", "x" * 300,
)  # fmt: skip


def drawn(random: Random) -> tuple[str, dict[str, Any]]:
    """A task, and one to three of its options with values of any type."""
    name = random.choice(sorted(explainers()))
    explainer, inputs = explainers()[name]
    method = random.choice(sorted(METHODS) if random.random() < 0.5 else ["saliency"])
    own = [one.name for one in explainer.task.options] + list(explainer.python_options)
    of_method = [one.name for one in fields(METHODS[method])]  # type: ignore[arg-type]
    names = [*OPTION_NAMES, *own, *of_method * 2, *inputs, "column"]
    changed = {random.choice(names): random.choice(VALUES) for _ in range(random.choice([1, 1, 1, 2, 3]))}
    return name, {"method": method, "progress": False, **inputs, **changed}


def run(name: str, options: dict[str, Any]) -> None:
    explainer, _ = explainers()[name]
    before = fingerprint(explainer.model)
    with suppress(XaiError):
        check_finite(explainer.explain(**options))
    assert fingerprint(explainer.model) == before


@family("options", quick=600, long=10_000)
def trials(random: Random) -> Iterator[Trial]:
    while True:
        name, options = drawn(random)
        yield Trial(f"{name} {options!r}"[:300], lambda name=name, options=options: run(name, options))
