"""Files of examples, read row by row.

Text files are parsed here and not by the readers of `datasets`: those turn the cell "NA" into an empty one, fill up
short rows in silence, name no line in their errors, and write a cache.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_nlp.errors import InvalidInput, UnreadableFile

if TYPE_CHECKING:
    from datasets import Dataset

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".txt")
HEADER_ROWS = 1000  # that tell whether the first line is a header
#: Failures of Arrow and of `datasets` on values that a column cannot hold.
CONVERSION_ERRORS = (ValueError, TypeError, OverflowError, OSError, NotImplementedError)


def read_file(path: Path, limit: int | None = None) -> Dataset | Iterator[dict[str, Any]] | Iterator[str]:
    """The rows of a file: a data set for Parquet, mappings for CSV and JSON, and texts for .txt, one a line.

    Raises InvalidInput for a missing file and another suffix, UnreadableFile, which names the line, for a broken file.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InvalidInput(f"there is no file {path}.")
    if suffix not in SUFFIXES:
        raise InvalidInput(f"{path.name} is no table: give a file that ends in {', '.join(SUFFIXES)}.")
    if suffix == ".parquet":
        return _read_parquet(path, limit)
    text = _read_text(path)
    if suffix == ".txt":
        return (line.strip() for line in text.splitlines() if line.strip())
    if suffix in (".csv", ".tsv"):
        return _csv_rows(text, path.name, "," if suffix == ".csv" else "\t")
    return json_rows(text, path.name, lines=suffix == ".jsonl")


def check_limit(rows: int, limit: int | None, name: str) -> None:
    """Raise InvalidInput for more rows than the limit."""
    if limit is not None and rows > limit:
        raise InvalidInput(f"{name} has more than {limit:,} rows, which is the limit. Give fewer of them.")


def first_line(error: Exception) -> str:
    """The first line of an error's message, without its full stop."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(f"{path.name}, line {line}: not UTF-8 text. Save the file as UTF-8.") from None
    if not text.strip():
        raise UnreadableFile(f"{path.name} is empty.")
    return text


def _csv_rows(text: str, name: str, delimiter: str) -> Iterator[dict[str, str]]:
    """Rows by the names in the first line, or by "1", "2", … where the first line is no header."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines = ((reader.line_num, cells) for cells in reader if cells)  # blank lines do not count
    try:
        (number, header), *below = list(islice(lines, HEADER_ROWS))
        header = [cell.strip() for cell in header]
        if not _is_header(header, [cells for _, cells in below]):
            below = [(number, header), *below]
            header = [str(n) for n in range(1, len(header) + 1)]
        if twice := [cell for cell in header if header.count(cell) > 1]:
            raise UnreadableFile(f"{name}, line {number}: two columns are called {twice[0]!r}. Rename one.")
        for number, cells in chain(below, lines):
            if len(cells) != len(header):
                raise UnreadableFile(
                    f"{name}, line {number}: {len(cells)} cells, where the header has {len(header)}. "
                    f"A cell that holds {'a comma' if delimiter == ',' else 'a tab'} or a line break is put in quotes."
                )
            yield dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise UnreadableFile(
            f"{name}, line {reader.line_num}: {error}. A cell that begins with a quote ends with one, and quotes in it "
            "are doubled."
        ) from None


def _is_header(first: list[str], below: list[list[str]]) -> bool:
    """Does the first line name the columns? Not if a name is a number, or stands among the values of its column too.

    The numbers that pandas gives to columns without names, from 0 on, are names.
    """
    if not below or first == [str(n) for n in range(len(first))]:
        return True
    columns = ({cells[n].strip() for cells in below if len(cells) == len(first)} for n in range(len(first)))
    return not any(cell and (_is_number(cell) or cell in values) for cell, values in zip(first, columns, strict=True))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def json_rows(text: str, name: str, *, lines: bool = True) -> Iterator[dict[str, Any]]:
    """The objects in JSON lines, or in one list. Raises UnreadableFile, which names the line."""
    if lines:
        parsed = (
            (f"{name}, line {n}", _json(line, name, n)) for n, line in enumerate(text.split("\n"), 1) if line.strip()
        )
    else:
        listed = _json(text, name)
        if not isinstance(listed, list):
            raise UnreadableFile(f"{name}: a list of objects is needed; got a {type(listed).__name__}.")
        parsed = ((f"{name}, entry {n}", row) for n, row in enumerate(listed, 1))
    for place, row in parsed:
        if not isinstance(row, dict):
            raise UnreadableFile(f"{place}: an object is needed, with the columns as keys; got a {type(row).__name__}.")
        yield row


def _json(text: str, name: str, line: int = 0) -> Any:
    try:
        value = json.loads(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
        return value
    except (ValueError, RecursionError) as error:
        at = line or getattr(error, "lineno", 1)
        raise UnreadableFile(f"{name}, line {at}: no valid JSON: {getattr(error, 'msg', error)}.") from None


def _read_parquet(path: Path, limit: int | None) -> Dataset:
    from datasets import Dataset
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            check_limit(file.metadata.num_rows, limit, path.name)
            return Dataset(file.read())
    except InvalidInput:
        raise
    except CONVERSION_ERRORS as error:
        raise UnreadableFile(f"{path.name} is no Parquet file that can be read: {first_line(error)}.") from None
