"""Explanations of every task as this version saves them, for tests of later ones: `python -m tests.recipes.saved`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import xai_nlp
from tests.recipes.llms import INPUTS, MODELS
from xai_nlp.core.serialization import FORMAT
from xai_nlp.core.trust import Trust, TrustCheck
from xai_nlp.errors import XaiError
from xai_nlp.tasks.table import TASKS

FOLDER = Path(__file__).parents[1] / "core" / "saved"
EXTRAS = ({"layers": True, "attention": True}, {"layers": True}, {"attention": True}, {"parts": True}, {})

DOUBT = Trust(
    checks=(
        TrustCheck(
            name="removal", level="holds in part", sentence="Some random orders do as well.", numbers={"distance": 1.25}
        ),
    ),
    passes=64,
)


def explanation(task: str) -> Any:
    """An explanation of this task with as much in it as the task allows."""
    explainer = MODELS[task]() if task in MODELS else xai_nlp.load(TASKS[task].embedded)
    for extra in EXTRAS:
        try:
            found = explainer.explain(**INPUTS[task], steps=3, progress=False, **extra)
        except XaiError:
            continue
        one = found if isinstance(found, xai_nlp.Explanation) else found[0]
        return replace(one, gold=("right",), trust=DOUBT)
    raise AssertionError(task)


def main() -> None:
    for task in TASKS:
        explanation(task).save(FOLDER / f"format-{FORMAT}-{task}.json")


if __name__ == "__main__":
    main()
