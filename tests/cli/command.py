"""The command line as its users run it, in this process."""

from typer.testing import CliRunner, Result

from xai_nlp.cli import app

runner = CliRunner()


def run(*args: str, stdin: str | None = None) -> Result:
    """The result of a command: its exit code, stdout and stderr."""
    return runner.invoke(app, list(args), input=stdin)
