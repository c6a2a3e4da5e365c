"""Forms: tasks and methods described from the table and from the methods' fields."""

import json
from dataclasses import fields

import pytest

from xai_nlp.methods import METHODS
from xai_nlp.tasks.table import TASKS, find_task
from xai_nlp.web.forms import OMITTED, method_form, task_form


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_all_of_its_inputs_and_options(name):
    task, form = find_task(name), task_form(find_task(name))
    assert [one["name"] for one in form["inputs"]] == [one.name for one in task.inputs]
    assert {one["name"] for one in form["options"]} == {one.name for one in task.every_option} - {"method", *OMITTED}
    assert {one["type"] for one in form["options"]} <= {"str", "int", "float", "bool", "dict"}
    json.dumps(form)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_all_of_its_options(name):
    form = method_form(name)
    assert {one["name"] for one in form["options"]} == {one.name for one in fields(METHODS[name])}
    assert form["help"]
    json.dumps(form)


def test_forms_are_described_by_the_table(served):
    about = served.client.get("api/about").json()
    assert [task["name"] for task in about["tasks"]] == [
        "text-classification", "question-answering", "visual-question-answering", "image-classification"
    ]  # fmt: skip
    for form in about["tasks"]:
        task = find_task(form["name"])
        assert [one["name"] for one in form["inputs"]] == [one.name for one in task.inputs]
        options = {one.name for one in task.every_option} - {"method", "rows"}
        assert {one["name"] for one in form["options"]} == options
    methods = {method["name"]: method for method in about["methods"]}
    assert {one["name"] for one in methods["lime"]["options"]} == {"samples", "seed", "width", "alpha"}
    assert methods["integrated_gradients"]["options"][0]["choices"] == ["auto"]
