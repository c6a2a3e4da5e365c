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


def test_a_class_rather_than_another(sentiment):
    source = ExplainerSource(sentiment, ["a fine film", "a dull mess"])
    assert source.choices()["contrasts"] == ["NEGATIVE", "POSITIVE"]
    fine, dull = source.answer({"rather_than": "NEGATIVE"})
    assert fine == sentiment.explain("a fine film", target="POSITIVE-NEGATIVE")
    assert dull == sentiment.explain("a dull mess", target="NEGATIVE"), "not compared with itself"
    assert source.answer({"target": "NEGATIVE", "rather_than": "POSITIVE"})[0].target.contrast == "POSITIVE"
    assert ExplainerSource("qa", [QUESTION]).choices()["contrasts"] == []


def test_several_methods_side_by_side(sentiment):
    source = ExplainerSource(sentiment, ["a fine film"])
    items = source.answer(
        {"method": "shapley", "beside": ["saliency", "shapley"], "arguments": {"seed": 0, "samples": 3}}
    )
    assert [why.method for why in items] == ["shapley", "saliency"]
    assert items[0] == sentiment.explain("a fine film", method="shapley", samples=3, seed=0)
    assert source.settings.to_dict()["beside"] == ["saliency", "shapley"]


def test_an_example_of_the_readers_own_comes_first_and_is_no_part_of_the_data(sentiment):
    source = ExplainerSource(sentiment, ["a fine film", "a dull mess"], examples=2)
    source.fetch()
    own = source.answer({"own": {"text": "a splendid evening", "pair": ""}})
    assert [why.segments for why in own] == [("a splendid evening",), ("a fine film",)]
    with pytest.raises(InvalidInput, match="text is empty"):
        source.answer({"own": {"text": ""}})
    assert [why.segments for why in source.again()] == [("a splendid evening",), ("a fine film",)]
    assert [why.segments for why in source.fetch()] == [("a fine film",), ("a dull mess",)]


def test_a_question_of_ones_own_is_about_the_image_that_is_shown(tmp_path):
    from xai_nlp.data.scenes import scenes

    one = next(scenes(1, seed=12, types=["colour"]))
    one.scene.image().save(tmp_path / "scene.png")
    source = ExplainerSource("vqa", [{"image": str(tmp_path / "scene.png"), "question": one.question.text}])
    assert [field["name"] for field in source.choices()["inputs"]] == ["question"]
    source.fetch()
    own, _ = source.answer({"own": {"question": "how many shapes are there ?"}, "examples": 2})
    assert own.segments == ("how many shapes are there ?",) and own.image is not None
