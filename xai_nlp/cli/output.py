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
    from xai_nlp import Explanations


@contextmanager
def errors_to_stderr() -> Iterator[None]:
    """Print an error of this package, or of a file, as one line on stderr, and exit with code 1."""
    try:
        yield
    except (XaiError, OSError) as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


def write_results(
    results: Explanations, *, html: Path | None, json_to: Path | None, tokens: bool, heads: bool = False
) -> None:
    """Write the results to the files asked for, and to the terminal unless JSON goes to stdout.

    tokens: the model's tokens instead of words. heads: also how much each head carries, and the strongest pairs.
    """
    from xai_nlp.viz.terminal.ansi import render
    from xai_nlp.viz.terminal.heads import render_attention

    if html:
        results.to_html(html)
    if json_to and str(json_to) == "-":
        for why in results:
            print(why.to_json())
        return
    if json_to:
        write_file(json_to, "".join(why.to_json() + "\n" for why in results).encode())
    out, shown = Console(), results if tokens else results.words()
    for why in shown:
        out.print(render(why))
    if heads:
        for why in shown:
            out.print(render_attention(why))
