"""Every tutorial runs from start to end."""

import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "tutorials"
TUTORIALS = sorted(FOLDER.glob("*.py"))
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_tutorials():
    assert TUTORIALS
    assert NOTEBOOKS


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda p: p.name)
def test_runs(path, tmp_path):
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, cwd=tmp_path, check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "residual" in done.stdout


def kinds_of(cell):
    """The kinds of a cell's outputs; what is printed may arrive in one piece or in several."""
    kinds = [output.output_type for output in cell.outputs if output.get("name") != "stderr"]
    return [kind for kind, _ in groupby(kinds)]


@pytest.mark.filterwarnings("default")  # the kernel's transport warns
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebook_runs_and_is_saved_with_its_outputs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert sum(bool(cell.outputs) for cell in code) > len(code) / 2
    saved = [kinds_of(cell) for cell in code]
    NotebookClient(notebook, timeout=280, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    assert [kinds_of(cell) for cell in code] == saved
    told = "".join(str(output) for cell in code for output in cell.outputs)
    assert "residual" in told
