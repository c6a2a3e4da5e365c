"""The plugin in runs of pytest: saved, compared, missing, moved, in parallel, and found by its entry point.

Each run is a process of its own, because NumPy cannot be imported twice in one; a run holds many cases, to have few.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]
QUIET = ("-p", "no:cacheprovider")
PLUGIN = ("-p", "xai_nlp.testing.plugin", *QUIET)
ONE = """
from tests.viz.samples import made

def test_film(explanation_snapshot):
    explanation_snapshot(made("a fine film"))
"""
MANY = """
import pytest
from tests.viz.samples import made

def scored(*scores, text="a fine film"):
    return made(text, scores=[0.0, *scores, 0.0])

def test_same(explanation_snapshot):
    explanation_snapshot(scored(1.0, 3.0, 0.0))

def test_close(explanation_snapshot):
    explanation_snapshot(scored(1.0, 3.0, 0.5))

def test_moved(explanation_snapshot):
    explanation_snapshot(scored(1.0, 3.0, 0.0))

def test_loose(explanation_snapshot):
    explanation_snapshot(scored(1.0, 3.0, 0.0), tolerance=1.0, least_correlation=-1.0)

def test_broken(explanation_snapshot):
    explanation_snapshot(scored(1.0, 3.0, 0.0))

class TestFilms:
    @pytest.mark.parametrize("text", ["not bad", "so/so", "a b", "a_b"])
    def test_each(self, text, explanation_snapshot):
        explanation_snapshot(made(text))
        explanation_snapshot(made(text), name="again")
        explanation_snapshot([made(text), made("more")])
"""
LATER = (
    MANY.replace("3.0, 0.5", "3.0001, 0.5001")
    .replace("test_moved(explanation_snapshot):\n    explanation_snapshot(scored(1.0, 3.0, 0.0)", "test_moved"
             "(explanation_snapshot):\n    explanation_snapshot(scored(1.0, 1.0, -2.0)")
    .replace("(1.0, 3.0, 0.0), tolerance", "(1.0, 1.0, -2.0), tolerance")
)  # fmt: skip
LATER += """
def test_missing(explanation_snapshot):
    explanation_snapshot(made("a fine film"))

def test_none(explanation_snapshot):
    explanation_snapshot([1.0])
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs pytest on one file in a folder of its own."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))

    def run_(source, *options):
        pytester.makepyfile(test_film=source)
        return pytester.runpytest_subprocess(*options)

    return run_


def files(pytester):
    """The saved files and when each was written."""
    return {file.name: file.stat().st_mtime_ns for file in (pytester.path / "__explanations__").rglob("*.json*")}


def test_snapshots_are_saved_and_compared_in_parallel(run, pytester):
    done = run(MANY, *PLUGIN, "--explanation-update", "-n", "2")
    done.assert_outcomes(passed=9)
    before = files(pytester)
    assert len(before) == done.stdout.str().count("\nsaved ") == 5 + 4 * 3  # each call has a file of its own
    assert {"test_same.json", "test_moved.json"} < set(before)
    (pytester.path / "__explanations__" / "test_film" / "test_broken.json").write_text('{"format": 99}')

    done = run(LATER, *PLUGIN, "-n", "2")
    done.assert_outcomes(passed=7, failed=4)
    shown = "\n".join(line[1:].strip() for line in done.stdout.lines if line.startswith("E "))
    at = "__explanations__/test_film"
    for said in (
        f"AssertionError: the explanation moved from {at}/test_moved.json",
        "2 words changed their share by more than 5 points",
        "fine  +75.0\u00a0% →  +25.0\u00a0%  −50.0",
        "film      0\u00a0% →  −50.0\u00a0%  −50.0",
        "If that is meant, save it with: pytest --explanation-update test_film.py::test_moved",
        f"AssertionError: no explanation is saved in {at}/test_missing.json.",
        "Save it with: pytest --explanation-update test_film.py::test_missing",
        "this file has format 99",
        "Save it anew with: pytest --explanation-update test_film.py::test_broken",
        "TypeError: explanation_snapshot takes an Explanation, or several; got list.",
    ):
        assert said in shown
    assert "testing/plugin.py" not in done.stdout.str().split("test_none")[0]  # the test's line is shown, not ours
    assert set(files(pytester)) == set(before)  # nothing is written unless it is asked for

    done = run(LATER, *PLUGIN, "--explanation-update")
    done.assert_outcomes(passed=10, failed=1)
    assert done.stdout.str().count("\nsaved ") == 3  # what agrees stays as it was saved
    after = files(pytester)
    written = {name for name, when in after.items() if before.get(name) != when}
    assert written == {"test_moved.json", "test_missing.json", "test_broken.json"}
    moved = json.loads((pytester.path / "__explanations__" / "test_film" / "test_moved.json").read_text())
    assert moved["scores"] == [0.0, 1.0, 1.0, -2.0, 0.0]


def test_a_missing_snapshot_makes_no_folder(run, pytester):
    run(ONE, *PLUGIN).assert_outcomes(failed=1)
    assert not (pytester.path / "__explanations__").exists()


@pytest.mark.slow
def test_a_real_explanation_passes_again_and_another_target_fails(run):
    real = (
        "import xai_nlp\n"
        "def test_film(explanation_snapshot):\n"
        "    explanation_snapshot(xai_nlp.explain('a fine film'))\n"
    )
    run(real, *PLUGIN, "--explanation-update").assert_outcomes(passed=1)
    run(real, *PLUGIN).assert_outcomes(passed=1)
    run(real.replace("film'))", "film', target='NEGATIVE'))"), *PLUGIN).assert_outcomes(failed=1)


def test_the_plugin_is_light():
    code = (
        "import sys, xai_nlp.testing.plugin\n"
        "print({'torch', 'transformers', 'numpy', 'rich', 'msgspec', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize("options", [QUIET, PLUGIN], ids=["found", "found and named"])
def test_it_is_found_by_its_entry_point(run, pytester, monkeypatch, options):
    """As pip installs it: pytest reads the entry point, and rewrites the package's modules; named by -p, it is one."""
    info = pytester.mkdir("site") / "installed_xai_nlp-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed-xai-nlp\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[pytest11]\nxai_nlp.testing.plugin = xai_nlp.testing.plugin\n")
    (info / "RECORD").write_text("xai_nlp/__init__.py,,\nxai_nlp/testing/plugin.py,,\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(info.parent), os.environ["PYTHONPATH"]]))
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
    done = run(ONE, *options, "-W", "error", "--explanation-update")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["saved *test_film.json"])
