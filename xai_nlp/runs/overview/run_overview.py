"""The overview of a run: one pass over its files, then a sample of its explanations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from xai_nlp.core.overview import Overview, OverviewSection
from xai_nlp.core.progress import progress_bar
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.section import OverviewContext
from xai_nlp.runs.overview.sections import SECTIONS
from xai_nlp.runs.read import Run, read_parquet
from xai_nlp.runs.shards import finished
from xai_nlp.viz.text.wording import plain

EXAMPLES = 300  # explanations in the page, at most
BYTES = 2.5e6  # of these, about
LINES = 30  # lines of a card whose examples are in the page


def overview(
    run: Run,
    *,
    method: str | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
    seed: int = 0,
    title: str = "",
    progress: bool = True,
) -> Overview:
    """What the model of a run relies on, in one pass over the run's files.

    method: of the explanations, where the run has several; by default its first. columns: name -> a value for each row
    of the data, by which rows are compared. seed: of resampling and of the examples that are drawn.
    progress: with a bar, if it takes more than two seconds.
    Raises InvalidInput for a run without explanations or a column of another length, UnknownName for a method.
    """
    if not len(run):
        raise InvalidInput(f"{run!r} holds no explanation to give an overview of.")
    methods = read_parquet(run.files[run.places[0, 1]], ["method"])["method"].drop_null().unique().to_pylist()
    method = method or methods[0]
    if method not in methods:
        raise UnknownName("method of this run", method, methods)
    for name, values in (columns or {}).items():
        if len(values) != run.plan.rows:
            raise InvalidInput(f"the data have {run.plan.rows:,} rows, and column {name!r} has {len(values):,} values.")
    context = OverviewContext(seed=seed, columns={name: list(values) for name, values in (columns or {}).items()})
    sections = [section(context) for section in SECTIONS]
    count = 0
    with progress_bar("reading the run") if progress else nullcontext() as show:
        for chunk in chunks(run, method, context):
            count += len(chunk)
            for section in sections:
                section.add(chunk)
            if show:
                show(count, len(run))
    answers = tuple(answer for section in sections if (answer := section.result()))
    examples, places = _examples(run, method, answers, seed)
    missing = [(f"{len(run.errors):,}", "rows could not be explained")] if run.errors else []
    left = run.plan.rows - sum(map(len, finished(run.files[0].parent)))
    missing += [(f"{left:,}", "rows are not explained yet")] if left else []
    return Overview(
        title=title or f"What {run.plan.model} relies on",
        about=_about(run, method),
        facts=((f"{count:,}", "explanations"), *(fact for answer in answers for fact in answer.facts), *missing),
        sections=answers,
        examples=examples,
        places=places,
        errors=run.errors,
    )


def _about(run: Run, method: str) -> dict[str, tuple[str, ...]]:
    """What was explained, and by what."""
    plan = run.plan
    options = [f"{plain(name)} {value}" for name, value in plan.options.items()]
    return {
        "model": (plan.model,),
        "data": (f"{plan.data}, {plan.rows:,} rows",),
        "method": (" · ".join([plain(method), *options]),),
        "run": (plan.name,),
    }


def chunks(run: Run, method: str, context: OverviewContext) -> Iterator[Chunk]:
    """The explanations of a run by a method, file by file."""
    places = run.places[np.lexsort((run.places[:, 2], run.places[:, 1]))]
    bounds = np.searchsorted(places[:, 1], np.arange(len(run.files) + 1))
    for file, start, stop in zip(run.files, bounds, bounds[1:], strict=False):
        if start == stop:
            continue
        table = read_parquet(file).take(places[start:stop, 2])
        table = table.filter(pc.equal(table["method"], method)).combine_chunks()
        if len(table):
            yield Chunk(table, context.vocabulary)


def _examples(
    run: Run, method: str, sections: Sequence[OverviewSection], seed: int
) -> tuple[dict[int, tuple[Explanation, ...]], dict[int, tuple[str, int]]]:
    """The explanations that go into the page by row, and where the others are that tables name."""
    named = dict.fromkeys(_rows_named(sections))
    known = run.places
    drawn = np.random.default_rng(seed).permutation(len(known))[:EXAMPLES]
    chosen = list(dict.fromkeys([*list(named)[: EXAMPLES * 4 // 5], *known[drawn, 0].tolist()]))[:EXAMPLES]
    found = {row: _of_row(run, row, method) for row in sorted(chosen)}
    examples, total = dict[int, tuple[Explanation, ...]](), 0.0
    for row in chosen:
        total += sum(map(_size, found[row]))
        if found[row] and (not examples or total <= BYTES):
            examples[row] = found[row]
    places = {}
    for row in sorted(set(named) - set(examples)):
        _, number, place = known[np.searchsorted(known[:, 0], row)].tolist()
        places[row] = (Path(run.files[number]).name, place)
    return dict(sorted(examples.items())), places


def _of_row(run: Run, row: int, method: str) -> tuple[Explanation, ...]:
    """The explanations of a row of the data by a method."""
    start, stop = np.searchsorted(run.places[:, 0], [row, row + 1]).tolist()
    return tuple(item for item in run[start:stop] if item.method == method)


def _size(item: Explanation) -> float:
    """About how many bytes of the page an explanation takes: markup of each token, and its image."""
    return (
        2000 + 60 * len(item.tokens) + (1.4 * len(item.image.data) + 280 * len(item.image.boxes) if item.image else 0)
    )


def _rows_named(sections: Sequence[OverviewSection]) -> Iterator[int]:
    """The rows that tables name, those of first lines first."""
    lines = [
        (place, row)
        for section in sections
        for table in section.tables
        for card in table.cards().values()
        for place, line in enumerate(card[:LINES])
        for column in table.places("rows")
        for row in line[column]
    ]
    yield from (row for _, row in sorted(lines, key=lambda pair: pair[0]))
