"""Errors as one line on stderr; results as a page, JSON lines or text."""

from pathlib import Path

import pytest
import typer

from tests.viz.samples import made
from xai_nlp import Explanation, Explanations
from xai_nlp.cli.output import errors_to_stderr, write_results
from xai_nlp.errors import InvalidInput


@pytest.mark.parametrize("error", [InvalidInput("[a] is wrong.\n"), FileNotFoundError(2, "No such file", "x")])
def test_errors_are_one_line_on_stderr_and_exit_1(capsys, error):
    with pytest.raises(typer.Exit) as end, errors_to_stderr():
        raise error
    assert end.value.exit_code == 1
    out, err = capsys.readouterr()
    assert (out, err.strip()) == ("", f"error: {error}".strip())


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError), errors_to_stderr():
        _ = 1 / 0


def test_results_go_where_they_are_asked_for(tmp_path, capsys):
    results = Explanations([made("a fine film"), made("a dull film")])
    write_results(results, html=tmp_path / "a.html", json_to=tmp_path / "a.jsonl", tokens=False)
    assert "dull" in (tmp_path / "a.html").read_text(encoding="utf-8")
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert [Explanation.from_json(line) for line in lines] == list(results)
    assert "dull" in capsys.readouterr().out
    write_results(results, html=None, json_to=Path("-"), tokens=False)
    assert capsys.readouterr().out.splitlines() == lines
