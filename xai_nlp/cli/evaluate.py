"""`xai-nlp evaluate`: how well a model does its task, and which method explains it best, on a file of examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from xai_nlp.cli.explain import read_data
from xai_nlp.cli.options import Columns, Device, Dtype, Limit, Model, Quiet, columns_of_options, pairs
from xai_nlp.cli.output import INTERRUPTED, check_writable, say
from xai_nlp.core.files import write_file
from xai_nlp.core.progress import progress_bar
from xai_nlp.errors import InvalidInput
from xai_nlp.tasks.task import Task
from xai_nlp.viz.terminal.method_comparison import render_comparison
from xai_nlp.viz.text.method_comparison import failures

if TYPE_CHECKING:
    from xai_nlp.core.method_comparison import MethodComparison
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


@evaluate_app.command(
    epilog="Example: xai-nlp evaluate explain rows.csv --task classify --method shapley --limit 60 --html methods.html"
)
def explain(
    data: Annotated[
        Path, typer.Argument(help="Inputs: CSV, TSV, JSON lines, Parquet, lines of text; - for stdin.", metavar="DATA")
    ],
    task: Annotated[
        str | None,
        typer.Option(help="The task, such as classify or qa; by default that of the model, or of the columns."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="An embedded model, a folder or a hub name; by default that of the task.")
    ] = None,
    methods: Annotated[
        list[str] | None, typer.Option("--method", help="A method to compare; repeat it for several.")
    ] = None,
    removal: Annotated[
        str | None, typer.Option(help="How words are removed: pad, mask, zero, mean, delete; regions: grey, blur, …")
    ] = None,
    columns: Columns = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", metavar="NAME=VALUE", help="An option of the task, or an input of all rows."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many rows, drawn at random.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The seed of all draws: same seed, same numbers.")] = 0,
    orders: Annotated[int, typer.Option(min=2, help="Random orders that each ranking is compared with.")] = 20,
    full: Annotated[bool, typer.Option("--full", help="Also search for the best order (NAOPC); takes longer.")] = False,
    device: Device = None,
    dtype: Dtype = None,
    html: Annotated[Path | None, typer.Option(help="Write a page.")] = None,
    json_to: Annotated[Path | None, typer.Option("--json", help="Write every number; - for stdout.")] = None,
    quiet: Quiet = False,
) -> None:
    """Which method explains the model best: methods and measures, with intervals, against random scores.

    After Ctrl-C, those of the rows that were measured.
    """
    from xai_nlp.tasks.api import explainer_for_table
    from xai_nlp.tasks.method_comparison import COMPARED, compare_methods

    for path in (html, json_to):
        check_writable(path)
    table = read_data(data)
    explainer = explainer_for_table(table, model=model, task=task, device=device, dtype=dtype)
    keywords = shared_options(explainer.task, options) | {"column": columns_of_options(explainer.task, columns)}
    rows: list[MethodComparison] = []
    try:
        compare_methods(
            table, methods or COMPARED, model=explainer, removal=removal, limit=limit, seed=seed, orders=orders,
            full=full, progress=not quiet, on_row=rows.append, **keywords,
        )  # fmt: skip
    except KeyboardInterrupt:
        say(f"stopped: {len(rows):,} rows were tried.")
        show_comparison(rows[-1:], html=html, json_to=json_to, quiet=quiet)
        raise typer.Exit(INTERRUPTED) from None
    show_comparison(rows[-1:], html=html, json_to=json_to, quiet=quiet)
    if rows[-1].failures:
        raise typer.Exit(1)


def shared_options(task: Task, items: list[str] | None) -> dict[str, Any]:
    """Options of the task, and inputs that all rows share, from NAME=VALUE.

    Raises UnknownName for a name that is neither, InvalidInput for a value of another type.
    """
    from xai_nlp.web.forms import parse_options, task_options

    texts = pairs(items, "--option NAME=VALUE")
    inputs = {one.name: texts.pop(one.name) for one in task.inputs if one.name in texts}
    return inputs | parse_options("option", task_options(task), texts)


def show_comparison(
    comparisons: Sequence[MethodComparison], *, html: Path | None, json_to: Path | None, quiet: bool
) -> None:
    """Print the last comparison, if anything was measured, and write it to the files; its failures go to stderr."""
    for comparison in comparisons:
        if comparison.measurements:
            if json_to and str(json_to) != "-":
                write_file(json_to, comparison.to_json().encode())
            if html:
                comparison.to_html(html)
            if str(json_to) == "-":
                print(comparison.to_json())
            elif not (quiet and (html or json_to)):
                Console().print(render_comparison(comparison))
        for line in failures(comparison):
            say(f"error: {line}", "red")
