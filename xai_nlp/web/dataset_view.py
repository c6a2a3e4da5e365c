"""A data set beside the page: rows with what the model makes of them, searched and filtered."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xai_nlp.core.answers import exact_match
from xai_nlp.errors import InvalidInput, UnreadableFile, XaiError
from xai_nlp.web.limits import Limits
from xai_nlp.web.model_registry import ModelRegistry, labels

LIMITS = Limits()
AT_ONCE = 32  # rows predicted between two looks at the queue
PAGE = 25  # rows of a page

#: what we call a column -> what data sets call it, the likeliest first
COLUMNS: dict[str, tuple[str, ...]] = {
    "text": ("text", "sentence", "sentence1", "review", "content", "premise", "document"),
    "pair": ("pair", "text_pair", "sentence2", "hypothesis"),
    "question": ("question",),
    "context": ("context", "passage", "paragraph"),
    "label": ("label", "labels", "sentiment", "category", "gold", "target", "class"),
    "answers": ("answers", "answer", "gold_answer"),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """An example: what is asked, what was told to be right, what the model says."""

    number: int
    text: str = ""
    pair: str = ""
    question: str = ""
    context: str = ""
    golds: tuple[str, ...] = ()  # a label, or answers; none where nothing is known
    prediction: str | None = None  # None until the model has looked
    score: float | None = None  # the prediction's probability
    error: str = ""

    @property
    def right(self) -> bool | None:
        """Is the prediction what was told? None where one of the two is not known."""
        if self.prediction is None or not self.golds:
            return None
        if self.question:
            return bool(exact_match(self.prediction, self.golds))
        return self.prediction.casefold() == self.golds[0].casefold()

    @property
    def said(self) -> str:
        """All its text, to search in."""
        return "\n".join(filter(None, (self.text, self.pair, self.question, self.context))).casefold()

    def told(self) -> dict[str, Any]:
        """As JSON can hold it."""
        names = ("number", "text", "pair", "question", "context", "prediction", "score", "right", "error")
        return {**{name: getattr(self, name) for name in names}, "label": " · ".join(self.golds)}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which rows are wanted; what is None does not matter."""

    label: str | None = None
    prediction: str | None = None
    right: bool | None = None
    least: float | None = None
    most: float | None = None
    text: str = ""

    def passes(self, row: Row) -> bool:
        """Is the row wanted?"""
        return (
            (self.label is None or self.label in row.golds)
            and (self.prediction is None or row.prediction == self.prediction)
            and (self.right is None or row.right is self.right)
            and (self.least is None or (row.score is not None and row.score >= self.least))
            and (self.most is None or (row.score is not None and row.score <= self.most))
            and self.text.casefold() in row.said
        )


class Table:
    """The rows of one file, and the model that looks at them bit by bit."""

    def __init__(self, file: str | os.PathLike[str], offer: ModelRegistry, limits: Limits = LIMITS) -> None:
        path = Path(file)
        columns = _columns(path, limits.rows)
        self.name = path.name
        self.task = "question-answering" if "question" in columns else "text-classification"
        needed = ("question", "context") if "question" in columns else ("text",)
        if missing := [name for name in needed if name not in columns]:
            raise InvalidInput(
                f"{path.name} has no column for {' and '.join(missing)}. Name one of them "
                f"{' or '.join(COLUMNS[missing[0]])}; for questions: question and context."
            )
        model = offer.first(self.task)
        assert model is not None  # there is an embedded one for either
        self.model = model
        self._explainer = offer.explainer(model)
        self._labels = labels(self._explainer)
        lines = zip(*columns.values(), strict=True)
        self.rows = [self._row(i, dict(zip(columns, line, strict=True))) for i, line in enumerate(lines)]
        self.looked = 0  # rows that the model has seen

    def _row(self, number: int, cells: dict[str, Any]) -> Row:
        text, pair, question, context = (_text(cells.get(name)) for name in ("text", "pair", "question", "context"))
        golds = _answers(cells.get("answers")) if self.task == "question-answering" else self._label(cells.get("label"))
        return Row(number=number, text=text, pair=pair, question=question, context=context, golds=golds)

    def _label(self, cell: Any) -> tuple[str, ...]:
        """A label as the model calls it, where it is a number or written in another case."""
        text = _text(cell)
        if not text:
            return ()
        if text.removesuffix(".0").isdigit() and int(float(text)) < len(self._labels):
            return (self._labels[int(float(text))],)
        return (next((name for name in self._labels if name.casefold() == text.casefold()), text),)

    def look(self) -> bool:
        """Have the model look at a few more rows; are there more?"""
        start, end = self.looked, min(self.looked + AT_ONCE, len(self.rows))
        if start < end:
            self.rows[start:end] = self._predicted(self.rows[start:end])
            self.looked = end
        return end < len(self.rows)

    def _predicted(self, rows: Sequence[Row]) -> list[Row]:
        try:
            return [replace(row, **found) for row, found in zip(rows, self._found(rows), strict=True)]
        except (XaiError, RuntimeError, ValueError) as error:
            if len(rows) > 1:  # one that cannot be read does not take its neighbours with it
                return [one for row in rows for one in self._predicted([row])]
            return [replace(rows[0], error=str(error).splitlines()[0][:200])]

    def _found(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        if self.task == "question-answering":
            best = self._explainer.predict([r.question for r in rows], [r.context for r in rows], best=1)
            return [{"prediction": of_row[0].text, "score": of_row[0].probability} for of_row in best]
        given = self._explainer.predict([(r.text, r.pair) if r.pair else r.text for r in rows])
        likeliest = [max(outputs, key=outputs.__getitem__) for outputs in given]
        return [{"prediction": name, "score": out[name]} for name, out in zip(likeliest, given, strict=True)]

    def page(self, wanted: Filter, number: int = 0) -> dict[str, Any]:
        """A page of the rows that pass, and how many there are."""
        found = [row for row in self.rows if wanted.passes(row)]
        return {
            "rows": [row.told() for row in found[number * PAGE : (number + 1) * PAGE]],
            "found": len(found),
            "pages": -(-len(found) // PAGE),
            "looked": self.looked,
            "all": len(self.rows),
        }

    def told(self) -> dict[str, Any]:
        """What the page says of the data set as a whole."""
        classes = self.task == "text-classification"
        golds = sorted({row.golds[0] for row in self.rows if row.golds}) if classes else []
        names = {"name": self.name, "task": self.task, "model": self.model, "rows": len(self.rows)}
        return {**names, "labels": golds[:200], "predictions": self._labels if classes else []}


# Files ---------------------------------------------------------------------------------------------------------------


def _columns(path: Path, most: int) -> dict[str, list[Any]]:
    """The columns that we know, by our names. Raises UnreadableFile or InvalidInput."""
    import pandas

    readers: dict[str, Any] = {
        ".csv": pandas.read_csv,
        ".tsv": lambda file: pandas.read_csv(file, sep="\t"),
        ".jsonl": lambda file: pandas.read_json(file, lines=True, dtype=False),
        ".parquet": pandas.read_parquet,
    }
    if path.suffix.lower() not in readers:
        raise InvalidInput(f"{path.name} is no data set that is read here; give one of {', '.join(readers)}.")
    try:
        frame = readers[path.suffix.lower()](path)
    except FileNotFoundError:
        raise InvalidInput(f"there is no file {path}.") from None
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{path.name} cannot be read: {str(error).splitlines()[0]}.") from None
    if not 1 <= len(frame) <= most:
        raise InvalidInput(f"{path.name} has {len(frame):,} rows; 1 to {most:,} are read.")
    known = {str(name).casefold(): name for name in frame.columns}
    named = {ours: next((known[n] for n in theirs if n in known), None) for ours, theirs in COLUMNS.items()}
    return {ours: frame[name].tolist() for ours, name in named.items() if name is not None}


def _text(cell: Any) -> str:
    """A cell as text; "" where there is nothing."""
    return "" if cell is None or cell != cell else str(cell)[: LIMITS.letters]


def _answers(cell: Any) -> tuple[str, ...]:
    """Answers that are right: one text, a list of them, or what SQuAD has: {"text": […]}."""
    if isinstance(cell, dict):
        cell = cell.get("text")
    if isinstance(cell, str):
        return (cell,)
    return tuple(map(str, cell)) if hasattr(cell, "__iter__") else ()
