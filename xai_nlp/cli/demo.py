"""`xai-nlp demo`: the main jobs on the embedded models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from xai_nlp.cli.output import as_explanations, errors_to_stderr

TEXTS = (
    "A gripping, beautifully acted film that never once talks down to its audience.",
    "The plot is thin, the jokes are stale and I could not wait for it to end.",
    "Not a bad film, but far too long.",
)
METHODS = ("integrated_gradients", "occlusion", "input_x_gradient")
QUESTION = "Who wrote the first published algorithm?"
CONTEXT = (
    "Charles Babbage designed the Analytical Engine in 1837. Six years later Ada Lovelace wrote the first published "
    "algorithm for it, while Luigi Menabrea had described the machine in French."
)
SCENE = 12  # the seed of a scene with a question
PICTURE = 6  # the seed of a scene without one
IMAGE_METHODS = ("integrated_gradients", "grad_cam")


def demo(html: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("xai_nlp_demo.html")) -> None:
    """The main jobs on the embedded models: coloured tokens here, and a page to open."""
    from xai_nlp import Explanations, explain, load
    from xai_nlp.data.scenes import labelled_scenes, scenes
    from xai_nlp.viz.terminal.ansi import render

    with errors_to_stderr():
        explainer, out = load("sentiment"), Console()
        labels = as_explanations(explainer.explain(list(TEXTS)))
        answers = as_explanations(
            explain(question=QUESTION, context=CONTEXT, target=("start", "end"), layers=True, attention=True)
        )
        scene = next(scenes(1, seed=SCENE, types=["colour"]))
        colours = as_explanations(explain(image=scene.scene.image(), question=scene.question.text, attention=True))
        picture = next(labelled_scenes(1, seed=PICTURE)).scene.image()
        shapes = as_explanations(explain(image=picture, method=list(IMAGE_METHODS)))
        for why in (*labels, *answers, *colours, *shapes[:1]):
            out.print(render(why.words()))
        methods = as_explanations(explainer.explain(TEXTS[2], method=list(METHODS)))
        Explanations([*labels[:2], *methods, *answers, *colours, *shapes]).to_html(html)
        out.print(
            f"\nThe same, with numbers, methods side by side, layers, attention and the image: {html.resolve()}",
            soft_wrap=True,
            highlight=False,
        )
