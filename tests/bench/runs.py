"""A run of a data set: is memory flat, and is it as fast as `explain` on the same rows in one list?

`python -m tests.bench runs` explains 20,000 texts like those of SST-2 and 2,000 questions of SQuAD in one process.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

import xai_nlp
from tests.bench.faithful import read, table_of
from tests.bench.measure import resident
from xai_nlp.metrics.squad import read_squad
from xai_nlp.runs import execute
from xai_nlp.runs.execute import prepare

SHARES = (0.1, 0.5, 1.0)  # of the rows, after which the resident size is printed
CLOCKS = (time.perf_counter, time.process_time)


def sentences(path: Path, count: int) -> list[str]:
    """Texts like those of a file: the beginning of one, and the end of another."""
    known, generator = [one["text"].split() for one in read(path, None)], random.Random(0)

    def text() -> str:
        first, second = generator.choices(known, k=2)
        return " ".join([*first[: (len(first) + 1) // 2], *second[len(second) // 2 :]])

    return [text() for _ in range(count)]


def questions(path: Path, count: int) -> dict[str, list[str]]:
    """Questions of a SQuAD file, again from the first where it has fewer."""
    known = list(read_squad(path))
    return table_of([known[i % len(known)] for i in range(count)])


@contextmanager
def sizes(rows: int) -> Iterator[dict[float, float]]:
    """The resident size in MB, once each of SHARES is written, while open."""
    found: dict[float, float] = {}
    write, written = execute.write_shard, 0

    def write_shard(directory: Path, places: range, tables: Any) -> None:
        nonlocal written
        write(directory, places, tables)
        written += len(places)
        for share in SHARES:
            if written >= share * rows:
                found.setdefault(share, resident())

    with patch.object(execute, "write_shard", write_shard):
        yield found


def seconds(work: Callable[[], Any]) -> list[float]:
    """What it takes by each of CLOCKS: other work on the machine changes the first alone."""
    before = [clock() for clock in CLOCKS]
    work()
    return [clock() - start for clock, start in zip(CLOCKS, before, strict=True)]


def listed(explainer: Any, data: Any, options: dict[str, Any]) -> None:
    """The same rows in one list, each explanation read."""
    columns = data if isinstance(data, dict) else {"text": data}
    for why in explainer.explain(**columns, on_error="record", progress=False, **options):
        assert why.scores


def measured(model: str, data: Any, options: dict[str, Any]) -> list[str]:
    """The cells of a row of the table."""
    explainer = xai_nlp.load(model)
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(data, explainer, directory=Path(folder, "run"), **options)
        rows = len(prepared.rows)
        with sizes(rows) as found:
            of_run = seconds(lambda: prepared.execute(progress=False))
    of_list = seconds(lambda: listed(explainer, data, options))
    predicted = prepared.plan.prediction
    assert predicted is not None
    return [
        f"{rows:,} {'questions' if isinstance(data, dict) else 'texts'}",
        *(f"{found[share]:.0f}" for share in SHARES),
        f"{predicted.seconds:.0f} / {of_run[0]:.0f}",
        f"{rows / of_run[0]:.1f}",
        f"{rows / of_list[0]:.1f}",
        *(f"{theirs / ours:.2f}" for ours, theirs in zip(of_run, of_list, strict=True)),
    ]


def run(given: argparse.Namespace) -> None:
    options = {"method": given.method, **({"steps": given.steps} if given.steps else {})}
    table = Table(
        "rows", *(f"MB at {share:.0%}" for share in SHARES), "s predicted / taken", "rows/s of the run", "of the list",
        "ratio by the wall clock", "by processor time", box=None,
    )  # fmt: skip
    if given.rows:
        table.add_row(*measured("sentiment", sentences(given.data / "sst2_dev.jsonl", given.rows), options))
    if given.questions:
        table.add_row(*measured("qa", questions(given.data / "squad_dev.json", given.questions), options))
    Console(width=160).print(table)


def add_to(commands: Any) -> None:
    parser = commands.add_parser("runs", help=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--questions", type=int, default=2_000)
    parser.add_argument("--method", default="integrated_gradients")
    parser.add_argument("--steps", type=int, help="of the method; by default its own")
    parser.set_defaults(run=run)
