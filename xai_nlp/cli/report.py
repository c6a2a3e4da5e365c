"""`xai-nlp report`: explanations that were saved, as one file to send to somebody."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from xai_nlp.cli.options import read_text, told
from xai_nlp.core.files import write_whole
from xai_nlp.errors import InvalidInput, UnreadableFile, Unsupported

if TYPE_CHECKING:
    from xai_nlp import Explanation

SUFFIXES = (".json", ".jsonl")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PRINTING = 180  # seconds

Inputs = Annotated[list[Path], typer.Argument(help="Explanations saved as JSON or JSON lines, or folders of them.")]
Out = Annotated[Path, typer.Option("--output", "-o", help="Where the report goes.")]
Labels = Annotated[
    Path | None,
    typer.Option(help="What is right: CSV or JSON lines with `text` (or `question`) and `label` (or `answer`)."),
]
Pdf = Annotated[Path | None, typer.Option(help="Print it to this file too; needs Chromium.")]


def report(
    inputs: Inputs,
    output: Out = Path("report.html"),
    labels: Labels = None,
    title: Annotated[str, typer.Option(help="The title; the task and the number of examples if not given.")] = "",
    data: Annotated[str, typer.Option(help="What was explained, for the cover.")] = "",
    date: Annotated[str, typer.Option(help="The date on the cover; that of the newest file if not given.")] = "",
    pdf: Pdf = None,
) -> None:
    """Many explanations in one file: a summary with uncertainty, then each of them; it opens offline."""
    from xai_nlp.viz.page.report import report as written

    with told():
        browser = _browser() if pdf else ""
        files = files_of(inputs)
        items = [item for file in files for item in read_explanations(file)]
        if labels:
            items = _judged(items, read_labels(labels))
        page = written(items, title=title, data=data, date=date or _newest(files))
        write_whole(output, page.encode("utf-8"))
        if pdf:
            _print(browser, output, pdf)
        Console(stderr=True).print(
            f"{len(items)} explanations in {output}" + (f" and {pdf}" if pdf else ""), highlight=False, soft_wrap=True
        )


# What is read ---------------------------------------------------------------------------------------------------------


def files_of(inputs: Sequence[Path]) -> list[Path]:
    """The files meant: those named, and those of the folders named, by name.

    Raises InvalidInput for what is not there, and for a folder without explanations.
    """
    found: list[Path] = []
    for given in inputs:
        if not given.exists():
            raise InvalidInput(f"{given} is not there; give explanations saved as JSON, or a folder of them.")
        inside = sorted(file for file in given.iterdir() if file.suffix in SUFFIXES) if given.is_dir() else [given]
        if not inside:
            raise InvalidInput(f"{given} holds no file that ends in {' or '.join(SUFFIXES)}.")
        found += inside
    return found


def read_explanations(file: Path) -> list[Explanation]:
    """All explanations of a file: one as `save` writes it, a list as a page saves it, or one a line.

    Raises UnreadableFile, which names the file and the line, for anything else.
    """
    text = read_text(file)
    if not text.strip():
        raise UnreadableFile(f"{file} is empty.")
    try:
        listed: list[tuple[str, Any]] = [(str(file), json.loads(text))]
    except json.JSONDecodeError as whole:
        lines = [(n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
        try:
            listed = [(f"{file}, line {n}", json.loads(line)) for n, line in lines]
        except json.JSONDecodeError:
            raise UnreadableFile(
                f"{file} is no JSON, nor JSON lines: {whole}. Was it cut off? Save the explanation again."
            ) from None
    if len(listed) == 1 and isinstance(listed[0][1], list):
        listed = [(f"{file}, entry {n}", one) for n, one in enumerate(listed[0][1], start=1)]
    return [_explanation(where, one, file.parent) for where, one in listed]


def _explanation(where: str, one: Any, folder: Path) -> Explanation:
    from xai_nlp import Explanation

    try:
        return Explanation.from_data(one, folder=folder)
    except UnreadableFile as error:
        raise UnreadableFile(f"{where}: {error}") from None


def read_labels(file: Path) -> dict[str, tuple[str, ...]]:
    """What is right for each text, from CSV or JSON lines. Raises InvalidInput for two answers to one text."""
    found: dict[str, tuple[str, ...]] = {}
    for n, row in _rows(file):
        text = row.get("text", row.get("question"))
        label = row.get("label", row.get("answer", row.get("answers")))
        if not isinstance(text, str) or label is None:
            raise InvalidInput(
                f"{file}, entry {n}: needs `text` (or `question`) and `label` (or `answer`); "
                f"has {', '.join(sorted(map(str, row)))}."
            )
        labels = tuple(map(str, label)) or ("",) if isinstance(label, list) else (str(label),)
        if found.setdefault(text, labels) != labels:
            raise InvalidInput(f"{file}, entry {n}: {text[:60]!r} has two labels, {found[text]} and {labels}.")
    return found


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = read_text(file).splitlines()
    if file.suffix == ".csv":
        yield from enumerate(csv.DictReader(lines), start=1)
        return
    for n, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InvalidInput(f"{file}, line {n}: {error}. Labels are CSV, or JSON lines.") from None
        if not isinstance(row, dict):
            raise InvalidInput(f"{file}, line {n}: an object is needed, with `text` and `label`.")
        yield n, row


def _judged(items: Sequence[Explanation], labels: dict[str, tuple[str, ...]]) -> list[Explanation]:
    """The explanations with their right labels. Raises InvalidInput where there is none for any text."""
    if not any(item.segments[0] in labels for item in items):
        raise InvalidInput("no label is about a text that is explained; labels go by the text, letter for letter.")
    return [replace(item, gold=labels.get(item.segments[0], item.gold)) for item in items]


def _newest(files: Sequence[Path]) -> str:
    newest = max(file.stat().st_mtime for file in files)
    return datetime.fromtimestamp(newest, tz=timezone.utc).strftime("%Y-%m-%d")


# What is written ------------------------------------------------------------------------------------------------------


def _browser() -> str:
    """The browser that prints. Raises Unsupported where there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise Unsupported(
            "--pdf prints through Chromium, which is not installed (looked for "
            f"{', '.join(BROWSERS)}). Install it, or open the report in a browser and print it from there."
        )
    return found


def _print(browser: str, page: Path, pdf: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "report.pdf"
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--no-pdf-header-footer",
            f"--user-data-dir={folder}/profile",
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--no-sandbox")  # Chromium has none for root; the page is ours and runs under its policy
        command += [f"--print-to-pdf={made}", page.resolve().as_uri()]
        try:
            subprocess.run(command, capture_output=True, timeout=PRINTING, check=False)
        except subprocess.TimeoutExpired:
            raise Unsupported(f"{browser} did not print within {PRINTING} s; the report itself is in {page}.") from None
        if not made.is_file():
            raise Unsupported(f"{browser} printed nothing; the report itself is in {page}.")
        write_whole(pdf, made.read_bytes())
