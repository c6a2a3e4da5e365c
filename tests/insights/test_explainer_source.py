"""Explainers and their data: the form comes from the task table, and options reach the explainer."""

import pytest

from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.insights.explainer_source import ExplainerSource
from xai_nlp.tasks.table import find_task
from xai_nlp.web.forms import OMITTED

QUESTION = {"question": "Who wrote it?", "context": "Ada Lovelace wrote it."}


def test_the_form_has_every_option_of_the_task_and_of_each_method(sentiment):
    choices = ExplainerSource(sentiment, ["a fine film"]).choices()
    names = {one.name for one in find_task("classify").every_option} - {"method", "target", *OMITTED}
    assert {one["name"] for one in choices["options"]} == names
    assert [one["name"] for one in choices["methods"]["lime"]] == ["samples", "seed", "width", "alpha"]
    assert (choices["targets"], choices["judged"]) == (["predicted", "NEGATIVE", "POSITIVE"], False)


def test_options_of_task_and_method_reach_the_explainer(sentiment):
    source = ExplainerSource(sentiment, ["a fine film"])
    options = {"steps": 5, "rule": "trapezoid", "baseline": "mask", "unit": "probability"}
    (why,) = source.answer({"target": "NEGATIVE", "arguments": options})
    assert why == sentiment.explain("a fine film", target="NEGATIVE", **options)


def test_targets_of_an_answer():
    source = ExplainerSource("qa", [QUESTION])
    assert source.choices()["targets"] == ["span", "start", "end"]
    assert [why.target.kind for why in source.fetch()] == ["span"]
    assert [why.target.kind for why in source.answer({"target": "end"})] == ["end"]
    assert [why.target.label for why in source.answer({"arguments": {"answer": "Ada"}})] == ["Ada"]


def test_images(tmp_path):
    from xai_nlp.data.scenes import scenes

    one = next(scenes(1, seed=12, types=["colour"]))
    one.scene.image().save(tmp_path / "scene.png")
    row = {"image": str(tmp_path / "scene.png"), "question": one.question.text, "answer": "yellow"}
    source = ExplainerSource("vqa", [row])
    (why,) = source.answer({"target": "red", "arguments": {"regions": "grid:2", "moves": "image"}})
    assert (why.target.label, len(why.image.boxes), why.correct) == ("red", 4, True)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"stesp": 4}, UnknownName, "Did you mean 'steps'"),
        ({"steps": "many"}, InvalidInput, "steps is a whole number"),
        ({"unit": "logits"}, UnknownName, "Did you mean 'logit'"),
    ],
)
def test_options_that_cannot_be(sentiment, arguments, error, message):
    with pytest.raises(error, match=message):
        ExplainerSource(sentiment, ["a fine film"]).answer({"arguments": arguments})


def test_flows_are_a_switch_of_the_form(sentiment):
    (why,) = ExplainerSource(sentiment, ["a fine film"]).answer({"arguments": {"layers": True}})
    assert why.layers is not None
