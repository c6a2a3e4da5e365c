"""The files of a run: Parquet, one row an explanation. `SCHEMA` says what its columns hold.

A file is named by the places of its rows in the run's order: `rows-00000000-00000512.parquet` holds the explanations of
the places 0 to 511. A place is held by one file at most, so that nothing is done twice.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow

from xai_nlp.core.files import write_file
from xai_nlp.core.result import Explanation
from xai_nlp.core.serialization import FORMAT, parse_json, to_data
from xai_nlp.errors import UnreadableFile

if TYPE_CHECKING:
    from pyarrow import Table

FORMAT_KEY = b"xai_nlp explanation format"  # in the metadata of a file
NAME = re.compile(r"rows-(\d{8,})-(\d{8,})\.parquet")


def _list(type: Any) -> Any:
    return pyarrow.list_(pyarrow.field("element", type))  # as Parquet calls it


TEXTS, INTEGERS = _list(pyarrow.string()), _list(pyarrow.int32())
JSON = pyarrow.string()  # a JSON text, as `Explanation.to_json` writes that field
SCHEMA = pyarrow.schema(
    [
        ("row", pyarrow.int64()),  # the row of the data, from 0 on
        ("error", pyarrow.string()),  # why the row could not be explained; the other columns are null then
        ("segments", TEXTS),
        ("tokens", TEXTS),
        ("offsets", _list(INTEGERS)),  # of each token: (start, end) in characters of its segment
        ("segment", INTEGERS),  # of each token; −1 for special tokens
        ("scores", _list(pyarrow.float64())),  # of each token, in `unit`
        ("unit", pyarrow.string()),
        ("target", JSON),
        ("value", pyarrow.float64()),
        ("baseline_value", pyarrow.float64()),
        ("outputs", JSON),
        ("method", pyarrow.string()),
        ("baseline", pyarrow.string()),
        ("complete", pyarrow.bool_()),
        ("task", pyarrow.string()),
        ("model", pyarrow.string()),
        ("seed", pyarrow.int64()),
        ("params", JSON),
        ("versions", JSON),
        ("answer", JSON),
        ("gold", TEXTS),
        ("trust", JSON),
        ("parts", JSON),
        ("layers", JSON),
        ("attention", JSON),
        ("image", JSON),
    ],
    metadata={FORMAT_KEY: str(FORMAT).encode()},
)
JSON_COLUMNS = ("target", "outputs", "params", "versions", "answer", "trust", "parts", "layers", "attention", "image")


def table_of(explained: Iterable[tuple[int, Explanation]], errors: Mapping[int, str]) -> Table:
    """The rows of a file: explanations with the data's row of each, and the errors of the rows that have one."""
    rows = [{"row": row, **_cells(item)} for row, item in explained]
    rows += [{"row": row, "error": message.encode(errors="replace").decode()} for row, message in errors.items()]
    return pyarrow.Table.from_pylist(rows, schema=SCHEMA)


def _cells(item: Explanation) -> dict[str, Any]:
    data = to_data(item)
    del data["format"]
    return {
        name: json.dumps(part, allow_nan=False) if name in JSON_COLUMNS and part is not None else part
        for name, part in data.items()
    }


def explanation_of(cells: Mapping[str, Any], format: int = FORMAT) -> Explanation:
    """The explanation in a row of a file. Raises UnreadableFile, which names the field."""
    data = {
        name: parse_json(cell) if name in JSON_COLUMNS and cell is not None else cell
        for name, cell in cells.items()
        if name not in ("row", "error")
    }
    return Explanation.from_data({"format": format, **data})


def parquet(table: Table) -> bytes:
    """The bytes of a Parquet file."""
    from pyarrow.parquet import write_table

    buffer = io.BytesIO()
    write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def write_shard(directory: Path, places: range, tables: Sequence[Table]) -> None:
    """Write the explanations of these places, whole or not at all. Raises OSError as `open` does."""
    write_file(directory / f"rows-{places.start:08}-{places.stop:08}.parquet", parquet(pyarrow.concat_tables(tables)))


def finished(directory: Path) -> dict[range, Path]:
    """The files of a run by the places that they hold, in order. Raises UnreadableFile if two hold the same place."""
    named = ((NAME.fullmatch(file.name), file) for file in directory.iterdir())
    files = sorted(((int(name[1]), int(name[2])), file) for name, file in named if name)
    end = 0
    for (start, stop), file in files:
        if start < end:
            raise UnreadableFile(f"{file} holds places that another file of the run holds too; remove one of them.")
        end = stop
    return {range(*places): file for places, file in files}
