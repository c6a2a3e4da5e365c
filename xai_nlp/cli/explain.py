"""`xai-nlp explain TASK` and `xai-nlp attention TASK`: one command for each task of the table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xai_nlp.cli.options import (
    Model,
    input_parameters,
    inputs_of_arguments,
    option_parameter,
    option_values,
    pairs,
    read_method_options,
)
from xai_nlp.cli.output import write_results
from xai_nlp.data.table import DataTable, Record, read_table
from xai_nlp.data.table_files import json_rows
from xai_nlp.errors import InvalidInput
from xai_nlp.tasks.table import TASKS, Task

if TYPE_CHECKING:
    from xai_nlp import Explanations

ATTENTION_METHOD = "attention_integrated_gradients"


def task_commands(help: str, *, attention: bool = False) -> typer.Typer:
    """A group with a command for each task. `attention` shows heads and pairs of tokens, too."""
    group = typer.Typer(help=help, no_args_is_help=True)
    for task in TASKS.values():
        if attention and not task.reads_text:
            continue
        group.command(task.command, help=task.help)(task_command(task, attention=attention))
    return group


def task_command(task: Task, *, attention: bool = False) -> Callable[..., None]:
    """The command of a task; its parameters are the task's inputs and options, and those of every task."""
    options = {one.name: one for one in task.every_option}
    if attention:
        options["method"] = replace(options["method"], default=ATTENTION_METHOD)

    def command(
        *,
        model: Model = task.embedded,
        data: Annotated[
            Path | None,
            typer.Option(
                "--file", "--data", help="A file of inputs: lines of text, CSV, TSV, JSON or Parquet; - for stdin."
            ),
        ] = None,
        columns: Annotated[
            list[str] | None,
            typer.Option("--column", metavar="NAME=COLUMN", help="The column of --data that holds an input, or gold."),
        ] = None,
        method_options: Annotated[
            list[str] | None,
            typer.Option(
                "--option", "-o", metavar="NAME=VALUE", help="A method's option; `xai-nlp methods NAME` lists them."
            ),
        ] = None,
        seed: Annotated[int, typer.Option(help="The seed of methods that draw random numbers.")] = 0,
        html: Annotated[Path | None, typer.Option(help="Write a page.")] = None,
        json_to: Annotated[Path | None, typer.Option("--json", help="Write JSON lines; - for stdout.")] = None,
        tokens: Annotated[bool, typer.Option("--tokens", help="Show the model's tokens instead of words.")] = False,
        **values: Any,
    ) -> None:
        methods = values["method"] = values["method"] or [options["method"].default]
        if attention:
            check_attention_methods(methods)
        keywords = option_values(task.every_option, values) | read_method_options(method_options, methods, seed)
        results = explain_inputs(task, model, values, data, pairs(columns, "--column NAME=COLUMN"), keywords)
        write_results(results, html=html, json_to=json_to, tokens=tokens, heads=attention)

    own = [one for one in signature(command, eval_str=True).parameters.values() if one.kind is one.KEYWORD_ONLY]
    if not task.embedded:  # then the model must be named
        own[0] = own[0].replace(default=Parameter.empty)
    inputs = [parameter for one in task.inputs for parameter in input_parameters(one)]
    parameters = [*inputs, *map(option_parameter, options.values()), *own]
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def explain_inputs(
    task: Task, model: str, values: dict[str, Any], data: Path | None, columns: dict[str, str], options: dict[str, Any]
) -> Explanations:
    """Explain the inputs of a command: those among its values, or the records of a file."""
    from xai_nlp import load
    from xai_nlp.core.batching import progress_bar
    from xai_nlp.web.forms import columns_of

    inputs = inputs_of_arguments(task, values, data)
    if columns and not data:
        raise typer.BadParameter("--column names the columns of --data; give a file.")
    table = read_data(data) if data else None
    explainer, records = load(model, task=task.name), []
    if table:
        labels = getattr(getattr(explainer, "labels", None), "names", ())
        lists = {one.name: inputs[one.name] for one in task.inputs if one.name in inputs}  # they serve all rows
        read = [one for one in task.inputs if one.name not in lists]
        records = list(table.records(read, task.gold, columns, labels))
        inputs = columns_of(records) | lists
    with progress_bar("explaining") as progress:
        results = explainer.explain(**inputs, progress=progress, **options)
    return with_gold(results, records) if records else results


def read_data(file: Path) -> DataTable:
    """The table in a file. On stdin, "-", are JSON lines if it begins with "{", or else one text a line."""
    if str(file) != "-":
        return read_table(file)
    text = sys.stdin.read()
    if text.lstrip().startswith("{"):
        return read_table(json_rows(text, "stdin"))
    return read_table(line.strip() for line in text.splitlines() if line.strip())


def with_gold(results: Explanations, records: Sequence[Record]) -> Explanations:
    """The explanations with the right labels or answers of their records, which have as many explanations each."""
    from xai_nlp import Explanations

    share, rest = divmod(len(results), len(records))
    groups = [results[n * share : (n + 1) * share] for n in range(len(records))]
    if rest or any(len({why.segments for why in group}) != 1 for group in groups):
        return results
    return Explanations(
        replace(why, gold=record.gold or why.gold)
        for group, record in zip(groups, records, strict=True)
        for why in group
    )


def check_attention_methods(methods: Sequence[str]) -> None:
    """Raise InvalidInput for a method that does not score attention, UnknownName for one that does not exist."""
    from xai_nlp.methods import METHODS, find_method

    known = sorted(name for name, cls in METHODS.items() if cls.operates_on not in ("inputs", "layer"))
    for name in methods:
        if find_method(name).name not in known:
            raise InvalidInput(f"{name!r} does not look at attention; choose one of {', '.join(known)}.")
