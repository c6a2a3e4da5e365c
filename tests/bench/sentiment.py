"""Sentiment: layer integrated gradients and token occlusion, ours against Captum 0.9, in one run.

Captum is called as its tutorials do: the default batching, and where named its best.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import captum.attr as captum
import torch
from rich.console import Console
from rich.table import Table
from transformers import BertConfig, BertForSequenceClassification

import xai_nlp
import xai_nlp.attr as ours
from tests.bench.faithful import read
from tests.bench.measure import Pair, gemm_rate, largest_difference, paired, peak_memory
from xai_nlp.attr.problems import layer_points, subject_of
from xai_nlp.core.forward import Forward
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.methods.path import IntegratedGradientsMethod
from xai_nlp.models import loading
from xai_nlp.tasks.table import TASKS

WORDS = [
    "the",
    "film",
    "is",
    "a",
    "gripping",
    "dull",
    "story",
    "of",
    "two",
    "sisters",
    "and",
    "their",
    "lifeless",
    "beautifully",
    "acted",
    "mess",
    "not",
    "never",
    "great",
]

load_model = partial(loading.load_model, tasks=TASKS)


def base(tokens: int = 128) -> tuple[Any, Any, torch.Tensor, torch.Tensor]:
    """BERT-base with random weights: model, embedding layer, ids and pad baseline of one text."""
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig()).eval()
    ids = torch.randint(1000, 30000, (1, tokens))
    return model, model.bert.embeddings, ids, torch.zeros_like(ids)


def embedded(tokens: int = 128) -> tuple[Any, Any, torch.Tensor, torch.Tensor]:
    """The embedded model and a text of its own vocabulary."""
    loaded = load_model("sentiment")
    generator = random.Random(0)
    text = " ".join(generator.choice(WORDS) for _ in range(tokens - 2))
    ids = loaded.tokenizer(text, return_tensors="pt", truncation=True, max_length=tokens)["input_ids"]
    other = ids.clone()
    other[:, 1:-1] = loaded.tokenizer.pad_token_id
    return loaded.model, loaded.model.bert.embeddings, ids, other


MODELS: dict[str, Callable[..., Any]] = {"BERT-base size, random": base, "embedded": embedded}


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    return model(ids).logits


def lig(package: Any, which: str, steps: int = 50) -> Callable[[], Any]:
    model, layer, ids, other = MODELS[which]()
    method = package.LayerIntegratedGradients(partial(logits, model), layer)
    with torch.no_grad():
        target = int(model(ids).logits.argmax())
    return lambda: method.attribute(ids, other, target=target, n_steps=steps).detach()


def occlusion(package: Any, which: str, perturbations: int = 1) -> Callable[[], Any]:
    model, _, ids, other = MODELS[which]()
    method = package.FeatureAblation(partial(logits, model))
    return lambda: method.attribute(ids, other, target=0, perturbations_per_eval=perturbations)


def to_one_percent(which: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Ours with steps="auto"; Captum's with the first of its usual n_steps that leaves 1 %. Each: (left, steps)."""
    model, layer, ids, other = MODELS[which]()
    func = partial(logits, model)
    method = captum.LayerIntegratedGradients(func, layer)
    with torch.no_grad():
        target = int(model(ids).logits.argmax())
        explained = float(model(ids).logits[0, target] - model(other).logits[0, target])

    def mine() -> tuple[float, int]:
        with frozen_model(model):
            problem = subject_of(Forward.bind(func, ids, None, target), other).at(layer_points(layer)).problem()
            found = IntegratedGradientsMethod(tolerance=0.01).scores(problem)
        assert found.steps is not None
        return abs(explained - float(found.tensors[0].sum())) / abs(explained), int(found.steps)

    def theirs() -> tuple[float, int]:
        left, steps = float("inf"), 25
        while left > 0.01 and steps < 400:
            steps *= 2
            _, delta = method.attribute(ids, other, target=target, n_steps=steps, return_convergence_delta=True)
            left = abs(float(delta)) / abs(explained)
        return left, steps

    return mine, theirs


def sentences(count: int) -> list[str]:
    """Sentences of 3 to 60 words, mostly short, seeded."""
    generator = random.Random(1)
    return [
        " ".join(generator.choice(WORDS) for _ in range(min(60, 3 + int(generator.expovariate(1 / 14)))))
        for _ in range(count)
    ]


def dataset(texts: Sequence[str]) -> tuple[Callable[..., Any], Callable[[], Any]]:
    """Sentences: our explainer's list, with options, and the loop that Captum's users write."""
    explainer = xai_nlp.load("sentiment")
    loaded = load_model("sentiment")
    model, tokenizer = loaded.model, loaded.tokenizer
    method = captum.LayerIntegratedGradients(partial(logits, model), model.bert.embeddings)

    def loop() -> list[torch.Tensor]:
        found = []
        for text in texts:
            ids = tokenizer(text, return_tensors="pt")["input_ids"]
            other = ids.clone()
            other[:, 1:-1] = tokenizer.pad_token_id
            with torch.no_grad():
                target = int(model(ids).logits.argmax())
            found.append(method.attribute(ids, other, target=target, n_steps=50).sum(-1)[0].detach())
        return found

    def list_of(**options: Any) -> list[torch.Tensor]:
        return [torch.tensor(why.scores) for why in explainer.explain(texts, **options)]

    return list_of, loop


def memory(task: str) -> Callable[[], Any]:
    """What a process of its own runs to have its memory measured: "ours|captum, work, model"."""
    package, work, which = task.split("|")
    return {"lig": lig, "occlusion": occlusion}[work]({"ours": ours, "captum": captum}[package], which)


def run(given: argparse.Namespace) -> None:
    out, rounds = Console(width=150), given.rounds
    out.print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, GEMM {gemm_rate():.0f} GFLOP/s, "
        f"float32, {rounds} rounds"
    )
    table = Table(box=None, pad_edge=False)
    for heading in ("work", "ours s", "captum s", "ratio", "goal", "largest difference", "ours MiB", "captum MiB"):
        table.add_column(heading, justify="left" if heading == "work" else "right")

    def row(name: str, pair: Any, goal: str, difference: str, task: str = "") -> None:
        mib = [f"{peak_memory(memory, f'{who}|{task}'):.0f}" if task else "" for who in ("ours", "captum")]
        cells = (f"{pair.ours:.2f}", f"{pair.theirs:.2f}", f"{pair.ratio:.2f} ×", goal, difference, *mib)
        table.add_row(name, *cells)
        out.print(name, *cells)

    for which in () if given.only_lists else MODELS:
        times = rounds if which == "embedded" else max(1, rounds - 1)
        pair = paired(lig(ours, which), lig(captum, which), times)
        same = f"{largest_difference(pair.result, pair.reference):.0e}"
        row(f"{which}: LIG, 128 tokens, 50 steps", pair, "1.3 ×", same, f"lig|{which}")
        pair = paired(*to_one_percent(which), times)
        left = "; ".join(f"{100 * r:.2g} % at {n}" for r, n in (pair.result, pair.reference))
        row(f"{which}: LIG to 1 %", pair, "4 ×", left)
        pair = paired(occlusion(ours, which), occlusion(captum, which), 1 if which != "embedded" else times)
        same = f"{largest_difference(pair.result, pair.reference):.0e}"
        row(f"{which}: token occlusion, captum's default", pair, "5 ×", same, f"occlusion|{which}")
        if not given.fast:
            for count in (8, 32):
                pair = paired(
                    occlusion(ours, which), occlusion(captum, which, count), 1 if which != "embedded" else times
                )
                row(f"{which}: token occlusion, captum with {count} at a time", pair, "1.2 × its best", "")
    texts = {"of random words": sentences(given.sentences)}
    if given.data:
        known = [one["text"] for one in read(given.data, None)]
        texts["of the file"] = [known[i % len(known)] for i in range(given.sentences)]
    for kind, some in texts.items():
        list_of, loop = dataset(some)
        list_of()
        pair = paired(list_of, loop, 1)
        for name, goal in (('steps="auto"', "8 ×"), ("50 steps", "")):
            if name == "50 steps":  # Captum's loop is long: it is timed once, in this same run
                start = time.perf_counter()
                result = list_of(steps=50)
                seconds = time.perf_counter() - start
                pair = Pair(seconds, pair.theirs, pair.theirs / seconds, result, pair.reference)
            same = max(largest_difference(a, b) for a, b in zip(pair.result, pair.reference, strict=True))
            row(f"embedded: {len(some)} sentences {kind}, {name}", pair, goal, f"{same:.0e}")
    out.print(table)


def add_to(commands: Any) -> None:
    parser = commands.add_parser("sentiment", help=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--fast", action="store_true", help="leave out what Captum's best batching would give")
    parser.add_argument("--only-lists", action="store_true", help="only lists of sentences")
    parser.add_argument("--data", type=Path, help="JSON lines with `text`, such as sst2_dev.jsonl: a second list")
    parser.set_defaults(run=run)
