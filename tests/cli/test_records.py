"""The inputs of a command: arguments, options, files and stdin."""

import io
import json
from pathlib import Path

import pytest
import typer

from xai_nlp.cli.records import flags_of_inputs, inputs_of_arguments, read_data, read_text
from xai_nlp.errors import InvalidInput
from xai_nlp.tasks.table import find_task

SENTIMENT, QA = find_task("sentiment"), find_task("qa")


def inputs(task, **values):
    every = {name: None for one in task.inputs for name in (one.name, f"{one.name}_file")}
    return inputs_of_arguments(task, every | values)


def test_several_arguments_are_a_list():
    assert inputs(SENTIMENT, text=["a"]) == {"text": "a"}
    assert inputs(SENTIMENT, text=["a", "b"], pair="c") == {"text": ["a", "b"], "pair": "c"}
    assert inputs(QA, question="q", context="c") == {"question": "q", "context": "c"}


def test_a_long_text_comes_from_a_file(tmp_path):
    (tmp_path / "a.txt").write_text("a context\n", encoding="utf-8")
    assert inputs(QA, question="q", context_file=tmp_path / "a.txt") == {"question": "q", "context": "a context\n"}


@pytest.mark.parametrize(
    ("task", "values", "message"),
    [
        (SENTIMENT, {}, "give TEXT, or --data"),
        (SENTIMENT, {"text": []}, "give TEXT, or --data"),
        (QA, {}, "give --question and --context, or --data"),
        (QA, {"question": "q"}, "give --context, or --data"),
        (QA, {"question": "q", "context": "c", "context_file": Path("a")}, "--context or --context-file, not both"),
    ],
)
def test_missing_and_doubled_inputs_are_wrong_usage(task, values, message):
    with pytest.raises(typer.BadParameter, match=message):
        inputs(task, **values)


def test_flags_of_the_inputs_that_stand_on_the_command_line():
    assert flags_of_inputs(SENTIMENT, {"text": ["a"], "pair": None}) == ["TEXT"]
    assert flags_of_inputs(QA, {"question": None, "context": None, "context_file": Path("a")}) == ["--context"]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a film\n\n another \n", [{"text": "a film"}, {"text": "another"}]),
        ('\n{"review": "a film"}\n{"review": "b"}', [{"text": "a film"}, {"text": "b"}]),
    ],
)
def test_stdin_holds_lines_of_text_or_json_lines(monkeypatch, text, rows):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert [record.inputs for record in read_data(Path("-")).records(SENTIMENT.inputs)] == rows


def test_files_are_tables(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"text": "a film"}]))
    assert list(read_data(tmp_path / "a.json")) == [{"text": "a film"}]


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a\xff")
    with pytest.raises(InvalidInput, match=r"a\.txt is not UTF-8 text: .* at byte 1"):
        read_text(tmp_path / "a.txt")
