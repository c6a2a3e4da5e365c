"""How many points of its path does `steps="auto"` evaluate for an example, by its rule and by others?

`python -m tests.bench points --data FOLDER`: sentences of SST-2, questions of SQuAD, drawn scenes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from rich.console import Console
from rich.table import Table

import xai_nlp
from tests.bench.faithful import read, table_of
from xai_nlp.core import adaptive_quadrature
from xai_nlp.core.quadrature import PathRule, clenshaw_curtis, closed_patterson, tangent_clenshaw_curtis
from xai_nlp.data.scenes import labelled_scenes, scenes
from xai_nlp.metrics.squad import read_squad

FINE = 257  # steps of the explanation that counts as exact
RULES = {
    "": adaptive_quadrature.PATH_RULE,
    " without tangent": PathRule(closed_patterson, under_tangent=False),
    " of Clenshaw-Curtis": tangent_clenshaw_curtis,
    " without either": PathRule(clenshaw_curtis, under_tangent=False),
}


def examples(data: Path, most: int) -> dict[str, dict[str, Any]]:
    """model -> the inputs of its examples."""
    questioned, labelled = list(scenes(most, seed=5)), labelled_scenes(most, seed=5)
    questions = list(islice(read_squad(data / "squad_dev.json"), max(1, most // 8)))  # each takes long
    return {
        "sentiment": {"text": [one["text"] for one in read(data / "sst2_dev.jsonl", most)]},
        "qa": {name: values for name, values in table_of(questions).items() if name in ("question", "context")},
        "image": {"image": [one.scene.image() for one in labelled]},
        "vqa": {
            "image": [one.scene.image() for one in questioned],
            "question": [one.question.text for one in questioned],
        },
    }


def points(explain: Callable[..., Any], exact: list[np.ndarray], rule: Any) -> tuple[float, float]:
    """The mean number of points of an example, and the mean error of its scores as a share of Σ |score|."""
    with patch.dict(adaptive_quadrature.nested_quadrature.__kwdefaults__, rule=rule):
        explanations = explain()
    errors = [
        np.abs(_scores(one) - right).sum() / np.abs(right).sum() for one, right in zip(explanations, exact, strict=True)
    ]
    return float(np.mean([one.params["steps_used"] for one in explanations])), float(np.mean(errors))


def _scores(explanation: Any) -> np.ndarray:
    regions = explanation.image.scores if explanation.image else ()
    return np.array([*explanation.scores, *regions])


def run(given: argparse.Namespace) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "examples", *(f"{what}{name}" for name in RULES for what in ("points", "error"))):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for name, inputs in examples(given.data, given.most).items():
        explainer = xai_nlp.load(name)

        def explain(explainer: Any = explainer, inputs: Any = inputs, **options: Any) -> Any:
            return explainer.explain(**inputs, progress=False, **options)

        exact = [_scores(one) for one in explain(steps=FINE)]
        counts = [points(explain, exact, rule) for rule in RULES.values()]
        cells = [cell for count, error in counts for cell in (f"{count:.1f}", f"{error:.4f}")]
        table.add_row(name, str(len(exact)), *cells)
    Console(width=180).print(table)


def add_to(commands: Any) -> None:
    parser = commands.add_parser("points", help=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder with sst2_dev.jsonl and squad_dev.json")
    parser.add_argument("--most", type=int, default=48, help="so many examples; an eighth of them questions")
    parser.set_defaults(run=run)
