"""The written tutorials: what they show runs, and their tables are those of the registry and of Captum."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attr.calls import ROWS
from tests.captum_names import LINEAR_MODELS, MAIN_BRANCH, OURS, package
from tests.contract.test_methods import model_for, problem_of
from tests.pages import write_user_files
from tests.recipes import choosing
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.scope import attached
from xai_nlp.methods import METHODS, find_method

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tutorials"
PAGES = sorted(path for path in FOLDER.glob("*.md") if re.search("```(python|sh)", path.read_text(encoding="utf-8")))


def python(*arguments: str, folder: Path, inside: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run with the tests and a folder to import from, in that folder or in another."""
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT), str(folder)]))
    env = {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=inside or folder, capture_output=True, text=True, check=False, env=env
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_shows_runs(page, tmp_path):
    write_user_files(tmp_path)
    done = python("-W", "error", "-m", "tests.pages", str(page), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^[1-9]\d* blocks$", done.stdout, re.MULTILINE)


def test_the_pages_are_found():
    assert {page.stem for page in PAGES} >= {"choosing_a_method", "your_own_method", "from_captum"}


def test_the_contract_suite_finds_a_method_of_ones_own(tmp_path):
    page = (FOLDER / "your_own_method.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(# file: in_and_out\.py\n.*?)```", page, re.DOTALL)[1]
    assert len([line for line in block.splitlines()[1:] if line.strip()]) == 15
    (tmp_path / "in_and_out.py").write_text(block, encoding="utf-8")
    command = re.search(r"```sh\npython (.*)\n```", page)[1].split()
    done = python(*command, "-q", "-p", "no:cacheprovider", folder=tmp_path, inside=ROOT)
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 9


def test_the_table_of_methods_is_the_registrys():
    page = choosing.PAGE.read_text(encoding="utf-8")
    assert choosing.renewed(page) == page, "write it anew: python -m tests.recipes.choosing"
    named = re.findall(r"^\| `(\w+)` \| \S", choosing.table(), re.MULTILINE)
    assert named == sorted(METHODS)


def test_axioms_are_told_apart():
    """Answers that are known: gradients are invariant, DeepLIFT is not (Sundararajan et al. 2017, sec. 2.2)."""
    assert choosing.invariant("integrated_gradients") and not choosing.invariant("deep_lift")
    assert choosing.linear("saliency") and not choosing.linear("vargrad")
    assert choosing.dummy("shapley") and not choosing.dummy("random")


ONE_PASS = "one forward and one backward pass"
PLAIN = [
    name for name, cls in METHODS.items() if cls.operates_on == "inputs" and choosing.said(cls, "Cost") == ONE_PASS
]


def passes(name):
    """How many rows went through the model forwards, and whether any came back."""
    model, rows, back = model_for(name), [], []
    with attached([
        lambda: model.hidden.register_forward_pre_hook(lambda module, args: rows.append(len(args[0]))),
        lambda: model.hidden.register_full_backward_hook(lambda *_: back.append(1)),
    ]):  # fmt: skip
        problem = problem_of(model, over=METHODS[name].operates_on)
        with frozen_model(model, evaluate=True):
            find_method(name).scores(problem)
    return sum(rows) / problem.examples, len(back)


@pytest.mark.parametrize("name", PLAIN)
def test_methods_cost_what_they_say(name):
    assert passes(name) == (1, 2)  # of two targets


def test_what_is_counted_is_counted():
    assert PLAIN
    assert passes("occlusion") == (5, 0)  # four features, and the whole
    assert passes("deep_lift") == (2, 2)


def test_every_name_of_captums_is_in_its_table_once():
    page = (FOLDER / "from_captum.md").read_text(encoding="utf-8")
    names = [*LINEAR_MODELS, *MAIN_BRANCH, *(one for name in OURS for one in package(name)[1].__all__)]
    table = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE))
    assert sorted(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == sorted(names)
    for name, difference in table.items():
        leads = re.match(r"as `(\w+)`", difference)
        assert leads is None or table[leads[1]] != "same", name
    cases = sum(row.each * len(row.kinds) for row in ROWS.values())
    assert f"on {cases:,} random cases" in page
