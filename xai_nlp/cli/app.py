"""The commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from xai_nlp._version import __version__
from xai_nlp.cli.evaluate import evaluate_app
from xai_nlp.cli.explain import attention_app, explain_app
from xai_nlp.cli.options import several_of, told
from xai_nlp.cli.report import report
from xai_nlp.cli.serve import serve

app = typer.Typer(
    help="See what a HuggingFace model did with a text, or with a text and an image.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(explain_app, name="explain")
app.add_typer(attention_app, name="attention")
app.add_typer(evaluate_app, name="evaluate")
app.command()(report)
app.command()(serve)

DEMO_TEXTS = (
    "A gripping, beautifully acted film that never once talks down to its audience.",
    "The plot is thin, the jokes are stale and I could not wait for it to end.",
    "Not a bad film, but far too long.",
)
DEMO_METHODS = ("integrated_gradients", "occlusion", "input_x_gradient")
DEMO_QUESTION = "Who wrote the first published algorithm?"
DEMO_CONTEXT = (
    "Charles Babbage designed the Analytical Engine in 1837. Six years later Ada Lovelace wrote the first published "
    "algorithm for it, while Luigi Menabrea had described the machine in French."
)
DEMO_SCENE = 12  # seed of a scene with a question


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
    """See what a HuggingFace model did with a text, or with a text and an image."""


@app.command()
def demo(
    html: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("xai_nlp_demo.html"),
) -> None:
    """The main jobs on the embedded models: coloured tokens here, and a page to open."""
    from xai_nlp import Explanations, explain, load
    from xai_nlp.data.scenes import scenes
    from xai_nlp.viz.terminal.ansi import render

    with told():
        explainer, out = load("sentiment"), Console()
        found = several_of(explainer.explain(list(DEMO_TEXTS)))
        answered = several_of(
            explain(question=DEMO_QUESTION, context=DEMO_CONTEXT, target=("start", "end"), layers=True, attention=True)
        )
        scene = next(scenes(1, seed=DEMO_SCENE, types=["colour"]))
        seen = several_of(explain(image=scene.scene.image(), question=scene.question.text, attention=True))
        for why in (*found, *answered, *seen):
            out.print(render(why.words()))
        several = several_of(explainer.explain(DEMO_TEXTS[2], method=list(DEMO_METHODS)))
        Explanations([*found[:2], *several, *answered, *seen]).to_html(html)
        out.print(
            f"\nThe same, with numbers, methods side by side, layers, attention and the image: {html.resolve()}",
            soft_wrap=True,
            highlight=False,
        )


@app.command()
def methods() -> None:
    """Every attribution method: what it promises and what it costs."""
    from xai_nlp.methods import METHODS

    table = Table(box=None, pad_edge=False)
    for heading in ("method", "adds up", "baseline", "what it says"):
        table.add_column(heading, overflow="fold")
    for name, cls in sorted(METHODS.items()):
        said = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
        table.add_row(name, "yes" if cls.complete else "no", "yes" if cls.needs_baseline else "no", said)
    Console().print(table)


@app.command()
def models() -> None:
    """The embedded models, and the architectures whose insides are known by name."""
    from xai_nlp.models.layout import LAYOUTS, VISION_LAYOUTS
    from xai_nlp.models.loading import EMBEDDED_MODELS

    out = Console()
    table = Table(box=None, pad_edge=False)
    table.add_column("embedded model")
    table.add_column("what it does", overflow="fold")
    for name, said in EMBEDDED_MODELS.items():
        table.add_row(name, said)
    out.print(table)
    out.print(
        f"\nKnown architectures: {', '.join(sorted({**LAYOUTS, **VISION_LAYOUTS}))}. Others are found by looking.",
        highlight=False,
    )
    out.print("A hub model or a folder goes by its name: --model distilbert/…", highlight=False)
