"""Faithfulness: delete the tokens a method thinks strongest, and see what the predicted class loses against random."""

from __future__ import annotations

import argparse
import json
import math
import random
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import xai_nlp
from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.methods import METHODS


def read(path: Path, most: int | None) -> list[dict[str, Any]]:
    """The sentences of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][:most]


def without(why: Explanation, order: list[int], share: float) -> str:
    """The text without the first `share` of `order`, at least one token."""
    gone = order[: max(1, math.ceil(share * len(order)))]
    kept = set(range(len(why.segments[0])))
    for i in gone:
        kept -= set(range(*why.offsets[i]))
    return "".join(c if k in kept else " " for k, c in enumerate(why.segments[0]))


def drop(explainer: Any, explanations: list[Explanation], orders: list[list[int]], share: float) -> float:
    """How much probability the predicted label loses, on average."""
    texts = [without(why, order, share) for why, order in zip(explanations, orders, strict=True)]
    after = explainer.predict([text if text.strip() else "[PAD]" for text in texts])
    losses = [why.outputs[why.prediction] - p[why.prediction] for why, p in zip(explanations, after, strict=True)]
    return sum(losses) / len(losses)


def words_of(why: Explanation) -> list[int]:
    return [i for i, segment in enumerate(why.segment) if segment != SPECIAL]


def accuracy(explainer: Any, examples: list[dict[str, Any]]) -> float:
    """The share of sentences whose predicted label is the given one."""
    predicted = explainer.predict([e["text"] for e in examples])
    names = explainer.labels.names
    return sum(max(p, key=p.get) == names[e["label"]] for p, e in zip(predicted, examples, strict=True)) / len(examples)


def ratios(
    explainer: Any, texts: list[str], methods: list[str], share: float = 0.2, draws: int = 5
) -> dict[str, tuple[float, float]]:
    """(drop, drop over random drop) of each method."""
    generator = random.Random(0)
    plain = list(explainer.explain(texts, method="saliency"))
    chance = [
        drop(explainer, plain, [generator.sample(words_of(why), len(words_of(why))) for why in plain], share)
        for _ in range(draws)
    ]
    by_chance = sum(chance) / draws
    found = {"deleted at random": (by_chance, 1.0)}
    for name in methods:
        explained = list(explainer.explain(texts, method=name))
        orders = [sorted(words_of(why), key=lambda i, w=why: -w.scores[i]) for why in explained]
        lost = drop(explainer, explained, orders, share)
        found[name] = (lost, lost / by_chance)
    return found


def run(given: argparse.Namespace) -> None:
    explainer, examples = xai_nlp.load("sentiment"), read(given.data, given.most)
    out = Console()
    out.print(f"{len(examples)} sentences, accuracy {100 * accuracy(explainer, examples):.2f} %")
    table = Table("method", "probability lost", "times random", box=None)
    for name, (lost, times) in ratios(explainer, [e["text"] for e in examples], sorted(METHODS)).items():
        table.add_row(name, f"{lost:.4f}", f"{times:.1f} ×")
    out.print(table)


def add_to(commands: Any) -> None:
    parser = commands.add_parser("faithful", help=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/sst2_dev.jsonl"))
    parser.add_argument("--most", type=int, help="only so many sentences")
    parser.set_defaults(run=run)
