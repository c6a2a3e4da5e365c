"""The commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from xai_nlp._version import __version__
from xai_nlp.errors import InvalidInput, XaiError

if TYPE_CHECKING:
    from xai_nlp import Explanation, Explanations

app = typer.Typer(
    help="See what a HuggingFace model did with a text.", no_args_is_help=True, pretty_exceptions_enable=False
)
explain_app = typer.Typer(help="Explain a model's answer.", no_args_is_help=True)
app.add_typer(explain_app, name="explain")

DEMO_TEXTS = (
    "A gripping, beautifully acted film that never once talks down to its audience.",
    "The plot is thin, the jokes are stale and I could not wait for it to end.",
    "Not a bad film, but far too long.",
)
DEMO_METHODS = ("integrated_gradients", "occlusion", "input_x_gradient")


@contextmanager
def told() -> Iterator[None]:
    """Our own errors become one line on stderr and exit code 1."""
    try:
        yield
    except (XaiError, OSError) as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


def version(wanted: bool) -> None:
    if wanted:
        print(f"xai-nlp {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """See what a HuggingFace model did with a text."""


def several_of(found: Explanation | Explanations) -> Explanations:
    """Explanations, also where there is one."""
    from xai_nlp import Explanation, Explanations

    return Explanations([found]) if isinstance(found, Explanation) else found


@app.command()
def demo(
    html: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("xai_nlp_demo.html"),
) -> None:
    """The main job on the embedded model: coloured tokens here, and a page to open."""
    from xai_nlp import Explanations, load
    from xai_nlp.viz.ansi import render

    with told():
        explainer, out = load("sentiment"), Console()
        found = several_of(explainer.explain(list(DEMO_TEXTS)))
        for why in found:
            out.print(render(why.words()))
        several = several_of(explainer.explain(DEMO_TEXTS[2], method=list(DEMO_METHODS)))
        Explanations([*found[:2], *several]).to_html(html)
        out.print(
            f"\nThe same, with numbers, methods side by side and a legend: {html.resolve()}",
            soft_wrap=True,
            highlight=False,
        )


def read_texts(given: list[str] | None, file: Path | None) -> list[str]:
    """The texts of the command line, or the lines of a file ("-" is stdin). Raises InvalidInput for none, or both."""
    if bool(given) == bool(file):
        raise typer.BadParameter("give texts, or --file with one text a line (- for stdin).")
    if given:
        return given
    assert file is not None
    try:
        content = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}.") from None
    texts = [line.strip() for line in content.splitlines() if line.strip()]
    if not texts:
        raise InvalidInput(f"{file} holds no text.")
    return texts


def options_of(given: list[str]) -> dict[str, Any]:
    """`name=value` options of a method; values are JSON where they can be read as such."""
    options: dict[str, Any] = {}
    for item in given:
        name, sign, value = item.partition("=")
        if not sign:
            raise typer.BadParameter(f"an option is written name=value; got {item!r}.")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return options


@explain_app.command()
def sentiment(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to explain.")] = None,
    file: Annotated[Path | None, typer.Option(help="A file with one text a line; - for stdin.")] = None,
    pair: Annotated[str | None, typer.Option(help="The second text of a pair, for models that read two.")] = None,
    model: Annotated[str, typer.Option(help="An embedded model, a folder or a hub name.")] = "sentiment",
    method: Annotated[list[str] | None, typer.Option(help="A method; repeat for several side by side.")] = None,
    target: Annotated[
        str | None, typer.Option(help='A label, or a contrast "A-B"; the prediction if not given.')
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="pad, mask, zero, mean, or a text.")] = None,
    unit: Annotated[str, typer.Option(help="logit, probability or log-probability.")] = "logit",
    layer: Annotated[int | None, typer.Option(help="Explain this layer's output instead of the embeddings.")] = None,
    option: Annotated[list[str] | None, typer.Option("--option", "-o", help="A method's option, name=value.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page.")] = None,
    json_to: Annotated[Path | None, typer.Option("--json", help="Write JSON lines; - for stdout.")] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Show the model's tokens instead of words.")] = False,
    seed: Annotated[int, typer.Option(help="For methods that draw random numbers.")] = 0,
) -> None:
    """Which words made a classifier say what it says."""
    from xai_nlp import load
    from xai_nlp.core.rows import progress_bar
    from xai_nlp.methods import METHODS, find_method
    from xai_nlp.viz.ansi import render

    with told():
        given = read_texts(texts, file)
        names = method or ["integrated_gradients"]
        options = options_of(option or [])
        for name in names:
            find_method(name)
            if "seed" in getattr(METHODS[name], "__dataclass_fields__", {}) and len(names) == 1:
                options.setdefault("seed", seed)
        explainer = load(model)
        with progress_bar("explaining") as progress:
            found = explainer.explain(
                [(text, pair) for text in given] if pair else given,
                method=names[0] if len(names) == 1 else names,
                target=target,
                baseline=baseline,
                unit=unit,
                layer=layer,
                progress=progress,
                **options,
            )
        results = several_of(found)
        if html:
            results.to_html(html)
        if json_to and str(json_to) != "-":
            json_to.write_text("".join(why.to_json() + "\n" for why in results), encoding="utf-8")
        if json_to and str(json_to) == "-":
            for why in results:
                print(why.to_json())
            return
        out = Console()
        for why in results:
            out.print(render(why if tokens else why.words()))


@app.command()
def methods() -> None:
    """Every attribution method: what it promises and what it costs."""
    from xai_nlp.methods import METHODS

    table = Table(box=None, pad_edge=False)
    for heading in ("method", "adds up", "baseline", "what it says"):
        table.add_column(heading, overflow="fold")
    for name, cls in sorted(METHODS.items()):
        said = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
        table.add_row(name, "yes" if cls.complete else "no", "yes" if cls.compares else "no", said)
    Console().print(table)


@app.command()
def models() -> None:
    """The embedded models, and the architectures whose insides are known by name."""
    from xai_nlp.models.layout import LAYOUTS
    from xai_nlp.models.load import ZOO

    out = Console()
    table = Table(box=None, pad_edge=False)
    table.add_column("embedded model")
    table.add_column("what it does", overflow="fold")
    for name, said in ZOO.items():
        table.add_row(name, said)
    out.print(table)
    out.print(f"\nKnown architectures: {', '.join(sorted(LAYOUTS))}. Others are found by looking.", highlight=False)
    out.print("A hub model or a folder goes by its name: --model distilbert/…", highlight=False)
