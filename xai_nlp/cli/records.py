"""The inputs of a command: from its arguments and options, or from a file of many."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from xai_nlp.core.fields import InputField, list_items
from xai_nlp.data.table import DataTable, Record, read_table
from xai_nlp.data.table_files import json_rows
from xai_nlp.errors import InvalidInput
from xai_nlp.tasks.table import Task


def read_text(file: Path) -> str:
    """A file's text, "-" for stdin. Raises InvalidInput if it is not UTF-8."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}.") from None


def read_data(file: Path) -> DataTable:
    """The table in a file. On stdin, "-", are JSON lines if it begins with "{", or else one text a line."""
    if str(file) != "-":
        return read_table(file)
    text = sys.stdin.read()
    if text.lstrip().startswith("{"):
        return read_table(json_rows(text, "stdin"))
    return read_table(line.strip() for line in text.splitlines() if line.strip())


def records_of_arguments(task: Task, values: Mapping[str, Any]) -> list[Record]:
    """The inputs on the command line: one record for each argument, with the same options."""
    inputs = {one.name: value for one in task.inputs if (value := _input_value(one, values)) is not None}
    if missing := [_flag(one) for one in task.inputs if one.required and one.name not in inputs]:
        raise typer.BadParameter(f"give {' and '.join(missing)}, or --data with a file of inputs (- for stdin).")
    arguments = [one.name for one in task.inputs if one.positional]
    rows: list[dict[str, Any]] = [inputs]
    for name in arguments:
        rows = [{**row, name: value} for row in rows for value in inputs.get(name, [None])]
    return [Record(index, row) for index, row in enumerate(rows)]


def _input_value(field: InputField, values: Mapping[str, Any]) -> Any:
    """The value of an input, from its option or from a file; None if it is not given."""
    value, file = values[field.name], values.get(f"{field.name}_file")
    if value and file:
        raise typer.BadParameter(f"give {_flag(field)} or {_flag(field)}-file, not both.")
    if field.kind == "list" and value is not None:
        return list_items(value, field.name)
    return read_text(file) if file else None if value == [] else value


def _flag(field: InputField) -> str:
    return field.name.upper() if field.positional else f"--{field.name.replace('_', '-')}"


def flags_of_inputs(task: Task, values: Mapping[str, Any]) -> list[str]:
    """The flags of the inputs that stand on the command line."""
    return [_flag(one) for one in task.inputs if values[one.name] or values.get(f"{one.name}_file")]
