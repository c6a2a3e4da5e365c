"""The embedded models of scenes: what their cards say, and that explanations point at what the output depends on."""

import numpy as np
import pytest

import xai_nlp
from tests.bench.pointing import chance, labelled, points_at, single
from tests.recipes import train_image
from tests.recipes.train_vqa import HELD_OUT, measured
from xai_nlp.data.scenes import TYPES, labelled_scenes

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


# Images alone --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def classifier():
    return xai_nlp.load("image")


def test_the_classifiers_accuracy_on_a_part(classifier):
    """300 fresh scenes; the card has 3,000."""
    images, labels = train_image.drawn(300, seed=train_image.HELD_OUT + 7)
    assert train_image.accuracy(classifier.model, images, labels) >= 98
    example = next(labelled_scenes(1, seed=1))
    pixels = classifier.family.image_inputs(example.scene.image())["pixel_values"]
    np.testing.assert_allclose(pixels, train_image.pixels(train_image.drawn(1, seed=1)[0]), atol=1e-6)


def test_explanations_point_at_the_largest_shape(classifier):
    examples = labelled(classifier, 30)
    images = [example.scene.image() for example in examples]
    hits = {}
    for method in ("deep_lift", "grad_cam", "saliency", "random"):
        whys = classifier.explain(images, method=method)
        hits[method] = np.mean(list(map(points_at, whys, examples)))
    guess = np.mean(list(map(chance, whys, examples)))
    assert min(hits[name] for name in ("deep_lift", "grad_cam", "saliency")) >= 5 * guess
    assert hits["random"] < 3 * guess


def test_one_line_explains_a_picture():
    example = next(labelled_scenes(1, seed=train_image.HELD_OUT + 1))
    why = xai_nlp.explain(image=example.scene.image())
    assert (why.task, why.prediction, why.model) == ("image-classification", example.label, "zoo/image")
    assert abs(why.residual) <= 0.0101 * abs(why.explained)
    assert why.image.grid == (12, 12)
