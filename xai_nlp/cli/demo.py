"""`xai-nlp demo`: the main jobs on the embedded models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from xai_nlp.cli.output import check_writable

METHODS = ["integrated_gradients", "occlusion", "input_x_gradient"]
IMAGE_METHODS = ["integrated_gradients", "grad_cam"]


def demo(html: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("xai_nlp_demo.html")) -> None:
    """The main jobs on the embedded models: coloured tokens here, and a page to open."""
    from xai_nlp import Explanations, explain, load
    from xai_nlp.viz.terminal.ansi import render
    from xai_nlp.web.examples import CONTEXT, QUESTION, TEXTS, example_picture, example_scene

    check_writable(html)
    explainer, scene, out = load("sentiment"), example_scene(), Console()
    labels = explainer.explain(list(TEXTS))
    answers = explain(question=QUESTION, context=CONTEXT, target=("start", "end"), layers=True, attention=True)
    colour = explain(image=scene.scene.image(), question=scene.question.text, attention=True)
    shapes = explain(image=example_picture().image(), method=IMAGE_METHODS)
    for why in (*labels, *answers, colour, shapes[0]):
        out.print(render(why.words()))
    methods = explainer.explain(TEXTS[2], method=METHODS)
    Explanations([*labels[:2], *methods, *answers, colour, *shapes]).to_html(html)
    out.print(
        f"\nThe same, with numbers, methods side by side, layers, attention and the image: {html.resolve()}",
        soft_wrap=True,
        highlight=False,
    )
