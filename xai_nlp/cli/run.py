"""`xai-nlp run`: every row of a data set explained into a folder, and gone on with where it was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xai_nlp.cli.options import Columns, Device, Dtype, Limit, Quiet, pairs
from xai_nlp.cli.output import INTERRUPTED, say
from xai_nlp.tasks.table import TASKS, find_task

if TYPE_CHECKING:
    from xai_nlp import Run

OWN = ("method", "on_error")  # options of every task that are this command's own
Data = Annotated[Path, typer.Argument(help="CSV, TSV, JSON lines, Parquet, or lines of text.")]
RunModel = Annotated[
    str | None,
    typer.Option("--model", help="A folder or a hub name; by default the embedded model that reads the columns."),
]


def run(
    data: Data,
    directory: Annotated[Path, typer.Option("--output", "-o", help="The run's own folder.")],
    model: RunModel = None,
    task: Annotated[str | None, typer.Option(help="The task, where the model does not say it.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="An attribution method; repeat it for several.")] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the task or of the method."),
    ] = None,
    columns: Columns = None,
    limit: Limit = None,
    engine: Annotated[str, typer.Option(help="local; or ray: actors of Ray, here or on a cluster.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Processes, each with its own model.")] = 1,
    address: Annotated[
        str | None, typer.Option(help="The address of a Ray cluster; by default Ray is started here.")
    ] = None,
    device: Device = None,
    dtype: Dtype = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, and write nothing.")] = False,
    quiet: Quiet = False,
) -> None:
    """Explain a whole data set: the plan is printed, then results are written file by file.

    The same command goes on where it was interrupted. A row that fails is a row with its error. After Ctrl-C the batch
    in work is finished and kept, and the exit code is 130.
    """
    from xai_nlp.runs.execute import prepare
    from xai_nlp.runs.shards import finished

    methods = method or ["integrated_gradients"]
    prepared = prepare(
        data,
        model,
        directory=directory,
        method=methods[0] if len(methods) == 1 else methods,
        column=column_of(columns),
        limit=limit,
        engine=engine,  # type: ignore[arg-type]
        workers=workers,
        address=address,
        task=task,
        device=device,
        dtype=dtype,
        **read_options(options, task, methods),
    )
    if dry_run:
        typer.echo(prepared.plan)
        return
    if not quiet:
        say(str(prepared.plan))
        if prepared.done:
            say(f"  {prepared.done:,} rows are done already")
    try:
        found = prepared.execute(progress=not quiet)
    except KeyboardInterrupt:
        rows = sum(map(len, finished(directory))) if directory.is_dir() else 0
        say(f"stopped: {rows:,} of {prepared.plan.rows:,} rows are done in {directory}. The same command goes on.")
        raise typer.Exit(INTERRUPTED) from None
    if not quiet:
        say_end(found, directory)


def column_of(items: list[str] | None) -> str | dict[str, str] | None:
    """The column of the first input; or input, or "gold", -> column."""
    if items and len(items) == 1 and "=" not in items[0]:
        return items[0]
    return pairs(items, "--column NAME=COLUMN where there are several")


def read_options(items: list[str] | None, task: str | None, methods: Sequence[str]) -> dict[str, Any]:
    """Options of a task and of a method from NAME=VALUE; inputs that serve all rows, such as candidate labels, too.

    task: None is any. Raises UnknownName for an option that does not exist, InvalidInput for a value of another type.
    """
    from xai_nlp.core.registry import method_options
    from xai_nlp.web.forms import parse_options

    tasks = [find_task(task)] if task else list(TASKS.values())
    # other tasks have other choices of the same name, and the task itself checks them
    listed = [one for row in reversed(tasks) for one in row.every_option if one.name not in OWN]
    of_task = {one.name: replace(one, choices=()) if one.type is str else one for one in listed}
    of_method = {one.name: one for one in method_options(methods[0])} if len(methods) == 1 else {}
    texts = pairs(items, "--option NAME=VALUE")
    shared = {one.name for row in tasks for one in row.inputs} & set(texts)
    others = {name: text for name, text in texts.items() if name not in shared}
    options = parse_options("option", {**of_task, **of_method}.values(), others)
    return {**{name: texts[name] for name in shared}, **options}


def say_end(found: Run, directory: Path) -> None:
    """Print how many explanations and errors there are."""
    say(f"{counted(len(found), 'explanation')} in {directory}.")
    if found.errors:
        row, message = next(iter(found.errors.items()))
        say(f"{counted(len(found.errors), 'row')} could not be explained; row {row}: {message}", "red")


def counted(count: int, noun: str) -> str:
    """A number of things in words."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
