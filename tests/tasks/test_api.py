"""`load` and `explain`: the task goes by the inputs, and every option is named in the signature."""

import inspect
import sys
import typing
from dataclasses import fields

import pytest

import xai_nlp
from tests.models.tiny import tiny
from tests.models.tiny_generation import writing
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.methods import METHODS
from xai_nlp.tasks import api
from xai_nlp.tasks.options import OPTION_NAMES
from xai_nlp.tasks.question_answering import QuestionAnsweringExplainer
from xai_nlp.tasks.table import TASKS
from xai_nlp.tasks.task import COMMON_OPTIONS


def test_the_front_door_tells_text_from_question():
    with pytest.raises(InvalidInput, match=r"one task: explain\(text=…\), explain\(question=…, context=…\)"):
        xai_nlp.explain()
    with pytest.raises(InvalidInput, match="got question"):
        xai_nlp.explain(question="who?")
    with pytest.raises(InvalidInput, match=r"does text classification: explain\(text=…, model=…\); got question and"):
        xai_nlp.explain(question="who?", context="Ada", model=xai_nlp.load("sentiment"))
    with pytest.raises(InvalidInput, match="does not do question answering"):
        xai_nlp.explain("who?", model=xai_nlp.load("sentiment"), task="question-answering")


# Signatures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_explain_names_every_input_and_every_option_of_every_task(task):
    parameters = inspect.signature(xai_nlp.explain).parameters
    names = {one.name for one in (*task.inputs, *task.every_option)} | set(task.explainer_class().python_options)
    assert names <= set(parameters)
    assert names <= set(api._Keywords.__annotations__) | set(api.ExplainKeywords.__annotations__) | {"text"}


def test_explain_names_every_common_option_with_its_default():
    parameters = inspect.signature(xai_nlp.explain).parameters
    assert {*OPTION_NAMES, "model"} <= set(parameters)
    for option in COMMON_OPTIONS:
        assert parameters[option.name].default == option.default
    assert all(one.kind in (one.KEYWORD_ONLY, one.VAR_KEYWORD) for name, one in parameters.items() if name != "text")


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_each_explainer_names_its_inputs_and_its_own_options(task):
    cls = task.explainer_class()
    parameters = inspect.signature(cls.explain).parameters
    assert list(parameters)[1 : 1 + len(task.inputs)] == [one.name for one in task.inputs]
    assert {one.name for one in task.options} | set(cls.python_options) <= set(parameters)
    for option in task.options:
        assert parameters[option.name].default == option.default
    (others,) = [one for one in parameters.values() if one.kind is one.VAR_KEYWORD]
    assert "ExplainKeywords" in str(others.annotation)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="overloads cannot be read before Python 3.11")
def test_a_text_gives_an_explanation_and_a_list_gives_explanations():
    """The overloads say so, and so it is."""
    returns = [typing.get_type_hints(one, vars(api))["return"] for one in typing.get_overloads(api.explain)]
    assert returns[:2] == [Explanation, Explanations]
    options = {"model": xai_nlp.load(*tiny("bert")), "method": "saliency"}
    assert isinstance(xai_nlp.explain("a film", **options), Explanation)
    assert isinstance(xai_nlp.explain(["a film"], **options), Explanations)
    assert isinstance(xai_nlp.explain("a film", **{**options, "method": ["saliency"]}), Explanations)


@pytest.mark.parametrize(
    ("typo", "near"),
    [("bsaeline", "baseline"), ("mehtod", "method"), ("stesp", "steps"), ("layr", "layer"), ("targte", "target")],
)
def test_a_typo_gets_its_near_miss(typo, near):
    with pytest.raises(UnknownName, match=f"unknown option '{typo}'.*Did you mean '{near}'"):
        xai_nlp.explain("a film", model=xai_nlp.load(*tiny("bert")), **{typo: 1})


def test_options_of_methods_reach_the_method():
    explainer = xai_nlp.load(*tiny("bert"))
    for name, cls in METHODS.items():
        for one in fields(cls):
            if one.name in ("steps", "samples", "seed"):
                why = xai_nlp.explain("a film", model=explainer, method=name, **{one.name: 7})
                assert why.params[one.name] == 7


# Models --------------------------------------------------------------------------------------------------------------


def test_a_model_is_loaded_by_its_task_name_or_command():
    model, tokenizer = tiny("bert", task="question-answering")
    for task in (None, "question-answering", "qa"):
        assert isinstance(xai_nlp.load(model, tokenizer, task=task), QuestionAnsweringExplainer)
    with pytest.raises(UnknownName, match="unknown task 'qaa'"):
        xai_nlp.load(model, tokenizer, task="qaa")


def test_embedded_models_are_loaded_once(monkeypatch):
    sources = []
    load = api.load
    monkeypatch.setattr(api, "_embedded", {})
    monkeypatch.setattr(api, "load", lambda source, **options: sources.append(source) or load(source, **options))
    for _ in range(2):
        xai_nlp.explain("a film", method="saliency")
        xai_nlp.explain("a film", method="saliency", model="sentiment")
    assert sources == ["sentiment"]


def test_a_prompt_needs_a_model():
    with pytest.raises(InvalidInput, match=r"no embedded model does text generation.*explain\(prompt=…, model=…\)"):
        xai_nlp.explain(prompt="The plot")
    why = xai_nlp.explain(prompt="The plot", answer=" great", model=xai_nlp.load(*writing("gpt2")), method="saliency")
    assert why.task == "text-generation"


def test_what_is_not_given_is_left_to_the_task(monkeypatch):
    """`explain` hands on what was given, so that each task has its own defaults."""
    explainer, calls = xai_nlp.load(*tiny("bert")), []
    monkeypatch.setattr(explainer, "explain", lambda **keywords: calls.append(keywords))
    xai_nlp.explain("a film", model=explainer)
    xai_nlp.explain("a film", pair="b", model=explainer, batch_size=3, layers=True, long="error", steps=9)
    assert calls[0] == {"text": "a film", "method": "integrated_gradients"}
    assert calls[1] == {
        "text": "a film", "pair": "b", "method": "integrated_gradients", "batch_size": 3, "layers": True,
        "long": "error", "steps": 9,
    }  # fmt: skip
