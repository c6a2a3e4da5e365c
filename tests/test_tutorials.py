"""Every tutorial runs from start to end."""

import os
import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.pages import assert_alike

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[1] / "tutorials"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CAPTUMS = sorted(FOLDER.glob("captum_*.ipynb"))  # Captum's own tutorials, with another import
SHARING = {  # those about scores that add up
    *("bert_squad_1_tokens", "bert_squad_2_attention", "choosing_target_baseline_method", "comparing_models"),
    *("image_classifier", "image_insights", "sentiment", "vqa"),
}


def test_there_are_tutorials():
    assert len(CAPTUMS) >= 3
    assert {path.stem for path in NOTEBOOKS} >= SHARING


def test_all_are_named_in_the_readme():
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\(([\w.]+)\)", readme)  # each once
    there = {path.name for path in FOLDER.iterdir() if path.suffix in (".ipynb", ".md")} - {"README.md"}
    assert there == set(linked), "tutorials/README.md names every tutorial, in the order to walk them"
    assert len(linked) == len(set(linked))


def is_bar(output):
    """Is this a progress bar? It appears where a call takes longer than 2 s."""
    return "".join(output.get("data", {}).get("text/plain", "")).startswith("explaining:")


def kinds_of(cell):
    """The kinds of a cell's outputs; what is printed may arrive in several pieces, and with a progress bar."""
    kinds = [output.output_type for output in cell.outputs if output.get("name") != "stderr" and not is_bar(output)]
    return [kind for kind, _ in groupby(kinds)]


@pytest.mark.filterwarnings("default")  # the kernel's transport warns
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebook_runs_and_is_saved_with_its_outputs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert sum(bool(cell.outputs) for cell in code) > len(code) / 2
    assert not any(is_bar(output) for cell in code for output in cell.outputs), "saved with a progress bar"
    saved = [kinds_of(cell) for cell in code]
    NotebookClient(notebook, timeout=280, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    assert [kinds_of(cell) for cell in code] == saved
    told = "".join(str(output) for cell in code for output in cell.outputs)
    if path in CAPTUMS:
        assert "delta" in told
        printed = "".join(out.text for cell in code for out in cell.outputs if out.get("name") == "stdout")
        assert_alike(printed, with_captum(code, tmp_path))
    elif path.stem in SHARING:
        assert "residual" in told


def with_captum(code, folder):
    """What a notebook prints with Captum's import in the place of ours."""
    script = "\n".join(cell.source for cell in code)
    assert "from xai_nlp.attr import" in script
    swapped = "import warnings\nwarnings.simplefilter('ignore')\n" + script.replace("xai_nlp.attr", "captum.attr")
    assert "xai_nlp" not in swapped
    done = subprocess.run(
        [sys.executable, "-c", swapped], capture_output=True, text=True, cwd=folder, check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "MPLBACKEND": "agg"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.replace("<IPython.core.display.HTML object>\n", "")
