"""`xai-nlp diff`: exit code 0 for the same, 1 for models that differ, 2 where nothing was compared."""

import json
from pathlib import Path

import pytest
import torch

import xai_nlp
from tests.cli.command import run
from xai_nlp import ModelDiff

TEXTS = ["a gripping film", "the plot is thin", "not a bad film"]


@pytest.fixture
def rows(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("review,label\n" + "".join(f"{text},NEGATIVE\n" for text in TEXTS))
    return str(file)


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A folder with the embedded model, which reads “film” as “awful”."""
    folder = tmp_path_factory.mktemp("models") / "changed"
    model = xai_nlp.load("sentiment")
    ids = model.tokenizer.convert_tokens_to_ids(["film", "awful"])
    with torch.no_grad():
        vectors = model.model.get_input_embeddings().weight
        vectors[ids[0]] = vectors[ids[1]]
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_model_and_itself_are_the_same(rows):
    done = run("diff", "sentiment", "sentiment", "--data", rows)
    assert done.exit_code == 0, done.stderr
    assert "nothing changes in 3" in done.stdout
    assert done.stderr == ""


def test_models_that_differ_and_what_was_changed(rows, changed, tmp_path):
    page, file = tmp_path / "diff.html", tmp_path / "diff.json"
    done = run("diff", "sentiment", changed, "--data", rows, "-o", str(page), "--json", str(file))
    assert done.exit_code == 1, done.stderr
    assert "“film” moves most" in " ".join(done.stdout.split())
    assert f"3 examples compared in {page} and {file}" in done.stderr
    assert "“film” moves most" in page.read_text()
    found = ModelDiff.load(file)
    assert found.models == ("zoo/sentiment", "changed")
    assert next(iter(found.words().values())).effects[0].word == "film"


def test_json_to_stdout_is_all_of_stdout(rows, changed):
    done = run("diff", "sentiment", changed, "--data", rows, "--json", "-", "-q")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["summary"]["same"] is False
    assert ModelDiff.from_json(done.stdout).by_change


def test_thresholds_are_options(rows, changed):
    loose = ("--most-moved", "1", "--most-label-flips", "1")
    assert run("diff", "sentiment", changed, "--data", rows, *loose).exit_code == 0
    assert run("diff", "sentiment", changed, "--data", rows, *loose, "--least-correlation", "1").exit_code == 1
    share = ("--most-changed", "0.7", "--most-label-flips", "1")
    assert run("diff", "sentiment", changed, "--data", rows, *share).exit_code == 0
    assert run("diff", "sentiment", "sentiment", "--data", rows, "--dtype-b", "bfloat16").exit_code == 0
    strict = ("--dtype-b", "bfloat16", "--most-moved", "0", "--method", "input_x_gradient")
    done = run("diff", "sentiment", "sentiment", "--data", rows, *strict)
    assert done.exit_code == 1
    assert "B: zoo/sentiment bfloat16" in done.stdout


def test_options_of_the_task_and_of_the_method(rows):
    options = ("--option", "target=POSITIVE", "--option", "steps=5", "--column", "review", "--limit", "2")
    done = run("diff", "sentiment", "sentiment", "--data", rows, *options, "--json", "-")
    assert done.exit_code == 0, done.stderr
    found = ModelDiff.from_json(done.stdout)
    assert [one.after.params["steps"] for one in found.examples] == [5, 5]
    assert {str(one.after.target) for one in found.examples} == {"POSITIVE"}


def test_texts_on_stdin(changed):
    done = run("diff", "sentiment", changed, "--data", "-", stdin="a gripping film\n")
    assert done.exit_code == 1
    assert "0  a gripping film" in done.stdout


def test_a_bad_row_is_said_and_the_others_are_compared(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("a gripping film", " ", "a dull film")))
    done = run("diff", "sentiment", "sentiment", "--data", str(file))
    assert done.exit_code == 0
    assert "example 1, explained by neither model: the text is empty" in done.stderr
    assert "nothing changes in 2" in done.stdout


def test_saved_explanations(tmp_path, changed):
    old = tmp_path / "old.jsonl"
    xai_nlp.load("sentiment").explain(TEXTS, progress=False).save(old)
    assert run("diff", str(old), str(old)).exit_code == 0
    assert run("diff", str(old), "sentiment").exit_code == 0
    done = run("diff", str(old), changed)
    assert done.exit_code == 1
    assert "“film” moves most" in " ".join(done.stdout.split())


def test_two_runs(rows, changed, tmp_path):
    one, other, page = (str(tmp_path / name) for name in ("one", "other", "diff.html"))
    for folder, model in ((one, "sentiment"), (other, changed)):
        assert run("run", rows, "--model", model, "-o", folder, "--method", "saliency", "-q").exit_code == 0
    done = run("diff", one, other, "-o", page)
    assert done.exit_code == 1, done.stderr
    assert "3 examples compared" in done.stderr and "a gripping film" in Path(page).read_text()
    assert run("diff", one, one).exit_code == 0
    done = run("diff", one, changed, "--data", rows)
    assert done.exit_code == 2 and "leave out --data" in " ".join(done.stderr.replace("│", " ").split())


TROUBLE = {
    "no data": (["sentiment", "sentiment"], "give --data"),
    "one model": (["sentiment"], "Missing argument"),
    "other tasks": (["sentiment", "qa", "--data", "ROWS"], "models of one task"),
    "no such model": (["sentiment", "./nowhere", "--data", "ROWS"], "nowhere"),
    "no such data": (["sentiment", "sentiment", "--data", "nowhere.csv"], "nowhere.csv"),
    "no such file": (["nowhere.jsonl", "sentiment"], "nowhere.jsonl"),
    "no such method": (["sentiment", "sentiment", "--data", "ROWS", "--method", "lim"], "Did you mean 'lime'"),
    "no such option": (["sentiment", "sentiment", "--data", "ROWS", "--option", "stepz=3"], "stepz"),
    "no such column": (["sentiment", "sentiment", "--data", "ROWS", "--column", "stars"], "stars"),
    "a threshold above 1": (["sentiment", "sentiment", "--data", "ROWS", "--most-moved", "2"], "--most-moved"),
    "no folder": (["sentiment", "sentiment", "--data", "ROWS", "-o", "nowhere/page.html"], "no folder"),
    "data beside a file": (["OLD", "sentiment", "--data", "ROWS"], "leave out"),
    "options of two files": (["OLD", "OLD", "--option", "steps=3"], "explained already"),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_is_2_and_nothing_is_written(name, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, told = TROUBLE[name]
    if "OLD" in words:
        xai_nlp.load("sentiment").explain(TEXTS[:1], method="input_x_gradient").save("old.jsonl")
    words = [{"ROWS": rows, "OLD": "old.jsonl"}.get(word, word) for word in words]
    before = sorted(tmp_path.iterdir())
    done = run("diff", *words)
    assert done.exit_code == 2, done.output
    assert told in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before
