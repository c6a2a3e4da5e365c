"""The command line as its users run it, in this process."""

from click.testing import Result
from typer.testing import CliRunner

from xai_nlp.cli import app

runner = CliRunner()


def run(*args: str, stdin: str | None = None) -> Result:
    """The result of a command: its exit code, stdout and stderr."""
    return runner.invoke(app, list(args), input=stdin)
