"""The command line: results on stdout, everything else on stderr, exit codes 0, 1 and 2."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import xai_nlp
from xai_nlp.cli import app
from xai_nlp.methods import METHODS

runner = CliRunner()


def run(*args, stdin=None):
    return runner.invoke(app, list(args), input=stdin)


def test_demo_writes_a_page(tmp_path):
    done = run("demo", "--html", str(tmp_path / "demo.html"))
    assert done.exit_code == 0, done.stderr
    assert "POSITIVE" in done.stdout
    assert "gripping" in (tmp_path / "demo.html").read_text(encoding="utf-8")


def test_explains_to_stdout():
    done = run("explain", "sentiment", "a gripping film")
    assert done.exit_code == 0
    assert "gripping" in done.stdout
    assert "POSITIVE" in done.stdout


def test_json_and_html(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("a gripping film\n\na dull mess\n", encoding="utf-8")
    done = run("explain", "sentiment", "--file", str(file), "--json", "-", "--html", str(tmp_path / "page.html"))
    found = [xai_nlp.Explanation.from_json(line) for line in done.stdout.splitlines()]
    assert [why.prediction for why in found] == ["POSITIVE", "NEGATIVE"]
    assert "dull" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert found == list(xai_nlp.explain(["a gripping film", "a dull mess"]))
    run("explain", "sentiment", "--file", "-", "--json", str(tmp_path / "out.jsonl"), stdin="a gripping film")
    assert json.loads((tmp_path / "out.jsonl").read_text())["segments"] == ["a gripping film"]


def test_options_reach_the_method():
    asked = [
        "-o",
        "steps=12",
        "--target",
        "NEGATIVE",
        "--baseline",
        "mask",
        "--unit",
        "probability",
        "--layer",
        "1",
        "--json",
        "-",
    ]
    why = json.loads(run("explain", "sentiment", "a film", *asked).stdout)
    assert (why["params"]["steps"], why["params"]["layer"], why["target"]["label"]) == (12, 1, "NEGATIVE")
    assert (why["baseline"], why["unit"]) == ("mask", "probability")
    several = run("explain", "sentiment", "a film", "--method", "saliency", "--method", "random", "--json", "-")
    assert [json.loads(line)["method"] for line in several.stdout.splitlines()] == ["saliency", "random"]
    pair = run("explain", "sentiment", "a film", "--pair", "a book", "--json", "-")
    assert json.loads(pair.stdout)["segments"] == ["a film", "a book"]


def test_seeds():
    def scores(*args):
        return json.loads(run("explain", "sentiment", "a film", "--method", "random", "--json", "-", *args).stdout)[
            "scores"
        ]

    assert scores("--seed", "1") == scores("--seed", "1") != scores("--seed", "2")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["a film", "--method", "integrated_gradient"], "Did you mean 'integrated_gradients'"),
        (["a film", "--target", "POSITVE"], "Did you mean 'POSITIVE'"),
        ([" "], "nothing to explain"),
        (["--file", "no-such-file.txt"], "no-such-file.txt"),
        (["a film", "-o", "step=3"], "Did you mean 'steps'"),
    ],
)
def test_failures_are_one_line_and_exit_1(args, said):
    done = run("explain", "sentiment", *args)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["explain", "sentiment"],
        ["explain", "sentiment", "a", "--file", "b"],
        ["nothing"],
        ["explain", "sentiment", "a", "-o", "steps"],
        ["explain", "sentiment", "a", "--layer", "x"],
    ],
)
def test_usage_is_exit_2(args):
    assert run(*args).exit_code == 2


def test_binary_files_are_refused(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"\xff\xfe\x00")
    done = run("explain", "sentiment", "--file", str(tmp_path / "x.txt"))
    assert done.exit_code == 1
    assert "not UTF-8" in done.stderr


def test_lists():
    methods, models = run("methods").stdout, run("models").stdout
    assert all(name in methods for name in METHODS)
    assert "sentiment" in models
    assert "modernbert" in models
    assert xai_nlp.__version__ in run("--version").stdout


def test_as_a_module_with_progress_kept_off_stdout():
    done = subprocess.run(
        [sys.executable, "-m", "xai_nlp.cli", "explain", "sentiment", "a film", "--json", "-"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["task"] == "text-classification"
