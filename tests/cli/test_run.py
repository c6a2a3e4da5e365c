"""`xai-nlp run`: what it prints, what it writes, how it ends."""

import os
import signal

import pytest

import xai_nlp
from tests.cli.command import run
from tests.runs.test_execute import stopped_after
from xai_nlp.cli.run import column_of, read_options
from xai_nlp.errors import UnknownName
from xai_nlp.runs import rows

FAST = ("--method", "input_x_gradient")


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "rows.csv"
    lines = "".join(f"a {'fine' if n % 2 else 'dull'} film {n},{n % 2}\n" for n in range(30))
    file.write_text(f"review,label\n{lines}")
    return file


def test_a_dry_run_prints_numbers_and_writes_nothing(data, tmp_path):
    done = run("run", str(data), "-o", str(tmp_path / "run"), *FAST, "--dry-run")
    assert done.exit_code == 0, done.stderr
    for part in ("input_x_gradient", "rows.csv: 30 rows", "zoo/sentiment", "time", "memory", "disk", "kB"):
        assert part in done.stdout
    assert not (tmp_path / "run").exists()


def test_the_plan_is_printed_and_the_rows_are_written(data, tmp_path):
    folder = tmp_path / "run"
    done = run("run", str(data), "-o", str(folder), "--model", "sentiment", "--option", "steps=4", "--limit", "9")
    assert done.exit_code == 0, done.stderr
    assert "rows.csv: 9 rows" in done.stderr and "9 explanations in" in done.stderr and done.stdout == ""
    found = xai_nlp.read_run(folder)
    assert len(found) == 9 and found[0].params["steps"] == 4 and found[1].gold == ("POSITIVE",)
    again = run("run", str(data), "-o", str(folder), "--model", "sentiment", "--option", "steps=4", "--limit", "9")
    assert again.exit_code == 0 and "9 rows are done already" in again.stderr
    other = run("run", str(data), "-o", str(folder), "--option", "steps=5", "--limit", "9")
    assert other.exit_code == 1 and "options: steps was 4 and is 5" in other.stderr


def test_ctrl_c_ends_with_130_and_what_is_done(data, tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "BATCH_TOKENS", 32)
    arguments = ("run", str(data), "-o", str(tmp_path / "run"), *FAST, "--quiet")
    with monkeypatch.context() as patch:
        stopped_after(2, patch, lambda: os.kill(os.getpid(), signal.SIGINT))
        done = run(*arguments)
    assert done.exit_code == 130
    count = len(xai_nlp.read_run(tmp_path / "run"))
    assert 0 < count < 30 and f"stopped: {count} of 30 rows are done" in done.stderr
    assert run(*arguments).exit_code == 0
    assert len(xai_nlp.read_run(tmp_path / "run")) == 30


def test_rows_that_fail_are_counted(tmp_path):
    (tmp_path / "rows.csv").write_text('text\na fine film\n"",\n'.replace('"",', '""'))
    done = run("run", str(tmp_path / "rows.csv"), "-o", str(tmp_path / "run"), *FAST)
    assert done.exit_code == 0
    assert "1 row could not be explained; row 1: the text is empty" in done.stderr


def test_what_is_wrong_is_said_in_a_line(data, tmp_path):
    for arguments, said in (
        ((str(tmp_path / "none.csv"),), "there is no file"),
        ((str(data), "--method", "saliencey"), "Did you mean 'saliency'"),
        ((str(data), "--option", "stepz=4"), "Did you mean 'steps'"),
        ((str(data), "--column", "body"), "Known: label, review"),
        ((str(data), "--engine", "rey"), "Did you mean 'ray'"),
        ((str(data), "--address", "auto"), "give engine='ray', --engine ray, too"),
    ):
        done = run("run", *arguments, "-o", str(tmp_path / "run"))
        assert done.exit_code == 1 and said in done.stderr, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()
    assert run("run", str(data)).exit_code == 2


def test_options_of_any_task_are_read():
    assert read_options(["target=end", "steps=4"], None, ["integrated_gradients"]) == {"target": "end", "steps": 4}
    assert read_options(["labels=sports, world"], "zero-shot-classification", ["saliency"]) == {
        "labels": "sports, world"
    }
    with pytest.raises(UnknownName):
        read_options(["on_error=raise"], None, ["saliency"])


def test_columns_are_read():
    assert column_of(["body"]) == "body"
    assert column_of(["text=body", "gold=stars"]) == {"text": "body", "gold": "stars"}
    assert column_of(None) == {}


def test_a_report_of_a_run_is_its_overview(data, tmp_path):
    folder, page = tmp_path / "run", tmp_path / "r.html"
    assert run("run", str(data), "-o", str(folder), *FAST, "--quiet").exit_code == 0
    made = ("--csv", str(tmp_path / "csv"), "--figures", str(tmp_path / "figures"), "--figure-format", "svg")
    done = run("report", str(folder), "-o", str(page), *made, "--by", "review", "--table", str(data))
    assert done.exit_code == 0, done.stderr
    assert f"overview in {page} and {tmp_path / 'csv'} and {tmp_path / 'figures'}" in done.stderr.replace("\n", "")
    html = page.read_text(encoding="utf-8")
    assert "The model says" in html and "a dull film 4" in html and "30</bdi></b> explanations" in html
    tables = {file.stem for file in (tmp_path / "csv").iterdir()}
    assert {"lexicon", "slices_confidence"} <= tables
    assert {file.name for file in (tmp_path / "figures").iterdir()} == {f"{name}.svg" for name in tables}
    assert "\nreview," in (tmp_path / "csv" / "slices_confidence.csv").read_text(encoding="utf-8")
    xai_nlp.read_run(folder).to_html(tmp_path / "same.html")
    assert run("report", str(folder), "-o", str(page), "-q").exit_code == 0
    assert (tmp_path / "same.html").read_bytes() == page.read_bytes()


def test_a_report_of_runs_together_and_what_is_refused(data, tmp_path):
    folder, page = tmp_path / "run", tmp_path / "r.html"
    run("run", str(data), "-o", str(folder), *FAST, "--quiet")
    assert run("report", str(folder), str(folder), "-o", str(page)).exit_code == 0
    assert "explained" in page.read_text(encoding="utf-8")
    page.unlink()
    for wrong, message in (
        ([str(folder), "--by", "text"], "give both, or neither"),
        ([str(folder), "--by", "nothing", "--table", str(data)], "unknown column"),
        ([str(folder), "--method", "occlusion"], "Known: input_x_gradient"),
        ([str(folder), str(folder), "--csv", str(tmp_path / "csv")], "--csv: these are about the overview of one run"),
        ([str(folder), "--csv", str(data)], "is a file"),
    ):
        done = run("report", *wrong, "-o", str(page))
        assert done.exit_code != 0 and message in " ".join(done.stderr.split()), done.stderr
        assert not page.exists() and not (tmp_path / "csv").exists()
