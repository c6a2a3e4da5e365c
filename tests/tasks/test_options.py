"""The options of a call: checked before the model runs."""

from dataclasses import fields

import pytest

from xai_nlp.core.batching import Batching
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.methods import METHODS, find_method
from xai_nlp.tasks.options import OPTION_NAMES, ExplainKeywords, ExplainOptions, Request, examples_of
from xai_nlp.tasks.table import find_task
from xai_nlp.tasks.task import COMMON_OPTIONS


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"method": "integrated_gradient"}, UnknownName, "Did you mean 'integrated_gradients'"),
        ({"target": "POSITVE"}, UnknownName, "Did you mean 'POSITIVE'"),
        ({"target": 2}, UnknownName, "label index"),
        ({"target": "POSITIVE-POSITIVE"}, InvalidInput, "itself"),
        ({"baseline": "padd"}, UnknownName, "Did you mean 'pad'"),
        ({"layer": 7}, UnknownName, "layer 7"),
        ({"unit": "logits"}, UnknownName, "Did you mean 'logit'"),
        ({"step": 3}, UnknownName, "Did you mean 'steps'"),
        ({"steps": 0}, InvalidInput, "steps"),
        ({"steps": "Auto"}, InvalidInput, "steps"),
        ({"rule": "simpson", "steps": 4}, UnknownName, "quadrature rule"),
        ({"tolerance": -1}, InvalidInput, "tolerance"),
        ({"batch_size": 0}, InvalidInput, "batch_size"),
        ({"long": "cut"}, UnknownName, "windows"),
    ],
)
def test_mistakes_are_refused_before_the_model_runs(sentiment, options, error, said):
    before = fingerprint(sentiment.model)
    with pytest.raises(error, match=said):
        sentiment.explain("a film", **options)
    assert fingerprint(sentiment.model) == before


# Requests ------------------------------------------------------------------------------------------------------------

TEXT, QA, VQA = (find_task(name) for name in ("classify", "qa", "vqa"))


@pytest.mark.parametrize("empty", [[], ()])
def test_no_method_at_all_is_refused(sentiment, empty):
    with pytest.raises(InvalidInput, match="names no method"):
        sentiment.explain("a film", method=empty)
    with pytest.raises(InvalidInput, match="names no method"):
        ExplainOptions(method=empty)


def test_a_request_sorts_its_keywords():
    request = Request.of(
        QA, {"question": "who?", "context": "Ada"}, {"target": "start", "steps": 9, "batch_size": 3, "longest": 4}
    )
    assert request.single and request.examples == [{"question": "who?", "context": "Ada"}]
    assert request.own == {"target": "start", "longest": 4}
    assert request.options.batching == Batching(limit=3)
    assert request.methods == (find_method("integrated_gradients", {"steps": 9}),)
    several = Request.of(TEXT, {"text": "a"}, {"method": ["saliency", "occlusion"]})
    assert [method.name for method in several.methods] == several.options.methods == ["saliency", "occlusion"]


def test_options_of_a_method_need_a_call_of_its_own():
    with pytest.raises(InvalidInput, match="a call of its own"):
        Request.of(TEXT, {"text": "a"}, {"method": ["integrated_gradients", "occlusion"], "steps": 9})
    with pytest.raises(UnknownName, match="unknown option 'steps'"):
        Request.of(TEXT, {"text": "a"}, {"method": "saliency", "steps": 9})
    with pytest.raises(UnknownName, match="unknown option 'unanswerable'"):
        Request.of(TEXT, {"text": "a"}, {"unanswerable": True})
    assert Request.of(VQA, {"image": "i", "question": "q"}, {"boxes": 1}, ("boxes",)).own == {"boxes": 1}


@pytest.mark.parametrize("method", sorted(METHODS))
def test_places_are_refused_by_what_a_method_declares(method):
    ask = lambda **options: Request.of(TEXT, {"text": "a"}, {"method": method, **options})  # noqa: E731
    for extra in ({"layers": True}, {"attention": True}, {"parts": True}):
        with pytest.raises(InvalidInput, match="layer=…"):
            ask(layer=1, **extra)
    if METHODS[method].operates_on == "attention":
        with pytest.raises(InvalidInput, match="layer=…"):
            ask(layer=1)
    else:
        assert ask(layer=1).options.layer == 1
    if METHODS[method].operates_on != "inputs":
        with pytest.raises(InvalidInput, match="parts=True"):
            ask(parts=True)
    else:
        assert ask(parts=True).options.parts


@pytest.mark.parametrize(
    ("task", "inputs", "examples", "single"),
    [
        (TEXT, {"text": "a"}, [{"text": "a"}], True),
        (TEXT, {"text": ("a", "b")}, [{"text": ("a", "b")}], True),  # a pair is one example
        (TEXT, {"text": ["a", "b"]}, [{"text": "a"}, {"text": "b"}], False),
        (TEXT, {"text": ["a"], "pair": None}, [{"text": "a"}], False),
        (
            QA,
            {"question": ["a", "b"], "context": "c"},
            [{"question": "a", "context": "c"}, {"question": "b", "context": "c"}],
            False,
        ),
        (
            QA,
            {"question": "a", "context": ["b", "c"]},
            [{"question": "a", "context": "b"}, {"question": "a", "context": "c"}],
            False,
        ),
        (
            VQA,
            {"image": ("i", "j"), "question": "q"},
            [{"image": "i", "question": "q"}, {"image": "j", "question": "q"}],
            False,
        ),
        (
            VQA,
            {"image": "i", "question": ["q", "r"]},
            [{"image": "i", "question": "q"}, {"image": "i", "question": "r"}],
            False,
        ),
    ],
)
def test_one_value_serves_every_example(task, inputs, examples, single):
    assert examples_of(task, inputs) == (examples, single)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"question": "a"}, "context is missing: question answering needs question and context"),
        ({"question": [], "context": "a"}, "the list of question is empty"),
        ({"question": ["a", "b"], "context": ["a"]}, "got 2 of question and 1 of context"),
    ],
)
def test_inputs_that_do_not_make_examples(inputs, said):
    with pytest.raises(InvalidInput, match=said):
        examples_of(QA, inputs)


def test_the_keywords_for_editors_are_the_options_and_those_of_every_method():
    """A new option, or a new field of a method, has to be named there."""
    own = {one.name for one in fields(ExplainOptions)}
    of_methods = {one.name for cls in METHODS.values() for one in fields(cls)}
    assert set(ExplainKeywords.__annotations__) == own | of_methods | {"column"}
    assert set(OPTION_NAMES) == own
    assert {one.name for one in COMMON_OPTIONS} <= own
