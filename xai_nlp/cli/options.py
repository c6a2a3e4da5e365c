"""What the commands share: reading what was given, telling errors, showing results."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from xai_nlp.core.files import write_whole
from xai_nlp.errors import InvalidInput, XaiError

if TYPE_CHECKING:
    from xai_nlp import Explanation, Explanations

Model = Annotated[str, typer.Option(help="An embedded model, a folder or a hub name.")]
Method = Annotated[list[str] | None, typer.Option(help="A method; repeat for several side by side.")]
Baseline = Annotated[str | None, typer.Option(help="pad, mask, zero, mean, reference, or a text.")]
Unit = Annotated[str, typer.Option(help="logit, probability or log-probability.")]
Layer = Annotated[int | None, typer.Option(help="Explain this layer's output instead of the embeddings.")]
Options = Annotated[list[str] | None, typer.Option("--option", "-o", help="A method's option, name=value.")]
Html = Annotated[Path | None, typer.Option(help="Write a page.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write JSON lines; - for stdout.")]
Tokens = Annotated[bool, typer.Option("--tokens", help="Show the model's tokens instead of words.")]
Seed = Annotated[int, typer.Option(help="For methods that draw random numbers.")]


@contextmanager
def told() -> Iterator[None]:
    """Our own errors become one line on stderr and exit code 1."""
    try:
        yield
    except (XaiError, OSError) as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


def several_of(found: Explanation | Explanations) -> Explanations:
    """Explanations, also where there is one."""
    from xai_nlp import Explanation, Explanations

    return Explanations([found]) if isinstance(found, Explanation) else found


def read_text(file: Path) -> str:
    """A file's text, "-" for stdin. Raises InvalidInput for what is not UTF-8."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}.") from None


def options_of(given: list[str] | None, methods: list[str], seed: int) -> dict[str, Any]:
    """`name=value` options of a method; values are JSON where they can be read as such.

    Raises UnknownName for a method that does not exist.
    """
    from xai_nlp.methods import METHODS, find_method

    options: dict[str, Any] = {}
    for item in given or []:
        name, sign, value = item.partition("=")
        if not sign:
            raise typer.BadParameter(f"an option is written name=value; got {item!r}.")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    for name in methods:
        find_method(name)
        if "seed" in getattr(METHODS[name], "__dataclass_fields__", {}) and len(methods) == 1:
            options.setdefault("seed", seed)
    return options


def shown(results: Explanations, *, html: Path | None, json_to: Path | None, tokens: bool) -> None:
    """Results where they were asked for: a page, JSON lines, or the terminal."""
    from xai_nlp.viz.terminal.ansi import render

    if html:
        results.to_html(html)
    if json_to and str(json_to) != "-":
        write_whole(json_to, "".join(why.to_json() + "\n" for why in results).encode())
    if json_to and str(json_to) == "-":
        for why in results:
            print(why.to_json())
        return
    out = Console()
    for why in results:
        out.print(render(why if tokens else why.words()))
