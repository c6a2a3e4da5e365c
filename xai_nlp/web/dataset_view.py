"""A data set beside the page: its rows with the model's predictions, searched and filtered."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from xai_nlp.core.answers import exact_match
from xai_nlp.data.table import Record, read_table
from xai_nlp.errors import XaiError
from xai_nlp.tasks.table import find_task
from xai_nlp.web.limits import Limits
from xai_nlp.web.model_registry import ModelRegistry, labels

LIMITS = Limits()
AT_ONCE = 32  # rows predicted between two looks at the queue
PAGE = 25  # rows of a page


@dataclass(frozen=True, kw_only=True)
class Row:
    """One example: its inputs, the right label or answers, and the model's prediction."""

    number: int
    text: str = ""
    pair: str = ""
    question: str = ""
    context: str = ""
    golds: tuple[str, ...] = ()  # () if nothing is known to be right
    prediction: str | None = None  # None until the model has predicted
    score: float | None = None  # the prediction's probability
    error: str = ""

    @property
    def right(self) -> bool | None:
        """Is the prediction right? None before the model has predicted, and without a right label or answer."""
        if self.prediction is None or not self.golds:
            return None
        if self.question:
            return bool(exact_match(self.prediction, self.golds))
        return self.prediction.casefold() == self.golds[0].casefold()

    @property
    def searchable(self) -> str:
        """All texts of the row, in lower case."""
        return "\n".join(filter(None, (self.text, self.pair, self.question, self.context))).casefold()

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON can hold it."""
        names = ("number", "text", "pair", "question", "context", "prediction", "score", "right", "error")
        return {**{name: getattr(self, name) for name in names}, "label": " · ".join(self.golds)}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Conditions on rows; None allows any value."""

    label: str | None = None
    prediction: str | None = None
    right: bool | None = None
    least: float | None = None
    most: float | None = None
    text: str = ""

    def passes(self, row: Row) -> bool:
        """Does the row meet all conditions?"""
        return (
            (self.label is None or self.label in row.golds)
            and (self.prediction is None or row.prediction == self.prediction)
            and (self.right is None or row.right is self.right)
            and (self.least is None or (row.score is not None and row.score >= self.least))
            and (self.most is None or (row.score is not None and row.score <= self.most))
            and self.text.casefold() in row.searchable
        )


class Table:
    """The rows of one file, and the model that predicts them a few at a time."""

    def __init__(self, file: str | os.PathLike[str], offer: ModelRegistry, limits: Limits = LIMITS) -> None:
        table = read_table(file, limit=limits.rows)
        task = find_task("question-answering" if table.column("question") else "text-classification")
        model = offer.first(task.name)
        assert model is not None  # both tasks have an embedded model
        self.name, self.task, self.model = table.name, task.name, model
        self._explainer = offer.explainer(model)
        self._labels = labels(self._explainer)
        self.rows = [_row(record) for record in table.records(task.inputs, task.gold, labels=self._labels)]
        self.looked = 0  # rows that the model has predicted

    def look(self) -> bool:
        """Predict a few more rows. Are there more?"""
        start, end = self.looked, min(self.looked + AT_ONCE, len(self.rows))
        if start < end:
            self.rows[start:end] = self._predicted(self.rows[start:end])
            self.looked = end
        return end < len(self.rows)

    def _predicted(self, rows: Sequence[Row]) -> list[Row]:
        try:
            return [replace(row, **output) for row, output in zip(rows, self._outputs(rows), strict=True)]
        except (XaiError, RuntimeError, ValueError) as error:
            if len(rows) > 1:  # a row that fails does not spoil its neighbours
                return [predicted for row in rows for predicted in self._predicted([row])]
            return [replace(rows[0], error=str(error).splitlines()[0][:200])]

    def _outputs(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """The prediction and its probability for each row."""
        if self.task == "question-answering":
            best = self._explainer.predict([r.question for r in rows], [r.context for r in rows], best=1)
            return [{"prediction": of_row[0].text, "score": of_row[0].probability} for of_row in best]
        outputs = self._explainer.predict([(r.text, r.pair) if r.pair else r.text for r in rows])
        likeliest = [max(scores, key=scores.__getitem__) for scores in outputs]
        return [{"prediction": name, "score": out[name]} for name, out in zip(likeliest, outputs, strict=True)]

    def page(self, conditions: Filter, number: int = 0) -> dict[str, Any]:
        """One page of the rows that meet the conditions, and the number of these rows."""
        rows = [row for row in self.rows if conditions.passes(row)]
        return {
            "rows": [row.to_dict() for row in rows[number * PAGE : (number + 1) * PAGE]],
            "found": len(rows),
            "pages": -(-len(rows) // PAGE),
            "looked": self.looked,
            "all": len(self.rows),
        }

    def to_dict(self) -> dict[str, Any]:
        """The data set as the page describes it."""
        classes = self.task == "text-classification"
        golds = sorted({row.golds[0] for row in self.rows if row.golds}) if classes else []
        names = {"name": self.name, "task": self.task, "model": self.model, "rows": len(self.rows)}
        return {**names, "labels": golds[:200], "predictions": self._labels if classes else []}


def _row(record: Record) -> Row:
    texts = {name: text[: LIMITS.letters] for name, text in record.inputs.items()}
    return Row(number=record.index, golds=record.gold, **texts)
