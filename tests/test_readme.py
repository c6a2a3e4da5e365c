"""README: its blocks run in a fresh folder without the extras, and print what it shows; its table is up to date."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import ROOT as TESTED
from tests.pages import assert_alike, commands, write_user_files
from tests.recipes import llms
from xai_nlp.methods import METHODS
from xai_nlp.tasks.table import TASKS

ROOT = Path(os.environ.get("XAI_SOURCES", TESTED))
README = (TESTED / "README.md").read_text(encoding="utf-8")
#: Packages of the extras. README's first install line does without them.
EXTRAS = ("fastapi", "uvicorn", "anywidget", "skimage", "pdoc", "captum", "ray")
SEARCHED = (
    *("Captum alternative", "integrated gradients", "SHAP", "LIME", "attention", "BERT question answering (QA)"),
    *("ViLT", "LLM", "HuggingFace", "explainable AI"),
)


def test_blocks_run_as_written_and_print_what_is_shown(tmp_path):
    write_user_files(tmp_path)
    without = f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r}))"
    run = f"from pathlib import Path; from tests.pages import run; print(run(Path({str(TESTED / 'README.md')!r})))"
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(TESTED)]))
    done = subprocess.run(
        [sys.executable, "-c", f"{without}; {run}"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(re.findall(r"^```(?:python|sh)$", README, re.MULTILINE))
    assert (tmp_path / "why.html").is_file()


def test_each_example_shows_what_it_prints():
    section = README.partition("## Six examples\n")[2].partition("\n## ")[0]
    assert len(re.findall(r"^```python\n.*?^```\n```text\n", section, re.MULTILINE | re.DOTALL)) == 6


def test_another_output_is_noticed():
    assert_alike("film 0.75\n", "film 0.76\n", digits=2)
    for printed in ("film 0.85\n", "show 0.76\n", "film 0.76 0.76\n"):
        with pytest.raises(AssertionError):
            assert_alike(printed, "film 0.76\n", digits=2)


def test_commands_are_read_from_a_block():
    block = 'xai-nlp explain qa \\\n  --question "Who?"  # a comment\nxai-nlp serve\npip install .\n'
    assert list(commands(block)) == [["xai-nlp", "explain", "qa", "--question", "Who?"]]


def test_it_is_short_and_says_what_people_search_for():
    assert len(README.splitlines()) < 150
    assert not [words for words in SEARCHED if words not in README.replace("\n", " ")]


def test_what_it_names_is_there():
    for name in re.findall(r"\]\(([^):#]+)", README):
        assert (ROOT / name).exists(), name
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for extras in re.findall(r"\.\[([\w,]+)\]", README):
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra
    assert "pip install xai" not in README, "no index has the package"


def test_the_table_is_that_of_the_tasks_and_methods():
    assert llms.renewed(README) == README, "write it anew: python -m tests.recipes.llms"


def test_every_task_and_every_method_is_in_the_table():
    assert sorted(name for names in llms.FAMILIES.values() for name in names) == sorted(METHODS.keys() - {"random"})
    assert TASKS.keys() <= llms.INPUTS.keys(), "a task needs an input in tests/recipes/llms.py"


def test_the_table_says_no_where_a_method_does_not_work(sentiment):
    inputs = {"text": "a fine film"}
    assert llms.cell(sentiment, inputs, ("saliency",)) == "yes"
    assert llms.cell(sentiment, {**inputs, "layer": 99}, ("saliency",)) == "no"
    half = llms.cell(sentiment, {**inputs, "layers": True}, ("integrated_gradients", "occlusion", "lime"))
    assert half == "`integrated_gradients`"


def test_llms_txt_is_up_to_date():
    text = (ROOT / "llms.txt").read_text(encoding="utf-8")
    assert llms.llms() == text, "write it anew: python -m tests.recipes.llms"
    for name in (*TASKS, *METHODS):
        assert name in text
    for guide in re.findall(r"\]\(([^)]+)\)", text):
        assert (ROOT / guide).is_file(), guide
