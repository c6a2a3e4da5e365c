"""The commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from xai_nlp._version import __version__
from xai_nlp.cli.demo import demo
from xai_nlp.cli.diff import diff
from xai_nlp.cli.doctor import doctor
from xai_nlp.cli.evaluate import evaluate_app
from xai_nlp.cli.explain import task_commands
from xai_nlp.cli.listings import methods, models
from xai_nlp.cli.output import errors_to_stderr
from xai_nlp.cli.report import report
from xai_nlp.cli.run import run
from xai_nlp.cli.serve import serve

EXAMPLES: dict[Callable[..., None], str] = {
    demo: "demo --html demo.html",
    doctor: "doctor ./model --task classify",
    run: "run rows.csv --model FOLDER --method integrated_gradients -o rows-explained --dry-run",
    report: "report rows.jsonl --labels rows.csv -o report.html",
    diff: "diff ./old-model ./new-model --data rows.csv -o diff.html",
    serve: "serve --data rows.csv",
    methods: "methods integrated_gradients",
    models: "models",
}


class Commands(TyperGroup):
    """Commands whose errors are one line on stderr."""

    def invoke(self, ctx: Any) -> Any:
        with errors_to_stderr():
            return super().invoke(ctx)


def print_version(flag: bool) -> None:
    """Print the version and exit, if the flag is set."""
    if flag:
        print(f"xai-nlp {__version__}")
        raise typer.Exit


def main(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """See what a HuggingFace model did with a text, or with a text and an image."""


def make_app() -> typer.Typer:
    """The command line, with commands for the tasks that are in the table now."""
    app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(main)
    app.add_typer(task_commands("Explain a model's answer."), name="explain")
    app.add_typer(task_commands("Through which layers, heads and pairs of tokens.", attention=True), name="attention")
    app.add_typer(evaluate_app, name="evaluate")
    for command, example in EXAMPLES.items():
        app.command(epilog=f"Example: xai-nlp {example}")(command)
    return app


app = make_app()
