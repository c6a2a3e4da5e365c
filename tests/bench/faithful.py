"""Faithfulness: every method on sentences and on questions, against random orders (`xai-nlp evaluate explain`)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console

import xai_nlp
from xai_nlp.methods import METHODS
from xai_nlp.metrics.squad import SquadQuestion, read_squad
from xai_nlp.viz.terminal.method_comparison import render_comparison


def read(path: Path, most: int | None) -> list[dict[str, Any]]:
    """The sentences of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][:most]


def accuracy(explainer: Any, examples: list[dict[str, Any]]) -> float:
    """The share of sentences whose predicted label is the given one."""
    predicted = explainer.predict([e["text"] for e in examples])
    names = explainer.labels.names
    return sum(max(p, key=p.get) == names[e["label"]] for p, e in zip(predicted, examples, strict=True)) / len(examples)


def short(path: Path, most: int) -> list[SquadQuestion]:
    """Every so-manieth question of a SQuAD file whose context fits one window, `most` of them."""
    questions = list(read_squad(path))
    chosen = [one for one in questions[:: max(1, len(questions) // (2 * most))] if len(one.context) < 1500]
    return chosen[:most]


def table_of(questions: list[SquadQuestion]) -> dict[str, list[str]]:
    """Questions as a table."""
    return {"question": [one.question for one in questions], "context": [one.context for one in questions]}


def compare(data: Any, model: str, given: argparse.Namespace, **options: Any) -> None:
    """Compare the methods and print the table; write it, if asked."""
    comparison = xai_nlp.compare_methods(data, given.method or sorted(METHODS), model=model, seed=given.seed, **options)
    Console().print(render_comparison(comparison))
    if given.json:
        comparison.save(given.json)


def run(given: argparse.Namespace) -> None:
    compare(given.data, "sentiment", given, limit=given.most)


def run_answers(given: argparse.Namespace) -> None:
    given.method = given.method or [name for name in sorted(METHODS) if name != "attention_flow"]  # minutes a question
    compare(table_of(short(given.data, given.most)), "qa", given)


def add_to(commands: Any) -> None:
    sentences = commands.add_parser("faithful", help=__doc__)
    sentences.add_argument("--data", type=Path, default=Path("../shared/data/sst2_dev.jsonl"))
    sentences.add_argument("--most", type=int, help="only so many sentences, drawn at random")
    sentences.set_defaults(run=run)
    answers = commands.add_parser("faithful-qa", help="The same for answers.")
    answers.add_argument("--data", type=Path, default=Path("../shared/data/squad_dev.json"))
    answers.add_argument("--most", type=int, default=20)
    answers.set_defaults(run=run_answers)
    for parser in (sentences, answers):
        parser.add_argument("--method", action="append")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--json", type=Path)
