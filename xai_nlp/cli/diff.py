"""`xai-nlp diff`: do two models decide for the same reasons?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from xai_nlp.cli.explain import read_data
from xai_nlp.cli.options import Columns, Limit, Quiet, columns_of_options, pairs
from xai_nlp.cli.output import check_writable, errors_to_stderr, say
from xai_nlp.core.files import write_file

if TYPE_CHECKING:
    from xai_nlp.core.model_diff import ModelDiff
    from xai_nlp.tasks.task import Task

TROUBLE = 2  # exit code where nothing was compared; 0 is the same, 1 differs
METHOD = "integrated_gradients"
OWN = ("method", "on_error")  # options that have a place of their own here
THRESHOLDS = "From where on they differ"
MODEL = "An embedded model, a folder, a hub name, a file of saved explanations, or the folder of a run."


def _limit(help: str, least: float = 0.0) -> Any:
    return typer.Option(min=least, max=1.0, help=help, rich_help_panel=THRESHOLDS)


def diff(
    model_a: Annotated[str, typer.Argument(help=MODEL)],
    model_b: Annotated[str, typer.Argument(help="What it is compared with.")],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", "--file", help="The examples: CSV, TSV, JSON lines, Parquet, lines of text; - for stdin."
        ),
    ] = None,
    columns: Columns = None,
    limit: Limit = None,
    task: Annotated[str | None, typer.Option(help="What the models do; by default their config says it.")] = None,
    device: Annotated[str | None, typer.Option(help="Where both models run: cpu, cuda, auto.")] = None,
    device_b: Annotated[str | None, typer.Option(help="Where model B runs, if elsewhere.")] = None,
    dtype: Annotated[str | None, typer.Option(help="The numbers of both models: float32, bfloat16, …")] = None,
    dtype_b: Annotated[str | None, typer.Option(help="Those of model B, if others.")] = None,
    method: Annotated[str | None, typer.Option(help="An attribution method.")] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of `xai-nlp explain TASK`, or of the method."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many of the strongest words should be shared.")] = 5,
    most_moved: Annotated[float, _limit("Part of an explanation that may move.")] = 0.1,
    least_correlation: Annotated[float | None, _limit("Smallest rank correlation of an example.", -1.0)] = None,
    most_sign_flips: Annotated[float | None, _limit("Share of an example's words that may change sign.")] = None,
    least_overlap: Annotated[float | None, _limit("Smallest share of strongest words that both name.")] = None,
    most_label_flips: Annotated[float, _limit("Share of examples whose prediction may change.")] = 0.0,
    most_changed: Annotated[float, _limit("Share of examples whose reasons may change.")] = 0.0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write a page: side by side, sorted.")] = None,
    json_to: Annotated[Path | None, typer.Option("--json", help="Write all of it as JSON; - for stdout.")] = None,
    quiet: Quiet = False,
) -> None:
    """Do two models decide for the same reasons? Exit code 0: the same; 1: they differ; 2: nothing was compared."""
    with errors_to_stderr(TROUBLE):
        found = _compared(
            [(model_a, device, dtype), (model_b, device_b or device, dtype_b or dtype)],
            data=data,
            columns=columns,
            limit=limit,
            task=task,
            method=method,
            options=options,
            files=(output, json_to),
            top=top,
            most_moved=most_moved,
            least_correlation=least_correlation,
            most_sign_flips=most_sign_flips,
            least_overlap=least_overlap,
            most_label_flips=most_label_flips,
            most_changed=most_changed,
            progress=not quiet,
        )
        _show(found, output, json_to, quiet=quiet)
    if not found.same:
        raise typer.Exit(1)


def _compared(
    sides: Sequence[tuple[str, str | None, str | None]],
    *,
    data: Path | None,
    columns: list[str] | None,
    limit: int | None,
    task: str | None,
    method: str | None,
    options: list[str] | None,
    files: Sequence[Path | None],
    **keywords: Any,
) -> ModelDiff:
    """The comparison of two sides, each (model or file, device, dtype)."""
    from xai_nlp import Explanations, load
    from xai_nlp.runs.model_diff import diff as compare
    from xai_nlp.runs.model_diff import is_saved, saved_or_model

    for file in files:
        check_writable(file)
    saved = [is_saved(name) for name, *_ in sides]
    if any(saved) and (data or limit or columns or method):
        raise typer.BadParameter(
            "saved explanations hold their texts and their method; leave out --data, --limit, --column and --method."
        )
    if not any(saved) and data is None:
        raise typer.BadParameter("give --data, the file of examples (- for stdin).")
    table = read_data(data, limit) if data else None
    sources = [
        saved_or_model(name) if explained else load(name, task=task, device=device, dtype=dtype)
        for (name, device, dtype), explained in zip(sides, saved, strict=True)
    ]
    model = next((one for one in sources if not isinstance(one, Explanations)), None)
    if options and model is None:
        raise typer.BadParameter("--option is of a model that explains; two files are explained already.")
    if table is not None and model is not None:
        keywords |= {"method": method or METHOD, "column": columns_of_options(model.task, columns)}
    if model is not None:
        keywords |= _parsed(model.task, options, keywords.get("method", METHOD))
    return compare(sources[0], sources[1], table, **keywords)


def _parsed(task: Task, options: list[str] | None, method: str) -> dict[str, Any]:
    """The values of --option by name: options of the task and of the method, and inputs that serve all examples."""
    from xai_nlp.core.registry import method_options
    from xai_nlp.web.forms import parse_options

    texts = pairs(options, "--option NAME=VALUE")
    inputs = {one.name: texts.pop(one.name) for one in task.inputs if one.name in texts}
    fields = [one for one in (*task.every_option, *method_options(method)) if one.name not in OWN]
    return inputs | parse_options("option", fields, texts, f"`xai-nlp explain {task.command} --help` lists them.")


def _show(found: ModelDiff, output: Path | None, json_to: Path | None, *, quiet: bool) -> None:
    """Write the page and the JSON, print the rest, and say on stderr what could not be compared."""
    from xai_nlp.viz.terminal.model_diff import render_diff

    if output:
        found.to_html(output)
    if json_to and str(json_to) == "-":
        sys.stdout.write(f"{found.to_json()}\n")
    elif json_to:
        write_file(json_to, found.to_json(indent=1).encode())
    if str(json_to) != "-" and not (quiet and (output or json_to)):
        Console().print(render_diff(found))
    for one in found.failures:
        whose = "neither model" if one.missing == "both" else f"model {'B' if one.missing == 'A' else 'A'} alone"
        say(f"example {one.index}, explained by {whose}: {one.message}", "red")
    files = [str(path) for path in (output, json_to) if path and str(path) != "-"]
    if files and not quiet:
        say(f"{len(found.examples):,} examples compared in {' and '.join(files)}.")
