"""The bar of progress: late, in place in a terminal, in lines in a log."""

import io

import pytest

from xai_nlp.core import progress
from xai_nlp.core.progress import Bar, progress_bar


@pytest.fixture(autouse=True)
def every_line(monkeypatch):
    monkeypatch.setattr(progress, "LOG_INTERVAL", 0.0)


@pytest.mark.parametrize(("delay", "appears"), [(0.0, True), (60.0, False)])
def test_it_appears_after_the_delay(capsys, monkeypatch, delay, appears):
    monkeypatch.setattr(progress, "DELAY", delay)
    with progress_bar("answering", "question") as show:
        for done in (2, 4, 6):
            show(done, 6)
    out, err = capsys.readouterr()
    assert ("answering" in err and "6/6" in err and "question" in err, out) == (appears, "")


def test_a_requested_bar_appears_at_once_and_ends_at_100_per_cent(capsys, monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 60.0)
    for steps in ([1, 3], [3], []):
        with progress_bar("answering", requested=True) as show:
            for done in steps:
                show(done, 3)
        assert "answering: 100%" in capsys.readouterr().err.splitlines()[-1]


def test_a_requested_bar_stays_in_a_terminal(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", terminal)
    with progress_bar("answering", requested=True) as show:
        for done in range(1, 4):
            show(done, 3)
    assert terminal.getvalue().rstrip().rpartition("\r")[2].startswith("answering: 100%")


def test_a_log_gets_lines(capsys, monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    with progress_bar("answering") as show:
        show(1, 3)
        show(3, 3)
    shown = capsys.readouterr().err
    assert "\r" not in shown and "1/3" in shown
    assert "1/3" in shown.splitlines()[0], "the first line says how much is done already"
    assert "3/3" in shown.splitlines()[-1]


def test_what_was_done_before_it_appears_is_counted(capsys, monkeypatch):
    bar = Bar("explaining")
    bar.total = 10
    bar.update(4)
    bar.clear()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "DELAY", 0.0)
    bar.update(3)
    bar.clear()
    bar.close()
    assert "7/10" in capsys.readouterr().err
