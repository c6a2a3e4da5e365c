"""The request that made an explanation: asked again, it leads to the same target."""

from dataclasses import replace

import pytest

import xai_nlp
from tests.models.tiny_generation import writing
from xai_nlp.errors import InvalidInput

TEXT = "Not a bad film, but too long and rather dull in its second half"


@pytest.fixture(scope="module")
def sentiment():
    return xai_nlp.load("sentiment")


def test_a_verdict_asked_afterwards_is_the_same(sentiment):
    for options in ({}, {"target": "NEGATIVE-POSITIVE"}, {"method": "shapley", "samples": 5, "unit": "probability"}):
        asked = sentiment.explain(TEXT, trust=True, **options)
        assert sentiment.trust(replace(asked, trust=None)) == asked.trust
    qa = xai_nlp.load("qa")
    question, context = "Who wrote it?", "Mary Shelley wrote it in 1818, and Bram Stoker did not."
    for options in ({}, {"target": "end"}, {"answer": "Bram Stoker"}):
        asked = qa.explain(question, context, trust=True, **options)
        assert qa.trust(replace(asked, trust=None)) == asked.trust


def test_an_explanation_of_another_model_or_text_is_refused(sentiment):
    why = sentiment.explain(TEXT)
    other = replace(why, segments=("a fine film, and a joy",), offsets=((0, 0),) * len(why.tokens))
    with pytest.raises(InvalidInput, match="another model"):
        sentiment.trust(other)
    with pytest.raises(InvalidInput, match="no method"):
        sentiment.trust(replace(why, method="tea_leaves"))


def test_an_image_is_given_again():
    vqa = xai_nlp.load("vqa")
    picture, question = "tutorials/data/scene.png", "what colour is the star?"
    why = vqa.explain(picture, question)
    with pytest.raises(InvalidInput, match="image is missing"):
        vqa.trust(why)
    assert vqa.trust(why, image=picture) == vqa.explain(picture, question, trust=True).trust


def test_of_several_tokens_the_explained_one_is_asked_again():
    explainer = xai_nlp.load(*writing("gpt2"))
    asked = explainer.explain("the film was long and dull", target="words", longest=3, trust=True)
    assert len({why.trust["effect"].numbers["largest change"] for why in asked}) == len(asked) > 1
    for why in asked:
        again = explainer.trust(replace(why, trust=None))
        for check, other in zip(why.trust.checks, again.checks, strict=True):
            assert (check.name, check.sentence) == (other.name, other.sentence)
            assert check.numbers == pytest.approx(other.numbers, abs=1e-4)
