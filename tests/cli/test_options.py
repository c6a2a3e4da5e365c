"""Options made from fields, and values read from text."""

from pathlib import Path
from typing import get_args

import pytest
import typer

from xai_nlp.cli.options import (
    columns_of_options,
    example_of,
    input_parameters,
    inputs_of_arguments,
    option_parameter,
    option_values,
    pairs,
    read_method_options,
    read_text,
)
from xai_nlp.core.fields import OptionField
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.tasks.table import find_task

CLASSIFY, QA = find_task("classify"), find_task("qa")


def option(**changes):
    return OptionField(**{"name": "rather_than", "type": str, "help": "Help.", **changes})


@pytest.mark.parametrize(
    ("field", "kind", "default"),
    [
        (option(), str | None, None),
        (option(type=int), int | None, None),
        (option(type=float, default=0.5), float | None, None),
        (option(type=bool, default=False), bool, False),
        (option(type=bool, default=True), bool, True),
        (option(repeatable=True, choices=("a", "b")), list[str] | None, None),
        (option(type=int, choices=("auto",)), str | None, None),
    ],
)
def test_an_option_has_its_type_and_passes_nothing_unless_it_is_given(field, kind, default):
    parameter = option_parameter(field)
    assert (get_args(parameter.annotation)[0], parameter.default) == (kind, default)


def test_flags_choices_defaults_and_folding():
    info = get_args(option_parameter(option(choices=("a", "b"), default="a", advanced=True)).annotation)[1]
    assert (info.default, info.metavar, info.show_default) == ("--rather-than", "a|b", "a")
    assert info.rich_help_panel == "More options"
    assert get_args(option_parameter(option(type=bool, default=True)).annotation)[1].default.endswith(
        "/--no-rather-than"
    )
    assert get_args(option_parameter(option()).annotation)[1].rich_help_panel is None


@pytest.mark.parametrize(
    ("task", "names"),
    [
        (CLASSIFY, ["text", "text_option", "text_file", "pair", "pair_file"]),
        (QA, ["question", "question_option", "context", "context_file"]),
        (find_task("vqa"), ["image", "question", "question_option"]),
        (find_task("generation"), ["prompt", "prompt_option", "prompt_file"]),
    ],
)
def test_the_first_text_is_the_argument_and_long_texts_come_from_files_too(task, names):
    parameters = [parameter for one in task.inputs for parameter in input_parameters(task, one)]
    assert [parameter.name for parameter in parameters] == names
    arguments = [one.name for one in parameters if isinstance(get_args(one.annotation)[1], typer.models.ArgumentInfo)]
    assert arguments == [task.main_input.name]


@pytest.mark.parametrize(
    ("task", "line"),
    [
        ("classify", 'xai-nlp explain classify "a gripping, beautifully acted film"'),
        ("qa", 'xai-nlp explain qa "Who wrote it?" --context "Ada Lovelace wrote it in 1843."'),
        ("vqa", 'xai-nlp explain vqa "what colour is the star?" --image scene.png'),
        ("mask", 'xai-nlp explain mask "The film was [MASK]." --model FOLDER'),
    ],
)
def test_examples(task, line):
    assert line in example_of("explain", find_task(task)).split("\n\n")


def test_columns():
    assert columns_of_options(QA, ["ask", "context=passage", "gold=right"]) == {
        "question": "ask", "context": "passage", "gold": "right",
    }  # fmt: skip
    assert columns_of_options(QA, None) == {}


def test_values_that_are_not_given_are_left_to_the_function():
    fields = [option(name=name, **more) for name, more in (
        ("target", {"repeatable": True, "choices": ("start", "end")}), ("answer", {}), ("layer", {"type": int}),
        ("layers", {"type": bool, "default": False}), ("steps", {"type": int, "choices": ("auto",)}),
    )]  # fmt: skip
    nothing = {"target": None, "answer": None, "layer": None, "layers": False, "steps": None}
    assert option_values(fields, nothing) == {"layers": False}
    assert option_values(fields, nothing | {"target": []}) == {"layers": False}
    one = {"target": ["start"], "answer": "", "layer": 0, "layers": True, "steps": "7"}
    assert option_values(fields, one) == {"target": ["start"], "answer": "", "layer": 0, "layers": True, "steps": 7}
    assert option_values(fields, nothing | {"target": ["start", "end"]})["target"] == ["start", "end"]
    with pytest.raises(UnknownName, match="Did you mean 'start'"):
        option_values(fields, nothing | {"target": ["strat"]})


def test_pairs():
    assert pairs(["a=b", "c=d=e", "f="], "NAME=COLUMN") == {"a": "b", "c": "d=e", "f": ""}
    assert pairs(None, "NAME=COLUMN") == {}
    with pytest.raises(typer.BadParameter, match="write --column NAME=COLUMN; got 'a'"):
        pairs(["a"], "--column NAME=COLUMN")


@pytest.mark.parametrize(
    ("items", "methods", "options"),
    [
        ([], ["occlusion"], {}),
        (["steps=12", "tolerance=1e-3", "multiply=false"], ["integrated_gradients"],
         {"steps": 12, "tolerance": 1e-3, "multiply": False}),
        (["steps=auto"], ["integrated_gradients"], {"steps": "auto"}),
        ([], ["shapley"], {"seed": 3}),
        (["seed=5"], ["shapley"], {"seed": 5}),
        ([], ["shapley", "lime"], {}),
        (["of=integrated_gradients", 'of_options={"steps": 4}'], ["smoothgrad"],
         {"of": "integrated_gradients", "of_options": {"steps": 4}, "seed": 3}),
    ],
)  # fmt: skip
def test_options_of_methods(items, methods, options):
    assert read_method_options(items, methods, 3) == options


@pytest.mark.parametrize(
    ("items", "method", "error", "message"),
    [
        ([], "shaply", UnknownName, "unknown method 'shaply'"),
        (["step=3"], "integrated_gradients", UnknownName, "Did you mean 'steps'.*`xai-nlp methods integ"),
        (["steps=some"], "integrated_gradients", InvalidInput, "steps is a whole number, or 'auto'; got 'some'"),
        (["multiply=1"], "integrated_gradients", InvalidInput, "multiply is true or false"),
        (["of_options={"], "smoothgrad", InvalidInput, "of_options is written as JSON"),
    ],
)  # fmt: skip
def test_wrong_options_of_methods(items, method, error, message):
    with pytest.raises(error, match=message):
        read_method_options(items, [method], 0)


def inputs(task, data=None, **values):
    every = {name: None for one in task.inputs for name in (one.name, f"{one.name}_file")}
    return inputs_of_arguments(task, every | values, data)


def test_several_arguments_are_a_list():
    assert inputs(CLASSIFY, text=["a"]) == {"text": "a"}
    assert inputs(CLASSIFY, text=["a", "b"], pair="c") == {"text": ["a", "b"], "pair": "c"}
    assert inputs(QA, question="q", context="c") == {"question": "q", "context": "c"}


def test_a_long_text_comes_from_a_file(tmp_path):
    (tmp_path / "a.txt").write_text("a context\n", encoding="utf-8")
    assert inputs(QA, question="q", context_file=tmp_path / "a.txt") == {"question": "q", "context": "a context\n"}


@pytest.mark.parametrize(
    ("task", "values", "message"),
    [
        (CLASSIFY, {}, "give TEXT, or --file"),
        (CLASSIFY, {"text": []}, "give TEXT, or --file"),
        (QA, {}, "give QUESTION and --context, or --file"),
        (QA, {"question": "q"}, "give --context, or --file"),
        (QA, {"question": "q", "context": "c", "context_file": Path("a")}, "--context or --context-file, not both"),
    ],
)
def test_missing_and_doubled_inputs_are_wrong_usage(task, values, message):
    with pytest.raises(typer.BadParameter, match=message):
        inputs(task, **values)


def test_inputs_stand_on_the_command_line_or_in_a_file_of_data(tmp_path):
    (tmp_path / "a.txt").write_text("a context")
    for task, values, flag in (
        (CLASSIFY, {"text": ["a"]}, "TEXT"),
        (QA, {"context_file": tmp_path / "a.txt"}, "--context"),
    ):
        with pytest.raises(typer.BadParameter, match=f"give {flag}, or --file, not both"):
            inputs(task, data=tmp_path, **values)
    assert inputs(QA, data=tmp_path) == {}


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a\xff")
    with pytest.raises(InvalidInput, match=r"a\.txt is not UTF-8 text: .* at byte 1"):
        read_text(tmp_path / "a.txt")
