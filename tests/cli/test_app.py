"""The command line as a whole: results on stdout, everything else on stderr, and help without a model."""

import json
import subprocess
import sys

import pytest

import xai_nlp
from tests.cli.command import run
from xai_nlp.tasks.table import TASKS


def test_the_version():
    assert xai_nlp.__version__ in run("--version").stdout


def test_as_a_module_with_progress_kept_off_stdout():
    done = subprocess.run(
        [sys.executable, "-m", "xai_nlp.cli", "explain", "classify", "a film", "--json", "-"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["task"] == "text-classification"


@pytest.mark.parametrize("group", ["explain", "attention"])
def test_every_task_has_a_command(group):
    done = run(group, "--help")
    assert all(task.command in done.stdout for task in TASKS.values())


@pytest.mark.parametrize("arguments", [[], ["explain", "qa"], ["attention", "vqa"], ["report"], ["run"], ["methods"]])
def test_help_needs_no_torch_and_no_tables(arguments):
    code = (
        "import sys; from xai_nlp.cli import app\n"
        f"try: app({[*arguments, '--help']})\n"
        "finally: assert not {'torch', 'transformers', 'datasets', 'pandas'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout
