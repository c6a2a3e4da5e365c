"""Runs for tests of overviews: explanations that are made up, written as files of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from xai_nlp.core.result import Explanation, TargetSpec
from xai_nlp.core.spans import word_spans
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.section import OverviewContext
from xai_nlp.runs.plan import Plan
from xai_nlp.runs.read import Run, read_run
from xai_nlp.runs.shards import table_of, write_shard

WORDS = [
    "good",
    "bad",
    "fine",
    "dull",
    "film",
    "plot",
    "the",
    "a",
    "not",
    "very",
    "never",
    "well-made",
    "it's",
    "actor",
]


def explanation(text: str, scores: Sequence[float], label: str = "POSITIVE", gold: str = "", **more) -> Explanation:
    """An explanation whose tokens are words and punctuation between two special tokens without a score."""
    spans = word_spans(text)
    other = {"POSITIVE": "NEGATIVE", "NEGATIVE": "POSITIVE"}.get(label, "OTHER")
    filled = {
        "segments": (text,),
        "tokens": ("[CLS]", *(text[a:b] for a, b in spans), "[SEP]"),
        "offsets": ((0, 0), *spans, (0, 0)),
        "segment": (-1, *[0] * len(spans), -1),
        "scores": (0.0, *scores, 0.0),
        "unit": "logit",
        "target": TargetSpec(kind="label", label=label),
        "value": float(sum(scores)) + 0.01,
        "baseline_value": 0.0,
        "outputs": {label: 0.8, other: 0.2},
        "method": "integrated_gradients",
        "baseline": "pad",
        "complete": True,
        "model": "tiny",
        "gold": (gold,) if gold else (),
    }
    return Explanation(**{**filled, **more})


def random_explanations(count: int, seed: int = 0, vocabulary: Sequence[str] = WORDS, **more) -> list[Explanation]:
    """Explanations of random texts, whose words have means of their own."""
    draws, items = np.random.default_rng(seed), []
    for _ in range(count):
        text = " ".join(draws.choice(vocabulary, draws.integers(2, 9))) + draws.choice([" .", " !", ""])
        count_of = len(word_spans(text))
        label, gold = draws.choice(["POSITIVE", "NEGATIVE"], 2, p=[0.6, 0.4])
        means = [len(text[a:b]) / 4 - 1 for a, b in word_spans(text)]
        items.append(explanation(text, draws.normal(means, 1.0, count_of).tolist(), str(label), str(gold), **more))
    return items


def chunk_of(items: Sequence[Explanation], context: OverviewContext | None = None, first: int = 0) -> Chunk:
    """Explanations as one chunk; their rows count from `first`."""
    table = table_of(enumerate(items, first), {})
    return Chunk(table, (context or OverviewContext()).vocabulary)


def write_run(folder: Path, items: Sequence[Explanation], size: int = 64, errors: dict[int, str] | None = None) -> Run:
    """Explanations as a run of files of `size` rows; a row of the data for each, then those that failed."""
    folder.mkdir(parents=True, exist_ok=True)
    methods = list(dict.fromkeys(item.method for item in items))
    plan = Plan(
        data="made.csv", data_fingerprint="0", rows=len(items) + len(errors or {}), tokens=1, model="tiny",
        model_fingerprint="0", task="text-classification", method=methods[0] if len(methods) == 1 else methods,
        options={}, columns={}, versions={}, layout={},
    )  # fmt: skip
    plan.write_to(folder)
    for start in range(0, len(items), size):
        part = items[start : start + size]
        write_shard(folder, range(start, start + len(part)), [table_of(enumerate(part, start), {})])
    if errors:
        write_shard(folder, range(len(items), plan.rows), [table_of([], errors)])
    return read_run(folder)
