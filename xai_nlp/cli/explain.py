"""`xai-nlp explain TASK` and `xai-nlp attention TASK`: one command for each task of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import Signature
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from xai_nlp.cli.options import (
    input_parameters,
    option_parameter,
    option_values,
    pairs,
    read_method_options,
    shared_parameters,
)
from xai_nlp.cli.output import as_explanations, errors_to_stderr, write_results
from xai_nlp.cli.records import flags_of_inputs, read_data, records_of_arguments
from xai_nlp.data.table import Record
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
    options = task.every_option
    if attention:
        options = tuple(replace(one, default=ATTENTION_METHOD) if one.name == "method" else one for one in options)

    def command(**values: Any) -> None:
        with errors_to_stderr():
            values["method"] = values["method"] or [next(one.default for one in options if one.name == "method")]
            if attention:
                check_attention_methods(values["method"])
            results = explain_values(task, values)
            write_results(results, html=values["html"], json_to=values["json_to"], tokens=values["tokens"])
            if attention and str(values["json_to"]) != "-":
                print_heads(results, tokens=values["tokens"])

    parameters = [
        *(parameter for one in task.inputs for parameter in input_parameters(one)),
        *map(option_parameter, options),
        *shared_parameters(task.embedded),
    ]
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def explain_values(task: Task, values: dict[str, Any]) -> Explanations:
    """Explain the inputs of a command with its options."""
    from xai_nlp import load
    from xai_nlp.core.batching import progress_bar

    method_options = read_method_options(values["method_options"], values["method"], values["seed"])
    options = option_values(task.every_option, values) | method_options
    columns = pairs(values["columns"], "--column NAME=COLUMN")
    flags = flags_of_inputs(task, values)
    if bool(values["data"]) and flags:
        raise typer.BadParameter(f"give {' and '.join(flags)}, or --data, not both.")
    if columns and not values["data"]:
        raise typer.BadParameter("--column names the columns of --data; give a file.")
    table = read_data(values["data"]) if values["data"] else None
    records = [] if table else records_of_arguments(task, values)
    explainer = load(values["model"], task=task.name)
    if table:
        labels = getattr(getattr(explainer, "labels", None), "names", ())
        records = list(table.records(task.inputs, task.gold, columns, labels))
    with progress_bar("explaining") as progress:
        results = explainer.explain(**explainer_inputs(task, records), progress=progress, **options)
    return with_gold(as_explanations(results), records)


def explainer_inputs(task: Task, records: Sequence[Record]) -> dict[str, Any]:
    """The inputs by name: values for one record, lists for several."""
    columns = {one.name: [record.inputs.get(one.name) for record in records] for one in task.inputs}
    filled = {name: column for name, column in columns.items() if any(value is not None for value in column)}
    return {name: column[0] for name, column in filled.items()} if len(records) == 1 else filled


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


# Attention ------------------------------------------------------------------------------------------------------------


def check_attention_methods(methods: Sequence[str]) -> None:
    """Raise InvalidInput for a method that does not score attention, UnknownName for one that does not exist."""
    from xai_nlp.methods import METHODS, find_method

    known = sorted(name for name, cls in METHODS.items() if cls.operates_on not in ("inputs", "layer"))
    for name in methods:
        if find_method(name).name not in known:
            raise InvalidInput(f"{name!r} does not look at attention; choose one of {', '.join(known)}.")


def print_heads(results: Explanations, *, tokens: bool) -> None:
    """Print how much each head carries, and the strongest pairs of words or tokens."""
    from xai_nlp.viz.terminal.heads import render_attention

    for why in results:
        Console().print(render_attention(why if tokens else why.words()))
