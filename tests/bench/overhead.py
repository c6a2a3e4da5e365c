"""What short texts cost beside the model: a stub of four numbers a token, texts of 16 tokens.

`python -m tests.bench overhead` prints milliseconds for each explanation of a list of 1,000, and of a text alone: the
model's, the tokenizer's, and the rest.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table
from transformers import BertConfig, BertForSequenceClassification

import xai_nlp
from tests.bench.sentiment import WORDS
from xai_nlp.methods import METHODS

TOKENS = 16


def stub() -> Any:
    """The embedded tokenizer with a model that computes next to nothing."""
    torch.manual_seed(0)
    tokenizer = xai_nlp.load("sentiment").tokenizer
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4
    )
    return xai_nlp.load(BertForSequenceClassification(config).eval(), tokenizer)


def best_of(runs: int, work: Callable[[], Any]) -> float:
    """Seconds of the fastest run."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def seconds_in_the_model(explainer: Any, work: Callable[[], Any]) -> float:
    """Seconds that the model's forward passes and autograd take during `work`."""
    spent, starts = 0.0, []

    def begin(*_: Any) -> None:
        starts.append(time.perf_counter())

    def end(*_: Any) -> None:
        nonlocal spent
        spent += time.perf_counter() - starts.pop()

    def timed_grad(*args: Any, grad: Callable[..., Any] = torch.autograd.grad, **kwargs: Any) -> Any:
        begin()
        result = grad(*args, **kwargs)
        end()
        return result

    hooks = explainer.model.register_forward_pre_hook(begin), explainer.model.register_forward_hook(end)
    with patch("torch.autograd.grad", timed_grad):
        work()
    for hook in hooks:
        hook.remove()
    return spent


def one_text(explainer: Any, text: str) -> Table:
    """A text alone, by every method: the fastest of 50 calls."""
    table = Table("one text", "ms", "model and autograd", "tokenizer", "the rest", box=None)
    tokenizer = best_of(50, lambda: explainer.tokenizer([text], return_offsets_mapping=True))
    for method, cls in METHODS.items():
        if not explainer.takes(cls):
            continue

        def work(method: str = method) -> Any:
            return explainer.explain(text, method=method).scores

        work()
        whole = best_of(50, work)
        model = min(seconds_in_the_model(explainer, work) for _ in range(50))
        table.add_row(method, *(f"{1000 * t:.2f}" for t in (whole, model, tokenizer, whole - model - tokenizer)))
    return table


def run(arguments: argparse.Namespace) -> None:
    explainer, generator = stub(), random.Random(0)
    texts = [" ".join(generator.choice(WORDS) for _ in range(TOKENS - 2)) for _ in range(arguments.texts)]
    table = Table("method", "ms an explanation", "model and autograd", "tokenizer", "the rest", box=None)
    tokenizer = best_of(arguments.runs, lambda: explainer.tokenizer(texts, return_offsets_mapping=True))
    for method, options in (("saliency", {}), ("integrated_gradients", {"steps": 8}), ("integrated_gradients", {})):

        def work(method: str = method, options: dict[str, Any] = options) -> None:
            for why in explainer.explain(texts, method=method, **options):
                assert why.scores  # an explanation is made when it is read

        work()
        whole = best_of(arguments.runs, work)
        model = min(seconds_in_the_model(explainer, work) for _ in range(arguments.runs))
        label = " ".join([method, *(f"{name}={value}" for name, value in options.items())])
        table.add_row(
            label, *(f"{1000 * t / len(texts):.3f}" for t in (whole, model, tokenizer, whole - model - tokenizer))
        )
    Console().print(table)
    Console().print(one_text(explainer, texts[0]))


def add_to(commands: Any) -> None:
    parser = commands.add_parser("overhead", help=__doc__)
    parser.add_argument("--texts", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.set_defaults(run=run)
