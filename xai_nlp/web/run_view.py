"""A run beside the page: its explanations, listed, searched and filtered; each is opened from its file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from xai_nlp.concept.digests import digest
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.runs.read import Run
from xai_nlp.tasks.table import find_task
from xai_nlp.web.dataset_view import PAGE, DatasetRow, Filter
from xai_nlp.web.history import Entry, History

READ_AT_ONCE = 128  # explanations between two looks at the queue
LETTERS = 400  # of a text in the list


class RunView:
    """The explanations of a run, by their places. They stay in their files; what filters ask for is read once."""

    def __init__(self, run: Run) -> None:
        if not run:
            raise InvalidInput(f"the run of {run.plan.data} has no explanations yet.")
        self.run, self.task, self.model = run, find_task(run.plan.task), run.plan.model
        self.name = f"{run.plan.data}, explained"
        first = run[0]
        self.labels = list(first.outputs) if first.target.kind in ("label", "output") else []
        self._known: list[DatasetRow] = []  # without their texts

    def predict_more(self) -> bool:
        """Read a few more predictions. Are there more?"""
        start = len(self._known)
        self._known += (row_of(place, self.run[place], "") for place in self._places(start, start + READ_AT_ONCE))
        return len(self._known) < len(self.run)

    def _places(self, start: int, end: int) -> range:
        return range(start, min(end, len(self.run)))

    def numbered(self, numbers: Sequence[int]) -> NoReturn:
        """Raise InvalidInput: these rows are explained already."""
        raise InvalidInput(f"{self.name} already: open its rows one by one.")

    def open(self, number: int, history: History) -> Entry:
        """An entry of the history with the explanation at this place, the same each time.

        Raises InvalidInput for a place that there is not, UnreadableFile for a broken file.
        """
        if number >= len(self.run):
            raise InvalidInput(f"{self.name}, has {len(self.run):,} explanations; there is none at place {number}.")
        id, why = digest(self.run.plan.name, number), self.run[number]
        with suppress(UnknownName):
            return history.entry(id)
        return history.add(excerpt(why)[:80] or self.name, Explanations([why]), id=id, keep=True)

    def page(self, conditions: Filter) -> dict[str, Any]:
        """One page of the explanations that meet the conditions, and the number of these."""
        every = Filter(page=conditions.page) == conditions
        places = range(len(self.run)) if every else list(self._matching(conditions))
        shown = places[conditions.page * PAGE : (conditions.page + 1) * PAGE]
        return {
            "rows": [row_of(place, self.run[place]).to_dict() for place in shown],
            "matches": len(places),
            "pages": -(-len(places) // PAGE),
            "predicted": len(self._known),
            "all": len(self.run),
        }

    def _matching(self, conditions: Filter) -> Iterator[int]:
        """The places of the explanations that meet the conditions, of those that are read."""
        others = conditions.model_copy(update={"text": ""})
        texts = self.run.column("segments") if conditions.text else None
        for row in self._known:
            text = "\n".join(next(texts)) if texts else ""
            if others.passes(row) and conditions.text.casefold() in text.casefold():
                yield row.index

    def to_dict(self) -> dict[str, Any]:
        """The run as the page describes it."""
        names = {"name": self.name, "task": self.task.name, "model": self.model, "rows": len(self.run)}
        return {**names, "labels": self.labels, "predictions": self.labels, "run": True}


def excerpt(why: Explanation) -> str:
    """The texts of an explanation in one line."""
    return " · ".join(" ".join(segment.split()) for segment in why.segments)


def row_of(place: int, why: Explanation, text: str | None = None) -> DatasetRow:
    """An explanation as a row of the list."""
    text = excerpt(why)[:LETTERS] if text is None else text
    return DatasetRow(
        place, {"text": text}, why.gold, answers=why.target.kind not in ("label", "output"),
        prediction=why.prediction, score=why.outputs.get(why.prediction),
    )  # fmt: skip
