"""Rows explained in one call, as a table of the run's files."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow

from xai_nlp.errors import InvalidInput
from xai_nlp.runs.rows import Row
from xai_nlp.runs.shards import table_of
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.run import explain_and_record

if TYPE_CHECKING:
    from pyarrow import Table

GIVE_BACK = 4  # batches after which memory that is free goes back to the system
_calls = itertools.count(1)


def explain_rows(explainer: Explainer, options: Mapping[str, Any], rows: Sequence[Row]) -> Table:
    """The explanations of some rows, and the errors of those that cannot be explained.

    options: keywords of `explain`, inputs that serve all rows among them.
    """
    if next(_calls) % GIVE_BACK == 0:
        give_back_memory()
    unreadable = table_of([], {row.record.index: row.error for row in rows if row.error})
    return pyarrow.concat_tables([*_explained(explainer, options, [row for row in rows if not row.error]), unreadable])


def give_back_memory() -> None:
    """Give free memory back to the system, where its allocator can: batches of many shapes leave gaps behind."""
    with suppress(OSError, AttributeError, TypeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _explained(explainer: Explainer, options: Mapping[str, Any], rows: Sequence[Row]) -> list[Table]:
    """The explanations of rows. Rows that raise anything are divided in halves, down to the one that raises."""
    if not rows:
        return []
    try:
        return [_of_rows(explainer, options, rows)]
    except Exception as error:  # of a model or tokenizer, by any type: the other rows go on
        if len(rows) == 1:
            name = "" if isinstance(error, InvalidInput) else f"{type(error).__name__}: "
            return [table_of([], {rows[0].record.index: f"{name}{error}"})]
    middle = len(rows) // 2
    return [*_explained(explainer, options, rows[:middle]), *_explained(explainer, options, rows[middle:])]


def _of_rows(explainer: Explainer, options: Mapping[str, Any], rows: Sequence[Row]) -> Table:
    numbers = [row.record.index for row in rows]
    shared, others = explainer.named_inputs((), options)
    columns = {
        one.name: [row.record.inputs.get(one.name) for row in rows]
        for one in explainer.task.inputs
        if one.name not in shared
    }
    columns = {name: cells for name, cells in columns.items() if any(cell is not None for cell in cells)}
    request = explainer.request({**columns, **shared}, {**others, "on_error": "record", "progress": False})
    made = explain_and_record(explainer, replace(request, gold=[row.record.gold for row in rows]))
    explained = [(numbers[i], item) for i, item in zip(made.inputs, made, strict=True)]
    return table_of(explained, {numbers[i]: message for i, message in made.errors.items()})
