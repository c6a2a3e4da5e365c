"""Several threads explain with one model at once: each gets what it gets alone, and the model is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier
from typing import Any

import pytest

from tests.hostile.models import explainers
from tests.hostile.trial import Trial, family
from xai_nlp.core.result import Explanation
from xai_nlp.hooks.model_state import fingerprint

CALLS: tuple[dict[str, Any], ...] = (
    {"method": "saliency"},
    {"method": "integrated_gradients", "steps": 4},
    {"method": "integrated_gradients", "steps": 3, "layer": 1},
    {"method": "integrated_gradients", "attention": True, "steps": 3},
    {"method": "conductance", "layer": 0, "steps": 3},
    {"method": "occlusion"},
    {"method": "deep_lift"},
    {"method": "lrp"},
    {"method": "guided_backprop"},
    {"method": "attention_rollout"},
    {"method": "attention_relevance"},
    {"method": "grad_cam"},
    {"method": "kernel_shap", "samples": 8},
)
TASKS = ("classification", "bytes", "answers")


def scores_of(result: Any) -> list[float]:
    return [score for why in ([result] if isinstance(result, Explanation) else result) for score in why.scores]


def run(name: str, calls: list[dict[str, Any]]) -> None:
    explainer, inputs = explainers()[name]
    explainer.model.train()  # a mode that must come back
    try:
        explain_together(explainer, inputs, calls)
    finally:
        explainer.model.eval()  # other tests use it


def explain_together(explainer: Any, inputs: dict[str, Any], calls: list[dict[str, Any]]) -> None:
    before = fingerprint(explainer.model)
    alone = [scores_of(explainer.explain(**inputs, **call, progress=False)) for call in calls]
    together = Barrier(len(calls))

    def work(call: dict[str, Any]) -> list[float]:
        together.wait(10)
        return scores_of(explainer.explain(**inputs, **call, progress=False))

    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(work, call) for call in calls]
        for call, future, expected in zip(calls, futures, alone, strict=True):
            assert future.result(60) == pytest.approx(expected, abs=1e-5, rel=1e-4), call
    assert fingerprint(explainer.model) == before


@family("threads", quick=40, long=1000)
def trials(random: Random) -> Iterator[Trial]:
    while True:
        name, calls = random.choice(TASKS), random.choices(CALLS, k=random.randint(2, 4))
        yield Trial(f"{name} {calls}", lambda name=name, calls=calls: run(name, calls))
