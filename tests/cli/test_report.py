"""`xai-nlp report`: what is read, what is refused, what is written."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from tests.viz.images import asked
from tests.viz.samples import answered, made
from xai_nlp import Explanations
from xai_nlp.cli import app
from xai_nlp.cli.report import read_labels
from xai_nlp.tasks.table import find_task

runner = CliRunner()


def run(*args):
    return runner.invoke(app, ["report", *map(str, args)])


@pytest.fixture
def folder(tmp_path):
    """A folder with three explanations, one of them large enough for a file beside it."""
    kept = tmp_path / "kept"
    kept.mkdir()
    made("a fine film").save(kept / "a.json")
    (kept / "b.jsonl").write_text(
        made("a dull film", outputs={"NEGATIVE": 0.9, "POSITIVE": 0.1}).to_json() + "\n\n" + made("so so").to_json()
    )
    return kept


def test_a_folder_becomes_a_report(folder, tmp_path):
    out = tmp_path / "r.html"
    done = run(folder, "-o", out, "--data", "three films", "--date", "2026-01-02")
    assert done.exit_code == 0, done.stderr
    html = out.read_text(encoding="utf-8")
    for told in ("3 explained", "three films", "2026-01-02", "dull", "zoo/sentiment", "integrated gradients"):
        assert told in html
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    first = out.read_bytes()
    run(folder, "-o", out, "--data", "three films", "--date", "2026-01-02")
    assert out.read_bytes() == first


def test_the_date_is_the_newest_files(folder, tmp_path):
    import os

    for n, file in enumerate(sorted(folder.iterdir())):
        os.utime(file, (86400.0 * n, 86400.0 * n))
    run(folder, "-o", tmp_path / "r.html")
    assert "1970-01-02" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_what_a_page_saves_is_read_too(tmp_path):
    file = tmp_path / "explanations.json"
    file.write_text(json.dumps([json.loads(made(text).to_json()) for text in ("one film", "two films")]))
    assert [item.segments for item in Explanations.load(file)] == [("one film",), ("two films",)]


def test_large_explanations_keep_their_attention(tmp_path):
    from tests.viz.samples import matrices

    answered(attention={"self": matrices(layers=12, heads=12)}).save(tmp_path / "qa.json")
    assert (tmp_path / "qa.json.safetensors").is_file()
    assert run(tmp_path, "-o", tmp_path / "r.html").exit_code == 0
    assert "How much each head carries" in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json"])
def test_labels_give_accuracy_and_confusion(folder, tmp_path, kind):
    file = tmp_path / f"gold.{kind}"
    rows = [("a fine film", "POSITIVE"), ("a dull film", "POSITIVE")]
    if kind in ("csv", "tsv"):
        comma = "," if kind == "csv" else "\t"
        file.write_text("".join(f"{text}{comma}{label}\n" for text, label in [("text", "label"), *rows]))
    else:
        objects = [json.dumps({"text": text, "label": label}) for text, label in rows]
        file.write_text("\n".join(objects) if kind == "jsonl" else f"[{','.join(objects)}]")
    assert run(folder, "-o", tmp_path / "r.html", "--labels", file).exit_code == 0
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "50\xa0%" in html
    assert "of 2 judged" in html
    assert html.count('data-right="right"') == html.count('data-right="wrong"') == 1


def test_answers_are_judged_as_squad_does(tmp_path):
    answered().save(tmp_path / "qa.json")
    gold = tmp_path / "gold.jsonl"
    gold.write_text(json.dumps({"question": "Who wrote it?", "answers": ["The Ada  lovelace.", "nobody"]}))
    assert run(tmp_path / "qa.json", "-o", tmp_path / "r.html", "--labels", gold).exit_code == 0
    assert 'data-right="right"' in (tmp_path / "r.html").read_text(encoding="utf-8")


def explanation(**changes):
    return json.dumps({**json.loads(made().to_json()), **changes})


BAD = {
    "empty folder": (None, "holds no file"),
    "empty file": ("", "is empty"),
    "no JSON": ("POSITIVE", "cut off"),
    "truncated": (made().to_json()[:-40], "cut off"),
    "truncated lines": (made().to_json() + "\n" + made().to_json()[:50], "cut off"),
    "not ours": ('{"name": "package"}', "format is None"),
    "a number": ("3", "format is None"),
    "a list of numbers": ("[1, 2]", "entry 1"),
    "of the future": (explanation(format=99), "format 99"),
    "changed by hand": (explanation(extra=1), "unknown field 'extra'"),
    "wrong types": (explanation(tokens=None), "`$.tokens`"),
    "wrong lengths": (explanation(scores=[1.0]), "one offset"),
    "text for numbers": (explanation(scores=["x"] * 5), "`$.scores[0]`"),
    "offsets that are none": (explanation(offsets=[1, 2, 3, 4, 5]), "`$.offsets[0]`"),
    "not text": (b"\xff\xfe\x00", "UTF-8"),
    "mixed tasks": (made().to_json() + "\n" + asked().to_json(), "one task"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_inputs_are_refused_before_anything_is_written(name, tmp_path):
    content, told = BAD[name]
    kept = tmp_path / "kept"
    kept.mkdir()
    if content is not None:
        (kept / "x.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    out = tmp_path / "r.html"
    out.write_text("what was there")
    done = run(kept, "-o", out)
    assert done.exit_code == 1, name
    assert told in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert out.read_text() == "what was there"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept", "r.html"]


def test_what_is_not_there_is_named(tmp_path):
    done = run(tmp_path / "nothing.json", "-o", tmp_path / "r.html")
    assert done.exit_code == 1
    assert "nothing.json is not there" in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"text": "a fine film"}', "no column for label"),
        ('{"txt": "a fine film", "label": "x"}', "no column for text"),
        ("[1]", "an object is needed"),
        ("{", "line 1"),
        ('{"text": "a", "label": "x"}\n{"text": "a", "label": "y"}', "two labels"),
        ('{"text": "another", "label": "x"}', "letter for letter"),
    ],
)
def test_bad_labels_are_refused(folder, tmp_path, text, told):
    file = tmp_path / "gold.jsonl"
    file.write_text(text)
    done = run(folder, "-o", tmp_path / "r.html", "--labels", file)
    assert done.exit_code == 1
    assert told in done.stderr.replace("\n", " ")
    assert not (tmp_path / "r.html").exists()


def test_labels_said_twice_alike_are_one(tmp_path):
    (tmp_path / "g.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": "a", "label": "x"}')
    assert read_labels(tmp_path / "g.jsonl", find_task("classify")) == {"a": ("x",)}


def test_a_folder_that_cannot_be_written_leaves_nothing(folder, tmp_path):
    done = run(folder, "-o", tmp_path / "no such folder" / "r.html")
    assert done.exit_code == 1
    assert "no such folder" in done.stderr


def test_without_a_browser_pdf_is_refused_before_anything_is_written(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    done = run(folder, "-o", tmp_path / "r.html", "--pdf", tmp_path / "r.pdf")
    assert done.exit_code == 1
    assert "Chromium" in done.stderr
    assert not (tmp_path / "r.html").exists()


@pytest.mark.browser
def test_pdf_through_the_browser(folder, tmp_path):
    done = run(folder, "-o", tmp_path / "r.html", "--pdf", tmp_path / "r.pdf")
    assert done.exit_code == 0, done.stderr
    printed = (tmp_path / "r.pdf").read_bytes()
    assert printed.startswith(b"%PDF-")
    assert len(printed) > 10_000
