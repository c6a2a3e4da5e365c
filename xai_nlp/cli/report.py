"""`xai-nlp report`: explanations that were saved, as one file to send to somebody."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from xai_nlp.cli.options import Quiet
from xai_nlp.cli.output import check_writable, say
from xai_nlp.core.files import write_file
from xai_nlp.data.table import read_table
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.tasks.table import find_task
from xai_nlp.tasks.task import Task

if TYPE_CHECKING:
    from xai_nlp import Explanation
    from xai_nlp.core.overview import Overview

SUFFIXES = (".json", ".jsonl")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PRINTING = 180  # seconds
CHROMIUM = ("--headless", "--disable-gpu", "--no-pdf-header-footer")

Inputs = Annotated[
    list[Path], typer.Argument(help="Explanations saved as JSON or JSON lines, folders of them, or folders of runs.")
]
Out = Annotated[Path, typer.Option("--output", "-o", help="Where the report goes.")]
Labels = Annotated[
    Path | None,
    typer.Option(help="The right labels: a table with `text` (or `question`) and `label` (or `answer`)."),
]
Pdf = Annotated[Path | None, typer.Option(help="Print it to this file too; needs Chromium.")]


Csv = Annotated[
    Path | None, typer.Option("--csv", file_okay=False, help="Of a run: a folder for the numbers, as CSV files.")
]
Figures = Annotated[Path | None, typer.Option(file_okay=False, help="Of a run: a folder for a figure of each table.")]
Format = Annotated[Literal["png", "svg"], typer.Option(help="The format of the figures.")]
By = Annotated[
    list[str] | None,
    typer.Option("--by", metavar="COLUMN", help="Of a run: compare rows by this column of --table; repeat it."),
]
Table = Annotated[Path | None, typer.Option(help="Of a run: the file that has the columns of --by; the run’s data.")]
MethodOfRun = Annotated[str | None, typer.Option("--method", help="Of a run with several methods: which one.")]


def report(
    inputs: Inputs,
    output: Out = Path("report.html"),
    labels: Labels = None,
    title: Annotated[str, typer.Option(help="The title; by default the task and the number of examples.")] = "",
    data: Annotated[str, typer.Option(help="The data's name, for the cover.")] = "",
    date: Annotated[str, typer.Option(help="The date on the cover; by default that of the newest file.")] = "",
    pdf: Pdf = None,
    csv: Csv = None,
    figures: Figures = None,
    figure_format: Format = "png",
    by: By = None,
    table: Table = None,
    method: MethodOfRun = None,
    quiet: Quiet = False,
) -> None:
    """Many explanations in one file: a summary with uncertainty, then each of them; it opens offline.

    Of a run, of any size, it is an overview: what the model relies on in all rows, with intervals and examples.
    """
    from xai_nlp.runs.read import is_run

    for path in (output, pdf):
        check_writable(path)
    browser = _browser() if pdf else ""
    files = files_of(inputs)
    of_run = {"--csv": csv, "--figures": figures, "--by": by, "--table": table, "--method": method}
    if len(files) == 1 and is_run(files[0].parent) and not labels:
        written = f"overview in {output}"
        overview = _overview(files[0].parent, title, data, method, columns_of(by, table), progress=not quiet)
        overview.to_html(output)
        if csv:
            overview.save_csv(csv)
        if figures:
            overview.save_figures(figures, figure_format)
    elif given := [name for name, value in of_run.items() if value]:
        raise InvalidInput(f"{' and '.join(given)}: these are about the overview of one run, without --labels.")
    else:
        written = f"{_write_report(inputs, files, output, labels, title, data, date)} explanations in {output}"
    if pdf:
        _print(browser, output, pdf)
    if not quiet:
        say(" and ".join([written, *(str(path) for path in (csv, figures, pdf) if path)]))


def _overview(
    directory: Path, title: str, data: str, method: str | None, columns: Mapping[str, Sequence[Any]], *, progress: bool
) -> Overview:
    """The overview of the run in a folder. data: its name on the cover; "" for that of the plan."""
    from xai_nlp import read_run

    overview = read_run(directory).overview(method=method, columns=columns, title=title, progress=progress)
    return replace(overview, about={**overview.about, "data": (data,)}) if data else overview


def _write_report(
    inputs: Sequence[Path], files: Sequence[Path], output: Path, labels: Path | None, title: str, data: str, date: str
) -> int:
    """Write the report of explanations one by one; how many there are."""
    from xai_nlp import Explanations, read_run
    from xai_nlp.runs.plan import PLAN_FILE
    from xai_nlp.viz.page.report import report as report_page

    groups = [read_run(file.parent) if file.name == PLAN_FILE else Explanations.load(file) for file in files]
    items = groups[0] if len(groups) == 1 else [item for group in groups for item in group]
    if not items:
        raise InvalidInput(f"{', '.join(map(str, inputs))}: there is no explanation to report.")
    if labels:
        items = _with_gold(items, read_labels(labels, find_task(items[0].task)))
    newest = datetime.fromtimestamp(max(file.stat().st_mtime for file in files), tz=timezone.utc)
    page = report_page(items, title=title, data=data, date=date or newest.strftime("%Y-%m-%d"))
    write_file(output, page.encode("utf-8"))
    return len(items)


# Read ---------------------------------------------------------------------------------------------------------


def files_of(inputs: Sequence[Path]) -> list[Path]:
    """The files among the inputs, and the files in the folders among them, sorted by name; of a run its plan.

    Raises InvalidInput for a missing file, and for a folder without explanations.
    """
    from xai_nlp.runs.plan import PLAN_FILE

    files: list[Path] = []
    for path in inputs:
        if not path.exists():
            raise InvalidInput(f"{path} is not there; give explanations saved as JSON, or a folder of them.")
        inside = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES) if path.is_dir() else [path]
        inside = [path / PLAN_FILE] if (path / PLAN_FILE).is_file() else inside
        if not inside:
            raise InvalidInput(f"{path} holds no file that ends in {' or '.join(SUFFIXES)}.")
        files += inside
    return files


def columns_of(by: Sequence[str] | None, file: Path | None) -> dict[str, list[Any]]:
    """The columns of a table by which the rows of a run are compared. Raises InvalidInput for a missing one."""
    if bool(by) != bool(file):
        raise InvalidInput("--by names columns of the file that --table names: give both, or neither.")
    if not by or not file:
        return {}
    table = read_table(file)
    columns = {name: table.column(name) for name in by}
    if missing := [name for name, column in columns.items() if column is None]:
        raise UnknownName(f"column of {file}", missing[0], table.columns)
    return {name: list(table.dataset[column]) for name, column in columns.items()}


def read_labels(file: Path, task: Task) -> dict[str, tuple[str, ...]]:
    """The right label or answers of each text. Raises InvalidInput if one text has two of them."""
    table = read_table(file)
    text = task.main_input
    if text.kind == "image":
        raise InvalidInput(f"--labels go by the text, and {task.title.lower()} reads none.")
    if table.column(*task.gold) is None:
        raise InvalidInput(
            f"{file} has no column for {', '.join(task.gold)}. Its columns: {', '.join(map(repr, table.columns))}."
        )
    labels: dict[str, tuple[str, ...]] = {}
    for record in table.records([text], task.gold):
        key = record.inputs[text.name]
        if record.gold and labels.setdefault(key, record.gold) != record.gold:
            raise InvalidInput(
                f"{file}, record {record.index}: {key[:60]!r} has two labels, {labels[key]} and {record.gold}."
            )
    return labels


def _with_gold(items: Sequence[Explanation], labels: dict[str, tuple[str, ...]]) -> list[Explanation]:
    """The explanations with their right labels. Raises InvalidInput if no text has one."""
    if not any(item.segments[0] in labels for item in items):
        raise InvalidInput("no label is about a text that is explained; labels go by the text, letter for letter.")
    return [replace(item, gold=labels.get(item.segments[0], item.gold)) for item in items]


# Write ------------------------------------------------------------------------------------------------------


def _browser() -> str:
    """The browser that prints. Raises Unsupported where there is none."""
    path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if path is None:
        raise Unsupported(
            "--pdf prints through Chromium, which is not installed (looked for "
            f"{', '.join(BROWSERS)}). Install it, or open the report in a browser and print it from there."
        )
    return path


def _print(browser: str, page: Path, pdf: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "report.pdf"
        command = [browser, *CHROMIUM, f"--user-data-dir={folder}/profile"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--no-sandbox")  # Chromium has none for root; the page is ours and runs under its policy
        command += [f"--print-to-pdf={draft}", page.resolve().as_uri()]
        try:
            subprocess.run(command, capture_output=True, timeout=PRINTING, check=False)
        except subprocess.TimeoutExpired:
            raise Unsupported(f"{browser} did not print within {PRINTING} s; the report itself is in {page}.") from None
        if not draft.is_file():
            raise Unsupported(f"{browser} printed nothing; the report itself is in {page}.")
        write_file(pdf, draft.read_bytes())
