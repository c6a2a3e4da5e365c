"""`xai-nlp explain TASK` and `xai-nlp attention TASK`: one command for each task of the table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from xai_nlp.cli.options import (
    Columns,
    Device,
    Dtype,
    Limit,
    Model,
    Quiet,
    columns_of_options,
    example_of,
    input_parameters,
    inputs_of_arguments,
    option_parameter,
    option_values,
    read_method_options,
)
from xai_nlp.cli.output import ResultWriter
from xai_nlp.cli.parts import explain_in_parts
from xai_nlp.data.table import DataTable, read_table
from xai_nlp.data.table_files import json_rows
from xai_nlp.errors import InvalidInput
from xai_nlp.tasks.table import TASKS
from xai_nlp.tasks.task import Task

ATTENTION_METHOD = "attention_integrated_gradients"


def task_commands(help: str, *, attention: bool = False) -> typer.Typer:
    """A group with a command for each task. `attention` shows heads and pairs of tokens, too."""
    group = typer.Typer(help=help, no_args_is_help=True)
    name = "attention" if attention else "explain"
    for task in TASKS.values():
        if attention and not task.reads_text:
            continue
        command = task_command(task, attention=attention)
        group.command(task.command, help=task.help, epilog=example_of(name, task))(command)
    return group


def task_command(task: Task, *, attention: bool = False) -> Callable[..., None]:
    """The command of a task; its parameters are the task's inputs and options, and those of every task."""
    options = {one.name: one for one in task.every_option}
    if attention:
        options["method"] = replace(options["method"], default=ATTENTION_METHOD)

    def command(
        *,
        model: Model = task.embedded,
        device: Device = None,
        dtype: Dtype = None,
        data: Annotated[
            Path | None,
            typer.Option(
                "--file", "--data", help="A file of inputs: CSV, TSV, JSON lines, Parquet, lines of text; - for stdin."
            ),
        ] = None,
        columns: Columns = None,
        limit: Limit = None,
        method_options: Annotated[
            list[str] | None,
            typer.Option(
                "--option", "-o", metavar="NAME=VALUE", help="A method's option; `xai-nlp methods NAME` lists them."
            ),
        ] = None,
        seed: Annotated[int, typer.Option(help="The seed of methods that draw random numbers.")] = 0,
        html: Annotated[Path | None, typer.Option(help="Write a page.")] = None,
        json_to: Annotated[
            Path | None, typer.Option("--json", help="Write JSON lines, while they come; - for stdout.")
        ] = None,
        tokens: Annotated[bool, typer.Option("--tokens", help="Show the model's tokens instead of words.")] = False,
        quiet: Quiet = False,
        **values: Any,
    ) -> None:
        from xai_nlp import Explanations, load

        methods = values["method"] = values["method"] or [options["method"].default]
        if attention:
            check_attention_methods(methods)
        keywords = option_values(task.every_option, values) | read_method_options(method_options, methods, seed)
        names, inputs = columns_of_options(task, columns), inputs_of_arguments(task, values, data)
        if data is None and (columns or limit):
            raise typer.BadParameter("--column and --limit are about the rows of --file; give a file.")
        writer = ResultWriter(html=html, json_to=json_to, tokens=tokens, heads=attention, quiet=quiet)
        go_on = keywords.get("on_error") == "record"
        table = read_data(data, limit) if data else None
        explainer = load(model, task=task.name, device=device, dtype=dtype)
        if table is not None:
            parts = explain_in_parts(explainer, table, quiet=quiet, **{**keywords, **inputs, "column": names})
            writer.write_all(parts, source=f"{table.name}, record", go_on=go_on)
            return
        results = explainer.explain(**inputs, progress=not quiet, **keywords)
        writer.write_all([results if isinstance(results, Explanations) else Explanations([results])], go_on=go_on)

    own = [one for one in signature(command, eval_str=True).parameters.values() if one.kind is one.KEYWORD_ONLY]
    if not task.embedded:  # then the model must be named
        own[0] = own[0].replace(default=Parameter.empty)
    inputs = [parameter for one in task.inputs for parameter in input_parameters(task, one)]
    parameters = [*inputs, *map(option_parameter, options.values()), *own]
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def read_data(file: Path, limit: int | None = None) -> DataTable:
    """The first rows of the table in a file. On stdin, "-", are JSON lines if it begins with "{", or else texts."""
    if str(file) != "-":
        table = read_table(file)
    else:
        text = sys.stdin.read()
        lines = (line.strip() for line in text.splitlines() if line.strip())
        table = replace(read_table(json_rows(text, "stdin") if text.lstrip().startswith("{") else lines), name="stdin")
    return table.part(range(min(limit or len(table), len(table))))


def check_attention_methods(methods: Sequence[str]) -> None:
    """Raise InvalidInput for a method that does not score attention, UnknownName for one that does not exist."""
    from xai_nlp.methods import METHODS, find_method

    known = sorted(name for name, cls in METHODS.items() if cls.operates_on not in ("inputs", "layer"))
    for name in methods:
        if find_method(name).name not in known:
            raise InvalidInput(f"{name!r} does not look at attention; choose one of {', '.join(known)}.")
