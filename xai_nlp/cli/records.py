"""The inputs of a command: from its arguments and options, or from a file of many."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from xai_nlp.cli.options import flag_of
from xai_nlp.core.fields import InputField
from xai_nlp.data.table import DataTable, read_table
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


def inputs_of_arguments(task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs on the command line by name: a list where an argument is repeated, else one value."""
    inputs = {}
    for field in task.inputs:
        value, file = values[field.name], values.get(f"{field.name}_file")
        if value and file:
            raise typer.BadParameter(f"give {_flag(field)} or {_flag(field)}-file, not both.")
        if file:
            value = read_text(file)
        if value not in (None, []):
            inputs[field.name] = value[0] if isinstance(value, list) and len(value) == 1 else value
    if missing := [_flag(one) for one in task.inputs if one.required and one.name not in inputs]:
        raise typer.BadParameter(f"give {' and '.join(missing)}, or --data with a file of inputs (- for stdin).")
    return inputs


def _flag(field: InputField) -> str:
    return field.name.upper() if field.positional else flag_of(field.name)


def flags_of_inputs(task: Task, values: Mapping[str, Any]) -> list[str]:
    """The flags of the inputs that stand on the command line."""
    return [_flag(one) for one in task.inputs if values[one.name] or values.get(f"{one.name}_file")]
