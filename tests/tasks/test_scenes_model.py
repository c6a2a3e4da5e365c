"""The embedded model of scenes: what its card says, and that its explanations point at what the answer depends on."""

import numpy as np
import pytest

import xai_nlp
from tests.bench.pointing import chance, points_at, single
from tests.recipes.train_vqa import HELD_OUT, measured
from xai_nlp.data.scenes import TYPES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def explainer():
    return xai_nlp.load("vqa")


def test_the_cards_accuracy_on_a_part(explainer):
    """700 fresh scenes; the card has 5,000."""
    result = measured(explainer.model, explainer.tokenizer, 700, seed=HELD_OUT + 7)
    assert result["overall"] >= 95
    assert all(result[name] >= 80 for name in TYPES)
    assert not any(p.requires_grad and p.grad is not None for p in explainer.model.parameters())


def test_explanations_point_at_the_object(explainer):
    examples = single(explainer, 30)
    images, questions = [e.scene.image() for e in examples], [e.question.text for e in examples]
    hits = {}
    for method in ("integrated_gradients", "attention_relevance", "random"):
        whys = explainer.explain(images, questions, method=method)
        hits[method] = np.mean(list(map(points_at, whys, examples)))
    guess = np.mean(list(map(chance, whys, examples)))
    assert hits["integrated_gradients"] >= 3 * guess
    assert hits["attention_relevance"] >= 0.75  # 0.8 and more on 500: `python -m tests.bench pointing`
    assert hits["random"] < 3 * guess


def test_one_line_explains_a_scene():
    example = single(xai_nlp.load("vqa"), 1)[0]
    why = xai_nlp.explain(image=example.scene.image(), question=example.question.text)
    assert why.prediction == example.question.answer
    assert abs(why.residual) <= 0.0101 * abs(why.explained)
    assert why.image.grid == (8, 8)
