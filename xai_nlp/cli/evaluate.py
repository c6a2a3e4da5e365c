"""`xai-nlp evaluate`: how well a model does its task, on a file of examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from xai_nlp.cli.options import Device, Dtype, Limit, Model, Quiet
from xai_nlp.cli.output import INTERRUPTED, check_writable, say
from xai_nlp.core.files import write_file
from xai_nlp.core.progress import progress_bar
from xai_nlp.errors import InvalidInput

if TYPE_CHECKING:
    from xai_nlp.metrics.squad import SquadQuestion

evaluate_app = typer.Typer(help="Measure a model on a file of examples.", no_args_is_help=True)
BATCH = 100  # questions between two movements of the progress bar


@evaluate_app.command(epilog="Example: xai-nlp evaluate qa dev-v2.0.json --unanswerable --limit 200")
def qa(
    file: Annotated[Path, typer.Argument(help="Questions in SQuAD's JSON format, version 1 or 2.")],
    model: Model = "qa",
    device: Device = None,
    dtype: Dtype = None,
    unanswerable: Annotated[bool, typer.Option(help="The model may say that there is no answer (SQuAD 2).")] = False,
    limit: Limit = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Model rows in one pass at most.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Write the answers as SQuAD's script reads them.")] = None,
    quiet: Quiet = False,
) -> None:
    """Exact match and F1 over the questions of a file, as SQuAD's official script computes them.

    After Ctrl-C, those of the questions that were answered.
    """
    from xai_nlp import load
    from xai_nlp.metrics.squad import read_squad, squad_scores

    check_writable(predictions)
    questions = list(read_squad(file))[:limit]
    if not questions:
        raise InvalidInput(f"{file} holds no question.")
    explainer = load(model, task="question-answering", device=device, dtype=dtype)
    answers: dict[str, str] = {}
    try:
        answer(explainer, questions, answers, quiet=quiet, unanswerable=unanswerable, batch_size=batch_size)
    except KeyboardInterrupt:
        say(f"stopped: {len(answers):,} of {len(questions):,} questions answered.")
    complete = len(answers) == len({one.id for one in questions})
    if predictions and answers:
        write_file(predictions, json.dumps(answers, ensure_ascii=False, indent=1).encode())
    if answers:
        scores = squad_scores([one for one in questions if one.id in answers], answers)
        count = f"{scores.questions:,} question{'s' * (scores.questions != 1)}"
        Console().print(f"{count}: exact match {scores.exact_match:.2f}, F1 {scores.f1:.2f}", highlight=False)
    if not complete:
        raise typer.Exit(INTERRUPTED)


def answer(
    explainer: Any, questions: Sequence[SquadQuestion], answers: dict[str, str], *, quiet: bool, **options: Any
) -> None:
    """Put the best answer to each question into `answers`, by the question's id."""
    with nullcontext() if quiet else progress_bar("answering", "question") as progress:
        for start in range(0, len(questions), BATCH):
            batch = questions[start : start + BATCH]
            texts, contexts = [one.question for one in batch], [one.context for one in batch]
            ranked = explainer.predict(texts, contexts, best=1, **options)
            answers.update({one.id: best[0].text for one, best in zip(batch, ranked, strict=True)})
            if progress:
                progress(start + len(batch), len(questions))
