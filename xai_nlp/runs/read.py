"""A run read back: a lazy sequence of explanations that stay in their files."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from pyarrow import ArrowException
from pyarrow.parquet import ParquetFile

from xai_nlp.core.explanations import Explanations
from xai_nlp.core.files import FileInTheMaking
from xai_nlp.core.result import Explanation
from xai_nlp.core.two_files import json_path
from xai_nlp.errors import UnreadableFile
from xai_nlp.runs.plan import PLAN_FILE, Plan
from xai_nlp.runs.shards import FORMAT_KEY, SCHEMA, explanation_of, finished

if TYPE_CHECKING:
    from datasets import Dataset
    from pyarrow import Table

    from xai_nlp.core.overview import Overview

CACHE = 2**28  # bytes of tables that stay in memory


class ShardReader:
    """The tables of a run's files, read when they are used; the last ones stay in memory, up to CACHE bytes."""

    def __init__(self, files: list[Path]) -> None:
        self.files, self._lock = files, Lock()
        self._tables: OrderedDict[int, Table] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        return ShardReader, (self.files,)

    def table(self, number: int) -> Table:
        """The table of a file, for any thread. Raises UnreadableFile."""
        with self._lock:
            table = self._tables.pop(number, None)
            if table is None:
                table = read_parquet(self.files[number])
            self._tables[number] = table
            while len(self._tables) > 1 and sum(one.nbytes for one in self._tables.values()) > CACHE:
                self._tables.popitem(last=False)
            return table

    def explanation(self, number: int, place: int) -> Explanation:
        """The explanation in a row of a file. Raises UnreadableFile."""
        table = self.table(number)
        (cells,) = table.slice(place, 1).to_pylist()
        try:
            return explanation_of(cells, int(table.schema.metadata[FORMAT_KEY]))
        except UnreadableFile as error:
            raise UnreadableFile(f"{self.files[number]}, row {place}: {error}") from None


class Run(Explanations):
    """The explanations of a run, in the order of the data's rows; each is read from its file when it is used.

    inputs: the data's row of each. errors: the rows that could not be explained -> why. plan: what was run.
    """

    __slots__ = ("_places", "_reader", "plan")

    def __init__(self, plan: Plan, reader: ShardReader, places: np.ndarray, errors: dict[int, str]) -> None:
        super().__init__(errors=errors)
        self.plan, self._reader, self._places = plan, reader, places  # (N, 3): row of the data, file, row of the file
        self.inputs = tuple(places[:, 0].tolist())

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Explanation: ...
    @overload
    def __getitem__(self, index: slice) -> Run: ...
    def __getitem__(self, index: int | slice) -> Explanation | Run:
        if isinstance(index, slice):
            return self._part(self._places[index])
        _, number, place = self._places[index].tolist()
        return self._reader.explanation(number, place)

    @property
    def files(self) -> list[Path]:
        """The files that hold the explanations."""
        return self._reader.files

    @property
    def places(self) -> np.ndarray:
        """(N, 3): of each explanation the row of the data, the number of its file in `files`, and its row there."""
        return self._places

    def __reduce__(self) -> tuple[Any, ...]:
        return Run, (self.plan, self._reader, self._places, self.errors)

    def __repr__(self) -> str:
        failed = f", {len(self.errors):,} failed" if self.errors else ""
        return f"<Run {self.plan.name}: {len(self):,} explanations of {self.plan.data}{failed}>"

    def _part(self, places: np.ndarray) -> Run:
        return Run(self.plan, self._reader, places, self.errors)

    def filter(self, keep: Callable[[Explanation], Any]) -> Run:
        """The explanations of which `keep` is true; each is read once now, and none stays in memory.

        >>> import tempfile, xai_nlp
        >>> found = xai_nlp.run(["a fine film", "a dull mess"], directory=tempfile.mkdtemp(), method="saliency",
        ...     progress=False)
        >>> [item.segments for item in found.filter(lambda item: item.prediction == "NEGATIVE")]
        [('a dull mess',)]
        """
        return self._part(self._places[[bool(keep(item)) for item in self]])

    def overview(
        self,
        *,
        method: str | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
        seed: int = 0,
        title: str = "",
        progress: bool = True,
    ) -> Overview:
        """What the model relies on over all of these, in one pass over the files.

        method: of the explanations, where the run has several; by default its first. columns: name -> a value for each
        row of the data, by which rows are compared. seed: of resampling and of the examples that are drawn.
        progress: with a bar, if it takes more than two seconds.
        Raises InvalidInput for no explanations or a column of another length, UnknownName for a method.

        >>> import tempfile, xai_nlp
        >>> found = xai_nlp.run(["a fine film", "a fine plot", "dull"], directory=tempfile.mkdtemp(), method="saliency",
        ...     progress=False)
        >>> list(found.overview().tables)[:1]
        ['lexicon']
        """
        from xai_nlp.runs.overview.run_overview import overview

        return overview(self, method=method, columns=columns, seed=seed, title=title, progress=progress)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the page of the overview: aggregates, and a sample of the explanations."""
        self.overview().to_html(path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON lines, whole or not at all, one explanation after the other; `Explanations.load` reads them."""
        lines = FileInTheMaking(json_path(path))
        try:
            lines.write(b"")
            for item in self:
                lines.write(f"{item.to_json()}\n".encode())
            lines.keep()
        except BaseException:
            lines.drop()
            raise

    def column(self, name: str) -> Iterator[Any]:
        """The cells of a column of the files (`runs.shards.SCHEMA`) in this order; no other column is read."""
        files = self._reader.files
        cells = lru_cache(maxsize=8)(lambda number: read_parquet(files[number], [name])[name].to_pylist())
        return (cells(number)[place] for _, number, place in self._places.tolist())

    def to_dataset(self) -> Dataset:
        """The rows of the files as a `datasets.Dataset` in memory: `runs.shards.SCHEMA`, in the order of this."""
        import pyarrow
        from datasets import Dataset

        tables = [read_parquet(file).replace_schema_metadata() for file in self._reader.files]
        table = pyarrow.concat_tables(tables or [SCHEMA.empty_table().replace_schema_metadata()])
        starts = np.cumsum([0, *map(len, tables)])
        return Dataset(table.take(starts[self._places[:, 1]] + self._places[:, 2]))


def read_run(directory: str | os.PathLike[str]) -> Run:
    """The explanations of the run in a folder, also of one that has not ended; nothing is loaded but row numbers.

    Raises InvalidInput if there is no run, UnreadableFile for a broken file.

    >>> import tempfile, xai_nlp
    >>> folder = tempfile.mkdtemp()
    >>> _ = xai_nlp.run(["a fine film", "a dull mess"], directory=folder, method="saliency", progress=False)
    >>> found = read_run(folder)
    >>> len(found), found[1].prediction, found.plan.rows
    (2, 'NEGATIVE', 2)
    """
    folder = Path(directory)
    plan = Plan.load(folder)
    files = list(finished(folder).values())
    places, errors = [np.empty((0, 3), dtype=np.int64)], dict[int, str]()
    for number, file in enumerate(files):
        table = read_parquet(file, ["row", "error"])
        rows, messages = table["row"].to_numpy(), table["error"]
        failed = messages.is_valid().to_numpy()
        at = np.flatnonzero(~failed)
        places.append(np.stack([rows[at], np.full(len(at), number), at], axis=1))
        errors.update(zip(rows[failed].tolist(), messages.drop_null().to_pylist(), strict=True))
    joined = np.concatenate(places)
    order = np.lexsort((joined[:, 2], joined[:, 1], joined[:, 0]))
    return Run(plan, ShardReader(files), joined[order], dict(sorted(errors.items())))


def is_run(directory: Path) -> bool:
    """Is there a run in this folder?"""
    return (directory / PLAN_FILE).is_file()


def read_parquet(file: Path, columns: list[str] | None = None) -> Table:
    """The table in a file of a run. Raises UnreadableFile."""
    try:
        with ParquetFile(file) as opened:
            table = opened.read(columns)
            if FORMAT_KEY not in (table.schema.metadata or {}):
                raise UnreadableFile(f"{file} is no file of a run.")
            return table
    except (ArrowException, OSError) as error:
        raise UnreadableFile(f"{file} cannot be read: {(str(error).splitlines() or ['?'])[0]}.") from None
