"""Tables of examples: files, lists, pandas frames and HuggingFace data sets, read by the same few lines.

A table is a `datasets.Dataset` in memory. A data set that is passed in is used without a copy.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_nlp.core.fields import InputField, list_items
from xai_nlp.data.table_files import CONVERSION_ERRORS, check_limit, first_line, read_file
from xai_nlp.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Record:
    """One example of a table, by the names of a task.

    gold: the right label or the right answers; () if the table has none.
    """

    index: int
    inputs: dict[str, Any]
    gold: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class DataTable(Sequence[dict[str, Any]]):
    """Rows of named columns: `len(table)`, `table[i]` as a dict, iteration.

    folder: paths of images are relative to it.
    first: the number of its first row, where it is part of a longer table.
    unnamed: the columns of values without names, which stand in the order of a task's inputs.
    """

    dataset: Dataset
    name: str = "the data"
    folder: Path = Path()
    unnamed: tuple[str, ...] = ()
    first: int = 0

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.dataset.column_names)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            raise InvalidInput("a table gives one row at a time: table[i], or iterate over it.")
        return self.dataset[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.dataset)

    def part(self, rows: range) -> DataTable:
        """The table of some of the rows, which keep their numbers."""
        return replace(
            self, dataset=self.dataset.select(rows, new_fingerprint=_fingerprint()), first=self.first + rows.start
        )

    def __repr__(self) -> str:
        return f"<DataTable {self.name}: {len(self):,} rows; {', '.join(self.columns)[:200]}>"

    def column(self, *names: str) -> str | None:
        """The column called by the first of these names that there is, in upper or lower case; None if there is none.

        >>> read_table({"Sentence": ["fine"], "label": ["1"]}).column("text", "sentence")
        'Sentence'
        """
        folded = {name.casefold(): name for name in reversed(self.columns)}
        for name in names:
            if name in self.columns or name.casefold() in folded:
                return name if name in self.columns else folded[name.casefold()]
        return None

    def records(
        self,
        inputs: Sequence[InputField],
        gold: Sequence[str] = (),
        columns: Mapping[str, str] | None = None,
        labels: Sequence[str] = (),
    ) -> Iterator[Record]:
        """The rows as inputs of a task, with the right label or answers.

        inputs: the task's inputs; an optional one whose cell is empty is left out.
        gold: names of columns that hold the right label or answers, the likeliest first.
        columns: input -> column, where names do not match; "gold" or a name of `gold` -> the column with what is right.
        labels: the model's labels, for gold labels that are written as an index or in another case.
        Raises InvalidInput for a missing column or a cell that is no text, UnknownName for a name in `columns`.

        >>> from xai_nlp.core.fields import InputField
        >>> table = read_table([{"review": "a fine film", "stars": 1}])
        >>> text = InputField(name="text", kind="text", help="The text.", columns=("text", "review"))
        >>> list(table.records([text], ["label"], {"label": "stars"}, ["NEGATIVE", "POSITIVE"]))
        [Record(index=0, inputs={'text': 'a fine film'}, gold=('POSITIVE',))]
        """
        from datasets import Image

        sources = self._input_columns(inputs, columns or {})
        gold_column = self._gold_column([one.name for one in inputs], gold, columns or {})
        used = dict.fromkeys(column for candidates in sources.values() for column in candidates)
        needed = list(used | dict.fromkeys([gold_column] if gold_column else []))
        rows = self.dataset.select_columns(needed, new_fingerprint=_fingerprint())
        for column in used:
            if isinstance(rows.features[column], Image):  # the task decodes the file's bytes itself
                rows = rows.cast_column(column, Image(decode=False), new_fingerprint=_fingerprint())
        class_names = _class_names(rows.features[gold_column]) if gold_column else ()

        def record(index: int, row: dict[str, Any]) -> Record:
            values = {}
            for one in inputs:
                cells = (row[column] for column in sources[one.name] if row[column] is not None)
                value = self._value(one, next(cells, None), index)
                if value or one.required:
                    values[one.name] = value
            answers = _gold_texts(row[gold_column], class_names) if gold_column else ()
            return Record(index, values, tuple(match_label(answer, labels) for answer in answers))

        return (record(index, row) for index, row in enumerate(rows, start=self.first))

    def _input_columns(self, inputs: Sequence[InputField], columns: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """The columns that may hold each input: one of its names, then an unnamed one."""
        if len(self.unnamed) > len(inputs):
            names = ", ".join(one.name for one in inputs)
            raise InvalidInput(f"{self.name} has rows of {len(self.unnamed)} values; the inputs are {names}.")
        sources: dict[str, tuple[str, ...]] = {}
        for place, one in enumerate(inputs):
            named = self._named(columns[one.name]) if one.name in columns else self.column(one.name, *one.columns)
            sources[one.name] = ((named,) if named else ()) + self.unnamed[place : place + 1]
        if missing := [one for one in inputs if one.required and not sources[one.name]]:
            names = "; for ".join(", ".join(dict.fromkeys((one.name, *one.columns))) for one in missing)
            numbered = list(self.columns) == [str(n) for n in range(1, len(self.columns) + 1)]
            raise InvalidInput(
                f"{self.name} has no column for {names}. Its columns: {', '.join(map(repr, self.columns))}"
                f"{', by number, since its first line is no header' if numbered else ''}. "
                f"Rename one, or say which it is: column={{{missing[0].name!r}: …}}, --column {missing[0].name}=…"
            )
        return sources

    def _gold_column(self, inputs: Sequence[str], gold: Sequence[str], columns: Mapping[str, str]) -> str | None:
        """The column that holds the right label or answers; None if there is none."""
        for name, column in columns.items():
            if name not in inputs:
                if name not in ("gold", *gold):
                    raise UnknownName("input", name, (*inputs, "gold", *gold))
                return self._named(column)
        return self.column(*gold)

    def _named(self, name: str) -> str:
        """The column of that name. Raises UnknownName."""
        column = self.column(name)
        if column is None:
            raise UnknownName(f"column of {self.name}", name, self.columns)
        return column

    def _value(self, field: InputField, cell: Any, index: int) -> Any:
        """A cell as a text ("" if there is nothing in it), or as an image's path, bytes or nested lists of pixels."""
        if field.kind == "image":
            if isinstance(cell, dict):  # as `datasets` stores images
                cell = cell.get("bytes") or cell.get("path")
            return str(self.folder / cell) if isinstance(cell, str) and cell else cell
        if field.kind == "list" and not _is_empty(cell):
            return list_items(cell, f"{self.name}, record {index}: {field.name}")
        if isinstance(cell, (list, dict, bytes)):
            raise InvalidInput(f"{self.name}, record {index}: {field.name} is a {type(cell).__name__}; give a text.")
        return "" if _is_empty(cell) else str(cell)


def is_table(value: Any) -> bool:
    """Is this a table of examples: a pandas frame, a data set, a mapping of columns, or a DataTable?"""
    kinds = (("pandas", "DataFrame"), *(("datasets", name) for name in ("Dataset", "IterableDataset", "DatasetDict")))
    classes = [getattr(sys.modules[module], name) for module, name in kinds if module in sys.modules]
    return isinstance(value, (DataTable, Mapping, *classes))


def match_label(text: str, labels: Sequence[str]) -> str:
    """The label with that index, name (in any case) or beginning (three letters or more); else the text itself.

    >>> [match_label(text, ["NEGATIVE", "POSITIVE"]) for text in ("1", "negative", "pos", "sports")]
    ['POSITIVE', 'NEGATIVE', 'POSITIVE', 'sports']
    """
    index, folded = text.removesuffix(".0"), text.casefold()
    if text not in labels and index.isdecimal() and int(index) < len(labels):
        return labels[int(index)]
    equal = [name for name in labels if name.casefold() == folded]
    longer = [name for name in labels if len(folded) >= 3 and name.casefold().startswith(folded)]
    return equal[0] if equal else longer[0] if len(longer) == 1 else text


def _class_names(feature: Any) -> Sequence[str]:
    """The names of a column of classes; () for any other column."""
    return getattr(feature, "names", None) or getattr(getattr(feature, "feature", None), "names", None) or ()


def _is_empty(cell: Any) -> bool:
    return cell is None or cell == "" or cell != cell  # NaN is unequal to itself


def _gold_texts(cell: Any, names: Sequence[str]) -> tuple[str, ...]:
    """The right answers: one text, a list of texts, or SQuAD's {"text": […]}. An empty list is the answer "", none."""
    if isinstance(cell, Mapping):
        return _gold_texts(next((cell[name] for name in ("text", "answer", "label") if name in cell), None), names)
    if isinstance(cell, (list, tuple)):
        return tuple(dict.fromkeys(text for one in cell for text in _gold_texts(one, names))) or ("",)
    if _is_empty(cell):
        return ()
    if names and isinstance(cell, int):
        return (names[cell],) if cell >= 0 else ()  # -1 stands for no label
    return (str(cell),)


def read_table(source: Any, *, limit: int | None = None) -> DataTable:
    """A table of examples.

    source: the path of a file (.csv, .tsv, .jsonl, .json with a list of objects, .parquet, .txt with one text a line);
    a `datasets.Dataset`; a pandas frame; a mapping of columns; or an iterable of texts, tuples or mappings. Texts and
    tuples have no names: they are read in the order of a task's inputs. Cells of a CSV are texts, "NA" and "None" too.
    limit: rows at most.
    Raises UnreadableFile for a broken file, naming the line; InvalidInput for no rows, too many, or another source.

    >>> read_table([{"text": "a fine film", "label": "POSITIVE"}, {"text": "a dull film"}])[1]
    {'text': 'a dull film', 'label': None}
    """
    import pandas
    from datasets import Dataset, DatasetDict, IterableDatasetDict

    if isinstance(source, DataTable):
        table = source
    elif isinstance(source, (str, os.PathLike)):
        table = _of_file(Path(source), limit)
    elif isinstance(source, Dataset):
        table = DataTable(source.with_format(None), source.info.dataset_name or "the data set")
    elif isinstance(source, (DatasetDict, IterableDatasetDict)):
        raise InvalidInput(f"a table is one split; choose one of {', '.join(map(repr, source))}.")
    elif isinstance(source, pandas.DataFrame):
        kinds = [pandas.api.types.infer_dtype(column) for _, column in source.items()]
        if source.columns.is_unique and any(kind.startswith("mixed") for kind in kinds):  # cells of several kinds
            table = DataTable(_dataset(source.to_dict("list"), "the frame"), "the frame")
        else:
            table = DataTable(_converted(Dataset.from_pandas, source, "the frame", preserve_index=False), "the frame")
    elif isinstance(source, Mapping):
        table = DataTable(_dataset(source, "the data"))
    elif isinstance(source, Iterable) and not isinstance(source, bytes):
        table = _of_rows(source, "the data", limit)
    else:
        raise InvalidInput(
            "a table is a path, a datasets.Dataset, a pandas frame, a mapping of columns, or a list of texts, tuples "
            f"or mappings; got {type(source).__name__}."
        )
    if not len(table):
        raise InvalidInput(f"{table.name} has no rows.")
    check_limit(len(table), limit, table.name)
    return table


def _of_file(path: Path, limit: int | None) -> DataTable:
    from datasets import Dataset

    rows = read_file(path, limit)
    if isinstance(rows, Dataset):
        return DataTable(rows, path.name, path.parent)
    return _of_rows(rows, path.name, limit, path.parent)


def _of_rows(rows: Iterable[Any], name: str, limit: int | None, folder: Path = Path()) -> DataTable:
    """A table of texts, tuples or mappings. Rows of unequal length or keys are filled up with None."""
    items = list(islice(rows, None if limit is None else limit + 1))
    check_limit(len(items), limit, name)
    width = 0  # of the longest row without names
    for index, row in enumerate(items):
        if not isinstance(row, (str, tuple, list, Mapping)):
            raise InvalidInput(f"{name}: a row is a text, a tuple or a mapping; row {index} is a {type(row).__name__}.")
        if not isinstance(row, Mapping):
            cells = (row,) if isinstance(row, str) else row
            width = max(width, len(cells))
            items[index] = {f"column {place}": cell for place, cell in enumerate(cells, start=1)}
    keys = dict.fromkeys(key for row in items for key in row)
    columns = {key: [row.get(key) for row in items] for key in keys}
    return DataTable(_dataset(columns, name), name, folder, tuple(f"column {n}" for n in range(1, width + 1)))


def _dataset(columns: Mapping[Any, Iterable[Any]], name: str) -> Dataset:
    """A data set of columns; one whose cells are of several kinds holds them as JSON."""
    from datasets import Dataset

    cells = {}
    for key, column in columns.items():
        if isinstance(column, str) or not isinstance(column, Iterable):
            raise InvalidInput(f"{name}: a mapping holds columns, each a list; {key!r} is a {type(column).__name__}.")
        cells[str(key)] = [os.fspath(cell) if isinstance(cell, os.PathLike) else cell for cell in column]
    return _converted(Dataset.from_dict, cells, name, on_mixed_types="use_json")


def _converted(convert: Callable[..., Dataset], source: Any, name: str, **options: Any) -> Dataset:
    try:
        return convert(source, **options)
    except CONVERSION_ERRORS as error:
        raise InvalidInput(f"{name} cannot be read as a table: {first_line(error)}.") from None


def _fingerprint() -> str:
    """A name for changed rows. `datasets` would hash them instead, which takes long and swallows Ctrl-C."""
    return secrets.token_hex(8)
