"""Trust verdicts: how often each method gets each level, and what a verdict costs: `python -m tests.bench trust`."""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import xai_nlp
from tests.bench.faithful import read, short
from tests.bench.pointing import single
from xai_nlp.core.result import Explanation
from xai_nlp.core.statistics import proportion
from xai_nlp.core.trust import LEVELS
from xai_nlp.hooks.pass_counts import forward_passes

METHODS = (
    "integrated_gradients", "shapley", "deep_lift", "occlusion", "input_x_gradient", "saliency", "attention_rollout",
    "random",
)  # fmt: skip
SHUFFLED = "integrated_gradients, shuffled"
BACKWARD = {"integrated_gradients", "deep_lift", "input_x_gradient", "saliency"}  # a pass back for each pass forward


def inputs_of(task: str, folder: Path, most: int) -> list[dict[str, Any]]:
    """The inputs of so many examples of an embedded model's task."""
    if task == "sentiment":
        return [{"text": one["text"]} for one in read(folder / "sst2_dev.jsonl", most)]
    if task == "qa":
        return [{"question": one.question, "context": one.context} for one in short(folder / "squad_dev.json", most)]
    examples = single(xai_nlp.load("vqa"), most)
    return [{"image": one.scene.image(), "question": one.question.text} for one in examples]


def shuffled(why: Explanation, generator: random.Random) -> Explanation:
    """The explanation with the scores of its words and of its regions in another order."""
    scores = generator.sample(why.scores, len(why.scores))
    image = why.image
    if image is not None:
        image = replace(image, scores=tuple(generator.sample(image.scores, len(image.scores))))
    return replace(why, scores=tuple(scores), image=image, complete=False)


def verdicts(task: str, inputs: Sequence[dict[str, Any]], method: str, extent: str) -> Iterator[tuple[Any, float]]:
    """The verdict on each example, and its cost as a multiple of the explanation's, a backward pass counted as one."""
    explainer, generator = xai_nlp.load(task), random.Random(0)
    name = "integrated_gradients" if method == SHUFFLED else method
    for one in inputs:
        with forward_passes(explainer.model) as alone:
            why = explainer.explain(**one, method=name, progress=False)
        trust = explainer.trust(shuffled(why, generator) if method == SHUFFLED else why, extent, **one)
        passes = alone.rows * (2 if name in BACKWARD else 1)
        yield trust, trust.passes / passes


def run(given: argparse.Namespace) -> None:
    out = Console()
    results: dict[str, Any] = {}
    for task in given.tasks:
        inputs = inputs_of(task, given.data, given.most)
        table = Table("method", *LEVELS, "holds, 95 % interval", "cost of the verdict", box=None)
        for method in given.method or (*METHODS, SHUFFLED):
            found = list(verdicts(task, inputs, method, given.extent))
            levels = Counter(trust.level for trust, _ in found)
            weakest = Counter(trust.weakest.name for trust, _ in found if trust.level != LEVELS[0])
            low, high = proportion(levels[LEVELS[0]], len(found)).interval or (0, 0)
            costs = sorted(cost for _, cost in found)
            rates = [f"{100 * levels[level] / len(found):.1f} %" for level in LEVELS]
            table.add_row(method, *rates, f"{100 * low:.0f}–{100 * high:.0f} %", f"{costs[len(costs) // 2]:.1f} ×")
            results[f"{task} {method}"] = {"levels": levels, "weakest": weakest, "cost": costs[len(costs) // 2]}
            out.print(f"{task} {method}: {dict(levels)}, weakest {dict(weakest)}", highlight=False)
        out.print(f"{task}: {len(inputs)} examples, {given.extent} verdicts", table, sep="\n")
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))


def add_to(commands: Any) -> None:
    parser = commands.add_parser("trust", help=__doc__)
    parser.add_argument("--tasks", nargs="+", default=["sentiment"], choices=["sentiment", "qa", "vqa"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--most", type=int, default=300)
    parser.add_argument("--extent", default="quick", choices=["quick", "full"])
    parser.add_argument("--method", action="append")
    parser.add_argument("--json", type=Path, help="also write the counts")
    parser.set_defaults(run=run)
