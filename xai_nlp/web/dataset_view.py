"""A data set beside the page: its rows with the model's predictions, searched and filtered."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BaseModel, Field

from xai_nlp.core.answers import exact_match
from xai_nlp.data.table import DataTable, Record, read_table
from xai_nlp.errors import InvalidInput, XaiError
from xai_nlp.tasks.table import TASKS
from xai_nlp.tasks.task import Task
from xai_nlp.web.explain_request import Short
from xai_nlp.web.forms import columns_of, labels_of
from xai_nlp.web.limits import LIMITS, Limits
from xai_nlp.web.model_registry import ModelRegistry

ROWS_AT_ONCE = 32  # predicted between two looks at the queue
PAGE = 25  # rows of a page


@dataclass(frozen=True)
class DatasetRow(Record):
    """A record, and the model's prediction."""

    answers: bool = False  # an answer is compared as SQuAD compares, a label without regard to case
    prediction: str | None = None  # None until the model has predicted
    score: float | None = None  # the prediction's probability
    error: str = ""

    @property
    def right(self) -> bool | None:
        """Is the prediction right? None before the model has predicted, and without a right label or answer."""
        if self.prediction is None or not self.gold:
            return None
        if self.answers:
            return bool(exact_match(self.prediction, self.gold))
        return self.prediction.casefold() == self.gold[0].casefold()

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON can hold it."""
        values = {name: getattr(self, name) for name in ("inputs", "prediction", "score", "right", "error")}
        return {"number": self.index, **values, "label": " · ".join(self.gold)}


class Filter(BaseModel):
    """Conditions on rows; None allows any value."""

    label: Short | None = None
    prediction: Short | None = None
    right: bool | None = None
    least: Annotated[float, Field(ge=0, le=1)] | None = None
    most: Annotated[float, Field(ge=0, le=1)] | None = None
    text: Short = ""
    page: Annotated[int, Field(ge=0, le=100_000)] = 0

    def passes(self, row: DatasetRow) -> bool:
        """Does the row meet all conditions?"""
        return (
            (self.label is None or self.label in row.gold)
            and (self.prediction is None or row.prediction == self.prediction)
            and (self.right is None or row.right is self.right)
            and (self.least is None or (row.score is not None and row.score >= self.least))
            and (self.most is None or (row.score is not None and row.score <= self.most))
            and self.text.casefold() in "\n".join(map(str, row.inputs.values())).casefold()
        )


class DatasetView:
    """The rows of one file, and the model that predicts them a few at a time."""

    def __init__(self, file: str | os.PathLike[str], models: ModelRegistry, limits: Limits = LIMITS) -> None:
        table = read_table(file, limit=limits.rows)
        self.name, self.task = table.name, task_of_columns(table, models)
        model = models.first(self.task.name)
        assert model is not None  # the task is one that a model does
        self.model, self._explainer = model, models.explainer(model)
        self.labels = labels_of(self._explainer)
        self.rows = []
        for record in table.records(self.task.inputs, self.task.gold, labels=self.labels):
            texts = {name: text[: LIMITS.letters] for name, text in record.inputs.items()}
            self.rows.append(DatasetRow(record.index, texts, record.gold, answers=not self.labels))
        self.predicted = 0  # rows that the model has predicted

    def predict_more(self) -> bool:
        """Predict a few more rows. Are there more?"""
        start, end = self.predicted, min(self.predicted + ROWS_AT_ONCE, len(self.rows))
        if start < end:
            self.rows[start:end] = self._with_predictions(self.rows[start:end])
            self.predicted = end
        return end < len(self.rows)

    def _with_predictions(self, rows: Sequence[DatasetRow]) -> list[DatasetRow]:
        try:
            return [replace(row, **output) for row, output in zip(rows, self._predictions(rows), strict=True)]
        except (XaiError, RuntimeError, ValueError) as error:
            if len(rows) > 1:  # a row that fails does not spoil its neighbours
                return [one for row in rows for one in self._with_predictions([row])]
            return [replace(rows[0], error=(str(error) or type(error).__name__).splitlines()[0][:200])]

    def _predictions(self, rows: Sequence[DatasetRow]) -> Iterator[dict[str, Any]]:
        """The prediction and its probability for each row."""
        for output in self._explainer.predict(**columns_of(rows)):
            if isinstance(output, Mapping):
                best = max(output, key=output.__getitem__)
                yield {"prediction": best, "score": output[best]}
            else:  # answers, the best first
                yield {"prediction": output[0].text, "score": output[0].probability}

    def numbered(self, numbers: Sequence[int]) -> list[DatasetRow]:
        """The rows of these numbers. Raises InvalidInput for a number that no row has."""
        rows = {row.index: row for row in self.rows}
        for number in numbers:
            if number not in rows:
                raise InvalidInput(f"{self.name} has no row {number}.")
        return [rows[number] for number in dict.fromkeys(numbers)]

    def page(self, conditions: Filter) -> dict[str, Any]:
        """One page of the rows that meet the conditions, and the number of these rows."""
        rows = [row for row in self.rows if conditions.passes(row)]
        return {
            "rows": [row.to_dict() for row in rows[conditions.page * PAGE : (conditions.page + 1) * PAGE]],
            "matches": len(rows),
            "pages": -(-len(rows) // PAGE),
            "predicted": self.predicted,
            "all": len(self.rows),
        }

    def to_dict(self) -> dict[str, Any]:
        """The data set as the page describes it."""
        golds = sorted({row.gold[0] for row in self.rows if row.gold}) if self.labels else []
        names = {"name": self.name, "task": self.task.name, "model": self.model, "rows": len(self.rows)}
        return {**names, "labels": golds[:200], "predictions": self.labels}


def task_of_columns(table: DataTable, models: ModelRegistry) -> Task:
    """The task of texts that finds most of its inputs among the columns, of those that a model does."""

    def matches(task: Task) -> int:
        return sum(bool(table.column(one.name, *one.columns)) for one in task.inputs if one.required)

    offered = [task for task in TASKS.values() if models.first(task.name)]
    return max((task for task in offered if all(one.kind != "image" for one in task.inputs)), key=matches)
