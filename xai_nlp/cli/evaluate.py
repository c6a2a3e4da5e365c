"""`xai-nlp evaluate`: how well a model does its task, on a file of examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from xai_nlp.cli.options import Model, told
from xai_nlp.core.files import write_whole
from xai_nlp.errors import InvalidInput

evaluate_app = typer.Typer(help="Measure a model on a file of examples.", no_args_is_help=True)
BATCH = 100  # questions between two movements of the progress bar


@evaluate_app.command()
def qa(
    file: Annotated[Path, typer.Argument(help="Questions in SQuAD's JSON format, version 1 or 2.")],
    model: Model = "qa",
    unanswerable: Annotated[bool, typer.Option(help="The model may say that there is no answer (SQuAD 2).")] = False,
    most: Annotated[int | None, typer.Option(help="Only so many questions, from the beginning.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Write the answers as SQuAD's script reads them.")] = None,
) -> None:
    """Exact match and F1 over the questions of a file, as SQuAD's official script computes them."""
    from xai_nlp import load
    from xai_nlp.core.batching import progress_bar
    from xai_nlp.metrics.squad import read_squad, squad_scores

    with told():
        asked = list(read_squad(file))[:most]
        if not asked:
            raise InvalidInput(f"{file} holds no question.")
        explainer, answers = load(model, task="question-answering"), {}
        with progress_bar("answering") as progress:
            for at in range(0, len(asked), BATCH):
                part = asked[at : at + BATCH]
                found = explainer.predict(
                    [a.question for a in part], [a.context for a in part], best=1, unanswerable=unanswerable
                )
                answers.update({a.id: best[0].text for a, best in zip(part, found, strict=True)})
                progress(at + len(part), len(asked))
        if predictions:
            write_whole(predictions, json.dumps(answers, ensure_ascii=False, indent=1).encode())
        measured = squad_scores(asked, answers)
        counted = f"{measured.questions:,} question{'s' * (measured.questions != 1)}"
        Console().print(f"{counted}: exact match {measured.exact_match:.2f}, F1 {measured.f1:.2f}", highlight=False)
