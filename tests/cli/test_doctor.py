"""`xai-nlp doctor`: the verdict on stdout, its exit code, and what is a wrong use."""

import json
import re

import pytest

from tests.cli.command import run
from tests.models.broken_folders import BREAKS, good_folder

FEW = ("--method", "occlusion", "--method", "integrated_gradients", "-q")


def test_a_healthy_model_ends_with_0():
    done = run("doctor", "sentiment", *FEW)
    assert done.exit_code == 0, done.stderr
    assert "zoo/sentiment is healthy: 18 checks passed." in " ".join(done.stdout.split())
    assert "occlusion" in done.stdout and "shapley" not in done.stdout
    assert done.stderr == ""


def test_json_is_the_diagnosis(tmp_path):
    folder = good_folder(tmp_path / "model")
    done = run("doctor", str(folder), "--json", "--input", "text=a dull film", "--task", "classify", *FEW)
    assert done.exit_code == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["healthy"] and data["task"] == "text-classification" and len(data["methods"]) == 2
    assert {one["level"] for one in data["checks"]} == {"ok"}


def test_an_error_ends_with_1(tmp_path):
    folder = good_folder(tmp_path / "model")
    BREAKS["weights: pickles only"](folder)
    done = run("doctor", str(folder), *FEW)
    assert done.exit_code == 1
    words = " ".join(done.stdout.split())
    assert "model is not healthy: 1 error." in words
    assert "holds only pytorch_model.bin" in words and "Fix: Models load from safetensors" in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Missing argument"),
        (("sentiment", "--task", "classfy"), "Did you mean 'classify'|unknown task"),
        (("sentiment", "--method", "shaply"), "Did you mean 'shapley'"),
        (("sentiment", "--input", "text"), "NAME=VALUE"),
        (("sentiment", "--input", "question=Who?"), "question"),
        (("sentiment", "--nothing"), "No such option"),
    ],
)
def test_a_wrong_use_ends_with_2(arguments, words):
    done = run("doctor", *arguments, "-q")
    assert done.exit_code == 2
    assert re.search(words, " ".join(done.stderr.replace("│", " ").split()))
