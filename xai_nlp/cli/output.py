"""Results on stdout or in files, errors on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from xai_nlp.core.files import write_file
from xai_nlp.errors import XaiError

if TYPE_CHECKING:
    from xai_nlp import Explanation, Explanations


@contextmanager
def errors_to_stderr() -> Iterator[None]:
    """Print an error of this package, or of a file, as one line on stderr, and exit with code 1."""
    try:
        yield
    except (XaiError, OSError) as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


def as_explanations(result: Explanation | Explanations) -> Explanations:
    """Explanations, also if there is a single one."""
    from xai_nlp import Explanation, Explanations

    return Explanations([result]) if isinstance(result, Explanation) else result


def write_results(results: Explanations, *, html: Path | None, json_to: Path | None, tokens: bool) -> None:
    """Write the results to the files asked for, and to the terminal unless JSON goes to stdout."""
    from xai_nlp.viz.terminal.ansi import render

    if html:
        results.to_html(html)
    if json_to and str(json_to) != "-":
        write_file(json_to, "".join(why.to_json() + "\n" for why in results).encode())
    if json_to and str(json_to) == "-":
        for why in results:
            print(why.to_json())
        return
    out = Console()
    for why in results:
        out.print(render(why if tokens else why.words()))
