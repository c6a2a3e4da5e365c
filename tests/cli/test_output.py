"""Errors as one line on stderr; results as a page, JSON lines or text, while they come."""

import os
import threading
from pathlib import Path

import pytest
import typer

from tests.core.test_files import files_of_at_most
from tests.viz.samples import made
from xai_nlp import Explanation, Explanations
from xai_nlp.cli.output import ResultWriter, check_writable, errors_to_stderr
from xai_nlp.errors import InvalidInput

FILM, MESS = made("a fine film"), made("a dull film")


@pytest.mark.parametrize("error", [InvalidInput("[a] is wrong.\n"), FileNotFoundError(2, "No such file", "x")])
def test_errors_are_one_line_on_stderr_and_exit_1(capsys, error):
    with pytest.raises(typer.Exit) as end, errors_to_stderr():
        raise error
    assert end.value.exit_code == 1
    out, err = capsys.readouterr()
    assert (out, err.strip()) == ("", f"error: {error}".strip())


@pytest.mark.parametrize("error", [ZeroDivisionError, BrokenPipeError])
def test_other_errors_pass(error):
    with pytest.raises(error), errors_to_stderr():
        raise error


def test_ctrl_c_is_exit_130(capsys):
    with pytest.raises(typer.Exit) as end, errors_to_stderr():
        raise KeyboardInterrupt
    assert (end.value.exit_code, capsys.readouterr().err) == (130, "stopped.\n")


def test_results_go_where_they_are_asked_for(tmp_path, capsys):
    files = {"html": tmp_path / "a.html", "json_to": tmp_path / "a.jsonl"}
    files["json_to"].write_text("of a run before\n" * 9)
    ResultWriter(**files).write_all([Explanations([FILM]), Explanations([MESS])])
    assert "dull" in files["html"].read_text(encoding="utf-8")
    lines = files["json_to"].read_text(encoding="utf-8").splitlines()
    assert [Explanation.from_json(line) for line in lines] == [FILM, MESS]
    out, err = capsys.readouterr()
    assert "dull" in out and err == f"2 explanations in {files['json_to']} and {files['html']}.\n"
    ResultWriter(html=None, json_to=Path("-")).write_all([Explanations([FILM, MESS])])
    assert capsys.readouterr().out.splitlines() == lines
    ResultWriter(**files, quiet=True).write_all([Explanations([FILM])])
    assert capsys.readouterr() == ("", "")


def parts_of(folder):
    return [file for file in folder.iterdir() if file.suffix == ".part"]


@pytest.mark.parametrize("end", [KeyboardInterrupt(), InvalidInput("no."), ZeroDivisionError()])
def test_lines_lie_beside_as_they_come_and_are_kept_at_an_end_of_any_kind(tmp_path, capsys, end):
    (tmp_path / "a.jsonl").write_text("of a run before")

    def parts():
        yield Explanations([FILM])
        (part,) = parts_of(tmp_path)
        assert list(Explanations.load(part)) == [FILM]
        assert (tmp_path / "a.jsonl").read_text() == "of a run before"
        raise end

    stopped = isinstance(end, KeyboardInterrupt)
    with pytest.raises(typer.Exit if stopped else type(end)) as caught:
        ResultWriter(html=tmp_path / "a.html", json_to=tmp_path / "a.jsonl").write_all(parts())
    assert not stopped or caught.value.exit_code == 130
    assert list(Explanations.load(tmp_path / "a.jsonl")) == [FILM]
    assert "fine" in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert not parts_of(tmp_path)
    said = f"stopped: 1 explanation in {tmp_path / 'a.jsonl'} and {tmp_path / 'a.html'}.\n"
    assert capsys.readouterr().err == said * stopped


def test_a_full_disk_leaves_the_old_file_and_names_the_lines_so_far(tmp_path, capsys):
    file = tmp_path / "a.jsonl"
    file.write_text("of a run before")
    size = len(Explanations([FILM]).to_json())
    for room, done in ((size + 100, [FILM]), (100, [])):
        with files_of_at_most(room), pytest.raises(OSError, match="too large") as caught:
            ResultWriter(html=None, json_to=file).write_all([Explanations([FILM]), Explanations([MESS])])
        assert caught.value.filename == str(file)
        assert file.read_text() == "of a run before"
        parts = parts_of(tmp_path)
        assert [list(Explanations.load(part)) for part in parts] == [done] * bool(done)
        said = capsys.readouterr().err
        assert said == (f"1 explanation in {parts[0]}.\n" if done else "")
        for part in parts:
            part.unlink()


def test_a_pipe_gets_its_lines_as_they_come(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    ResultWriter(html=None, json_to=pipe, quiet=True).write_all([Explanations([FILM]), Explanations([MESS])])
    reader.join(10)
    assert read == [Explanations([FILM, MESS]).to_json().encode()]


def test_nothing_done_leaves_an_old_file_alone(tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text("of a run before")
    failed = Explanations([], {3: "is empty."})
    with pytest.raises(InvalidInput, match=r"^a\.csv, record 3: is empty\.$"):
        ResultWriter(html=None, json_to=tmp_path / "a.jsonl").write_all([failed], source="a.csv, record")
    assert (tmp_path / "a.jsonl").read_text() == "of a run before"


def test_failures_end_the_command_or_are_listed_at_its_end(capsys):
    parts = [Explanations([FILM], {1: "is empty."}), Explanations([MESS], {2: "is long."})]
    with pytest.raises(InvalidInput, match=r"^input 1: is empty\.$"):
        ResultWriter(html=None, json_to=Path("-")).write_all(parts)
    assert len(capsys.readouterr().out.splitlines()) == 1
    with pytest.raises(typer.Exit) as end:
        ResultWriter(html=None, json_to=Path("-")).write_all(parts, go_on=True)
    out, err = capsys.readouterr()
    assert (end.value.exit_code, len(out.splitlines())) == (1, 2)
    assert err.splitlines() == [
        "2 of the inputs could not be explained:", "error: input 1: is empty.", "error: input 2: is long.",
    ]  # fmt: skip


def test_files_that_cannot_be_written(tmp_path, monkeypatch):
    check_writable(None)
    check_writable(Path("-"))
    check_writable(tmp_path / "new.html")
    with pytest.raises(InvalidInput, match="is a folder"):
        check_writable(tmp_path)
    with pytest.raises(InvalidInput, match=r"there is no folder .*nowhere for a\.html; make it first"):
        check_writable(tmp_path / "nowhere" / "a.html")
    (tmp_path / "old.html").write_text("")
    monkeypatch.setattr("os.access", lambda path, _: path != tmp_path)
    for name in ("new.html", "old.html"):  # a new file is made beside the old one
        with pytest.raises(InvalidInput, match="may not be written"):
            check_writable(tmp_path / name)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(InvalidInput, match="may not be written"):
        check_writable(tmp_path / "new.html")
