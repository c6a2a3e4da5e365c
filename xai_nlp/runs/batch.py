"""Rows explained in one call, as a table of the run's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xai_nlp.core.explanations import Explanations
from xai_nlp.errors import InvalidInput
from xai_nlp.runs.rows import Row
from xai_nlp.runs.shards import table_of
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.run import explain_and_record

if TYPE_CHECKING:
    from pyarrow import Table


def explain_rows(explainer: Explainer, options: Mapping[str, Any], rows: Sequence[Row]) -> Table:
    """The explanations of some rows, and the errors of those that cannot be explained.

    options: keywords of `explain`, inputs that serve all rows among them.
    """
    errors = {row.record.index: row.error for row in rows if row.error}
    tables = _explained(explainer, options, [row for row in rows if not row.error])
    explained = [(row, item) for part in tables for row, item in zip(part.inputs, part, strict=True)]
    for part in tables:
        errors |= part.errors
    return table_of(explained, errors)


def _explained(explainer: Explainer, options: Mapping[str, Any], rows: Sequence[Row]) -> list[Explanations]:
    """Explanations whose `inputs` and `errors` are rows of the data. Rows that raise anything are divided in halves."""
    if not rows:
        return []
    try:
        return [_of_rows(explainer, options, rows)]
    except Exception as error:  # of a model or tokenizer, by any type: the other rows go on
        if len(rows) == 1:
            name = "" if isinstance(error, InvalidInput) else f"{type(error).__name__}: "
            return [Explanations(errors={rows[0].record.index: f"{name}{error}"})]
    middle = len(rows) // 2
    return [*_explained(explainer, options, rows[:middle]), *_explained(explainer, options, rows[middle:])]


def _of_rows(explainer: Explainer, options: Mapping[str, Any], rows: Sequence[Row]) -> Explanations:
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
    errors = {numbers[i]: message for i, message in made.errors.items()}
    return Explanations(made, errors, (numbers[i] for i in made.inputs))
