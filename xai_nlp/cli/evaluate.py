"""`xai-nlp evaluate`: how well a model does its task, on a file of examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from xai_nlp.cli.options import Model
from xai_nlp.core.files import write_file
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
    from xai_nlp.core.progress import progress_bar
    from xai_nlp.metrics.squad import read_squad, squad_scores

    questions = list(read_squad(file))[:most]
    if not questions:
        raise InvalidInput(f"{file} holds no question.")
    explainer, answers = load(model, task="question-answering"), {}
    with progress_bar("answering") as progress:
        for start in range(0, len(questions), BATCH):
            batch = questions[start : start + BATCH]
            texts, contexts = [one.question for one in batch], [one.context for one in batch]
            ranked = explainer.predict(texts, contexts, best=1, unanswerable=unanswerable)
            answers.update({one.id: best[0].text for one, best in zip(batch, ranked, strict=True)})
            progress(start + len(batch), len(questions))
    if predictions:
        write_file(predictions, json.dumps(answers, ensure_ascii=False, indent=1).encode())
    scores = squad_scores(questions, answers)
    count = f"{scores.questions:,} question{'s' * (scores.questions != 1)}"
    Console().print(f"{count}: exact match {scores.exact_match:.2f}, F1 {scores.f1:.2f}", highlight=False)
