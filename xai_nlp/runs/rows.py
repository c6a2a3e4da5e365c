"""The rows of a run: read from a table, counted, and put in the order in which they are explained."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from xxhash import xxh3_128

from xai_nlp.data.table import DataTable, Record
from xai_nlp.errors import InvalidInput
from xai_nlp.tasks.explainer import Explainer

WINDOW = 2048  # rows that are sorted by length
BATCH_TOKENS = 2048  # padded tokens of the rows that are explained in one call
SHARD_TOKENS, SHARD_ROWS = 2**15, 512  # of a file; it ends with the batch that reaches one of them


@dataclass(frozen=True)
class Row:
    """One row of the data. error: why its cells cannot be read; "" if they can."""

    record: Record
    error: str = ""


class RunRows:
    """The rows of a table as inputs of an explainer.

    columns: input, or "gold", -> column. shared: names of inputs that are given once for all rows.
    Raises InvalidInput for a missing column, UnknownName for a name in `columns`.
    """

    def __init__(
        self, table: DataTable, explainer: Explainer, columns: Mapping[str, str], shared: Sequence[str] = ()
    ) -> None:
        self.table, self.columns, self.shared, self.explainer = table, columns, tuple(shared), explainer
        self.fields = [one for one in explainer.task.inputs if one.name not in shared]
        self.labels = getattr(getattr(explainer, "labels", None), "names", ())
        self._records(range(0))
        self.window = lru_cache(maxsize=2)(self._window)

    def __len__(self) -> int:
        return len(self.table)

    def _records(self, rows: range) -> Iterator[Record]:
        return self.table.part(rows).records(self.fields, self.explainer.task.gold, self.columns, self.labels)

    def read(self, rows: range) -> list[Row]:
        """Some of the rows; one whose cells cannot be read has an error."""
        try:
            return [Row(record) for record in self._records(rows)]
        except InvalidInput as error:
            if len(rows) == 1:
                return [Row(Record(rows[0], {}), str(error))]
        middle = len(rows) // 2
        return [*self.read(rows[:middle]), *self.read(rows[middle:])]

    def _window(self, number: int) -> list[Row]:
        start = number * WINDOW
        return self.read(range(start, min(start + WINDOW, len(self))))

    def batch(self, rows: Iterable[int]) -> list[Row]:
        """The rows of these numbers, from windows that are read whole."""
        return [self.window(row // WINDOW)[row % WINDOW] for row in rows]

    def survey(self) -> Survey:
        """Read all rows once: a fingerprint of what is explained, and the tokens of each row."""
        state, lengths = xxh3_128(), []
        for number in range(-(-len(self) // WINDOW)):
            rows = self.window(number)
            for row in rows:
                state.update(repr((row.error, row.record.inputs, row.record.gold)).encode("utf-8", "surrogatepass"))
                for field in self.fields:
                    if field.kind == "image":
                        state.update(_image_bytes(row.record.inputs.get(field.name)))
            lengths.append(self._lengths(rows))
        return Survey(state.hexdigest(), np.concatenate(lengths))

    def _lengths(self, rows: Sequence[Row]) -> np.ndarray:
        """The tokens in the texts of each row; 1 for a row without."""
        lengths = np.zeros(len(rows), dtype=np.int64)
        for field in self.fields if self.explainer.tokenizer is not None else ():
            cells = [(i, row.record.inputs.get(field.name)) for i, row in enumerate(rows)]
            texts = [(i, cell) for i, cell in cells if isinstance(cell, str) and cell and field.kind != "image"]
            if texts:
                places, given = zip(*texts, strict=True)
                encoded = self.explainer.tokenizer(list(given), verbose=False, return_attention_mask=False)
                lengths[list(places)] += [len(ids) for ids in encoded["input_ids"]]
        return np.maximum(lengths, 1)


@dataclass(frozen=True)
class Survey:
    """What is known of the rows before they are explained.

    fingerprint: of the inputs and of the right answers. lengths: tokens of each row, (rows,).
    """

    fingerprint: str
    lengths: np.ndarray

    @cached_property
    def order(self) -> np.ndarray:
        """The row at each place: sorted by length inside of windows, so that a batch has little padding."""
        starts = range(0, len(self.lengths), WINDOW)
        windows = [np.argsort(self.lengths[start : start + WINDOW], kind="stable") + start for start in starts]
        return np.concatenate(windows)

    @cached_property
    def batches(self) -> list[range]:
        """Places that are explained in one call: of one window, with at most BATCH_TOKENS padded tokens or one row."""
        batches, start = [], 0
        for place, length in enumerate(self.lengths[self.order].tolist()):
            if place > start and (place % WINDOW == 0 or length * (place - start + 1) > BATCH_TOKENS):
                batches.append(range(start, place))
                start = place
        return [*batches, range(start, len(self.lengths))]

    def tokens(self, batch: range) -> int:
        """The tokens of a batch, padding included."""
        return int(self.lengths[self.order[batch[-1]]]) * len(batch)

    def shards(self, done: Iterable[range] = ()) -> Iterator[list[range]]:
        """Neighbouring batches that become one file, without those whose places are done."""
        places = {place for part in done for place in part}
        shard: list[range] = []
        for batch in self.batches:
            if batch.start in places or (shard and self._is_full(shard)):
                if shard:
                    yield shard
                shard = []
            if batch.start not in places:
                shard.append(batch)
        if shard:
            yield shard

    def _is_full(self, shard: list[range]) -> bool:
        return shard[-1].stop - shard[0].start >= SHARD_ROWS or sum(map(self.tokens, shard)) >= SHARD_TOKENS


def _image_bytes(cell: Any) -> bytes:
    return Path(cell).read_bytes() if isinstance(cell, (str, os.PathLike)) and os.path.isfile(cell) else b""


def layout() -> dict[str, int]:
    """How rows are divided: a run that goes on divides them alike."""
    return {"window": WINDOW, "batch_tokens": BATCH_TOKENS}
