"""Forms: tasks and methods described from the table and from the methods' fields, and the values of a form read."""

import json
from dataclasses import fields

import pytest

from xai_nlp.core.fields import OptionField
from xai_nlp.data.table import Record
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.methods import METHODS
from xai_nlp.tasks.table import TASKS, find_task
from xai_nlp.web.forms import OMITTED, columns_of, method_form, parse_options, task_form


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
        "text-classification", "question-answering", "visual-question-answering"
    ]  # fmt: skip
    for form in about["tasks"]:
        task = find_task(form["name"])
        assert [one["name"] for one in form["inputs"]] == [one.name for one in task.inputs]
        options = {one.name for one in task.every_option} - {"method", "batch_size"}
        assert {one["name"] for one in form["options"]} == options
    methods = {method["name"]: method for method in about["methods"]}
    assert {one["name"] for one in methods["lime"]["options"]} == {"samples", "seed", "width", "alpha"}
    assert methods["integrated_gradients"]["options"][0]["choices"] == ["auto"]


STEPS = OptionField(name="steps", type=int, help="", choices=("auto",))
TARGET = OptionField(name="target", type=str, help="", choices=("start", "end"), repeatable=True)


def test_values_become_those_of_their_options():
    values = {"target": ["start", "end"], "steps": "7"}
    assert parse_options("option", [STEPS, TARGET], values) == {"target": ["start", "end"], "steps": 7}
    assert parse_options("option", [STEPS, TARGET], {"target": "end", "steps": None}) == {
        "target": "end",
        "steps": None,
    }


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"stesp": 4}, UnknownName, "unknown option of it 'stesp'. Did you mean 'steps'.* Look there."),
        ({"steps": ["4"]}, InvalidInput, "steps takes one value here; got 1"),
        ({"steps": "many"}, InvalidInput, "steps is a whole number, or 'auto'"),
        ({"target": ["start", "strat"]}, UnknownName, "Did you mean 'start'"),
    ],
)
def test_values_that_do_not_fit(values, error, message):
    with pytest.raises(error, match=message):
        parse_options("option of it", [STEPS, TARGET], values, "Look there.")


def test_columns_have_a_place_for_each_record():
    records = [Record(0, {"text": "a", "image": None}), Record(1, {"text": "b", "pair": "c"})]
    assert columns_of(records) == {"text": ["a", "b"], "pair": [None, "c"]}
