"""The task table: lookup, inputs, options, and what may not stand twice."""

import subprocess
import sys
from dataclasses import fields

import pytest

from xai_nlp.core.registry import method_options
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.methods import METHODS
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.table import TASKS, find_task, register_task, task_for_inputs
from xai_nlp.tasks.task import COMMON_OPTIONS, TEXT_OPTIONS


@pytest.mark.parametrize(
    ("names", "task"),
    [
        ({"text"}, "text-classification"),
        ({"text", "pair"}, "text-classification"),
        ({"question", "context"}, "question-answering"),
        ({"question", "image"}, "visual-question-answering"),
        ({"image"}, "image-classification"),
        ({"prompt"}, "text-generation"),
    ],
)
def test_the_inputs_tell_the_task(names, task):
    assert task_for_inputs(names).name == task


@pytest.mark.parametrize("names", [set(), {"question"}, {"text", "image"}])
def test_inputs_of_no_task_are_refused_with_what_each_task_reads(names):
    with pytest.raises(InvalidInput, match=r"one task: explain\(text=…\), explain\(question=…, context=…\)"):
        task_for_inputs(names)


def test_a_task_is_found_by_its_name_and_by_its_command():
    assert find_task("qa") is find_task("question-answering")
    with pytest.raises(UnknownName, match="unknown task 'qaa'"):
        find_task("qaa")


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_each_row_is_whole(task):
    assert issubclass(task.explainer_class(), Explainer)
    assert all(one.help.endswith(".") or one.help.endswith("…") for one in (*task.inputs, *task.every_option))
    names = [one.name for one in (*task.inputs, *task.every_option)]
    assert len(names) == len(set(names))
    common = {one.name for one in COMMON_OPTIONS} - (set() if task.reads_text else TEXT_OPTIONS)
    assert common <= set(names)
    assert all(
        option.default is None or not option.choices or option.default in option.choices for option in task.options
    )


def test_a_task_cannot_take_the_name_or_the_command_of_another():
    qa = find_task("qa")
    for taken in ({}, {"name": "other"}, {"command": "other"}):
        with pytest.raises(InvalidInput):
            register_task(type(qa)(**{**vars(qa), **taken}))
    assert "other" not in TASKS


def test_the_table_needs_no_torch():
    code = "import sys, xai_nlp.tasks.table; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("name", METHODS)
def test_the_options_of_each_method_come_from_its_fields(name):
    defaults = {one.name: None if one.name == "of_options" else one.default for one in fields(METHODS[name])}
    assert {option.name: option.default for option in method_options(name)} == defaults
