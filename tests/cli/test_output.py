"""Errors as one line on stderr; results as a page, JSON lines or text, while they come."""

from pathlib import Path

import pytest
import typer

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


def test_lines_are_in_the_file_as_they_come(tmp_path, capsys):
    def parts():
        yield Explanations([FILM])
        assert list(Explanations.load(tmp_path / "a.jsonl")) == [FILM]
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as end:
        ResultWriter(html=tmp_path / "a.html", json_to=tmp_path / "a.jsonl").write_all(parts())
    assert end.value.exit_code == 130
    assert "fine" in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert capsys.readouterr().err == f"stopped: 1 explanation in {tmp_path / 'a.jsonl'} and {tmp_path / 'a.html'}.\n"


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
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(InvalidInput, match="may not be written"):
        check_writable(tmp_path / "new.html")
