"""`xai-nlp doctor`: what works on a model, and what to mend before its explanations are believed."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from xai_nlp.cli.options import Device, Dtype, pairs
from xai_nlp.errors import XaiError


def doctor(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An embedded model, a folder, or a hub name in the cache.")
    ],
    task: Annotated[str | None, typer.Option(help="The task, such as classify; the model's own if not given.")] = None,
    input: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="NAME=VALUE", help="A short input to try things on; repeat for each name."),
    ] = None,
    method: Annotated[list[str] | None, typer.Option(help="Try this method only; repeat it for several.")] = None,
    device: Device = None,
    dtype: Dtype = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
) -> None:
    """What works on a model: files, embeddings, attention, gradients, batches, every method, and the cost of a text.

    Exit code 0 if it is healthy, warnings included; 1 if there is an error. No connection is opened.
    """
    from xai_nlp.tasks.doctor import doctor as examine
    from xai_nlp.viz.terminal.diagnosis import render_diagnosis

    example = pairs(input, "--input NAME=VALUE") or None
    try:
        diagnosis = examine(
            model, task=task, example=example, methods=method or None, device=device, dtype=dtype, progress=not quiet
        )
    except XaiError as error:  # the model's own errors are checks: this is a task, a method or an input that is none
        raise typer.BadParameter(str(error)) from None
    if json:
        sys.stdout.write(diagnosis.to_json() + "\n")
    else:
        Console().print(render_diagnosis(diagnosis))
    if not diagnosis.healthy:
        raise typer.Exit(1)
