"""Faithfulness: delete the tokens a method thinks strongest, and see what the predicted class loses against random."""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import xai_nlp
from xai_nlp.core.batching import Batching
from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.methods import METHODS
from xai_nlp.metrics.squad import read_squad
from xai_nlp.tasks.qa_decoding import CONTEXT
from xai_nlp.tasks.run import predict


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


# Answers -------------------------------------------------------------------------------------------------------------


def span_log_probabilities(explainer: Any, texts: list[tuple[str, str]], spans: list[tuple[int, int]]) -> list[float]:
    """log p(start) + log p(end) of the tokens at these characters of each context."""
    questions, contexts = map(list, zip(*texts, strict=True))
    request = explainer.request({"question": questions, "context": contexts}, {})
    windows, results = explainer.encode(request), []
    with frozen_model(explainer.model, evaluate=True):
        outputs = predict(explainer, windows, Batching())
    for e, (start, end) in enumerate(spans):
        (w,) = [w for w, window in enumerate(windows) if window.example == e]
        places = zip(windows[w].segment, windows[w].offsets, strict=True)
        covered = [i for i, (s, (a, b)) in enumerate(places) if s == CONTEXT and a < end and b > start]
        chances = outputs[w][:, : len(windows[w])].log_softmax(-1)
        results.append(float(chances[0, covered[0]] + chances[1, covered[-1]]))
    return results


def outside(why: Explanation) -> list[int]:
    """The context's tokens that are not part of the answer."""
    assert why.answer is not None
    _, (start, end) = why.answer
    places = enumerate(zip(why.segment, why.offsets, strict=True))
    return [i for i, (s, (a, b)) in places if s == CONTEXT and (b <= start or a >= end)]


def blanked(why: Explanation, gone: list[int]) -> tuple[str, str]:
    """Question and context with these tokens as spaces: what remains stays where it was."""
    letters = list(why.segments[CONTEXT])
    for i in gone:
        start, end = why.offsets[i]
        letters[start:end] = " " * (end - start)
    return why.segments[0], "".join(letters)


def lost(explainer: Any, explanations: list[Explanation], orders: list[list[int]], share: float) -> float:
    """How much log-probability of its span the answer loses, on average, with the first `share` of each order gone."""
    spans = [why.answer[1] for why in explanations]  # type: ignore[index]
    before = span_log_probabilities(explainer, [(why.segments[0], why.segments[1]) for why in explanations], spans)
    pairs = zip(explanations, orders, strict=True)
    texts = [blanked(why, order[: math.ceil(share * len(order))]) for why, order in pairs]
    after = span_log_probabilities(explainer, texts, spans)
    return sum(b - a for b, a in zip(before, after, strict=True)) / len(spans)


def answer_ratios(
    explainer: Any, asked: list[Any], methods: list[str], share: float = 0.2, draws: int = 5
) -> dict[str, tuple[float, float]]:
    """(log-probability lost, over what random deletions lose) of each method."""
    generator = random.Random(0)
    questions, contexts = [a.question for a in asked], [a.context for a in asked]
    plain = list(explainer.explain(questions, contexts, method="random"))
    chance = [
        lost(explainer, plain, [generator.sample(outside(why), len(outside(why))) for why in plain], share)
        for _ in range(draws)
    ]
    by_chance = sum(chance) / draws
    found = {"deleted at random": (by_chance, 1.0)}
    for name in methods:
        explained = list(explainer.explain(questions, contexts, method=name))
        orders = [sorted(outside(why), key=lambda i, w=why: -w.scores[i]) for why in explained]
        loss = lost(explainer, explained, orders, share)
        found[name] = (loss, loss / by_chance)
    return found


def short(path: Path, most: int) -> list[Any]:
    """Every so-manieth question of a SQuAD file whose context fits one window, `most` of them."""
    asked = list(read_squad(path))
    chosen = [a for a in asked[:: max(1, len(asked) // (2 * most))] if len(a.context) < 1500]
    return chosen[:most]


def run_answers(given: argparse.Namespace) -> None:
    explainer, out = xai_nlp.load("qa"), Console()
    asked = short(given.data, given.most)
    methods = given.method or [name for name in sorted(METHODS) if name != "attention_flow"]  # minutes a question
    table = Table("method", "log-probability lost", "times random", "seconds", box=None)
    out.print(f"{len(asked)} questions, 20 % of the context outside the answer deleted")
    for name in methods:
        begin = time.perf_counter()
        found = answer_ratios(explainer, asked, [name])
        seconds = time.perf_counter() - begin
        if not table.row_count:
            table.add_row("deleted at random", f"{found['deleted at random'][0]:.3f}", "1.0 ×", "")
        loss, times = found[name]
        table.add_row(name, f"{loss:.3f}", f"{times:.1f} ×", f"{seconds:.0f}")
        out.print(f"{name}: {loss:.3f}, {times:.1f} ×")
    out.print(table)


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
    answers = commands.add_parser("faithful-qa", help="The same for answers: the span's log-probability.")
    answers.add_argument("--data", type=Path, default=Path("../shared/data/squad_dev.json"))
    answers.add_argument("--most", type=int, default=40)
    answers.add_argument("--method", action="append")
    answers.set_defaults(run=run_answers)
