"""The overview of a run: how long each section takes, and the memory and the page that come of it."""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.runs.overview.samples import random_explanations, write_run
from xai_nlp.runs.overview.run_overview import chunks
from xai_nlp.runs.overview.section import OverviewContext
from xai_nlp.runs.overview.sections import SECTIONS


def megabytes() -> float:
    """The largest resident size of this process until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def run(given: argparse.Namespace) -> None:
    out, table = Console(), Table("section", "seconds over the files", "seconds at the end", box=None)
    with tempfile.TemporaryDirectory() as folder:
        made = write_run(Path(folder) / "run", random_explanations(given.rows // 10) * 10, size=512)
        before = megabytes()
        context = OverviewContext()
        sections = {cls.__name__: cls(context) for cls in SECTIONS}
        adding = dict.fromkeys(sections, 0.0)
        began = time.perf_counter()
        for chunk in chunks(made, made.plan.method, context):
            for name, section in sections.items():
                start = time.perf_counter()
                section.add(chunk)
                adding[name] += time.perf_counter() - start
        for name, section in sections.items():
            start = time.perf_counter()
            section.result()
            table.add_row(name, f"{adding[name]:.2f}", f"{time.perf_counter() - start:.2f}")
        seconds = time.perf_counter() - began
        made.to_html(Path(folder) / "page.html")
        size = (Path(folder) / "page.html").stat().st_size
        out.print(table)
        out.print(
            f"{len(made):,} explanations: {seconds:.1f} s with reading; page {size / 1e6:.2f} MB; "
            f"memory {before:.0f} to {megabytes():.0f} MB"
        )


def add_to(commands: Any) -> None:
    parser = commands.add_parser("overview", help=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.set_defaults(run=run)
