"""Features: what is shown of an input and of its scores, and the parts of an explanation that they become."""

import pytest
import torch

from tests.insights.networks import Weighed
from xai_nlp.errors import InvalidInput
from xai_nlp.insights import (
    AttributionVisualizer,
    BaseFeature,
    Batch,
    EmptyFeature,
    GeneralFeature,
    ImageFeature,
    TextFeature,
)
from xai_nlp.insights.features import all_have_parts, explanation_parts, image_scores, text_scores


def test_features_of_ones_own_have_to_say_what_they_are():
    own = BaseFeature("x", None, None, None)
    with pytest.raises(NotImplementedError):
        own.visualization_type()
    with pytest.raises(NotImplementedError):
        own.visualize(torch.ones(1), torch.ones(1), 0.5)


def test_kinds():
    kinds = [kind.visualization_type() for kind in (ImageFeature, TextFeature, GeneralFeature, EmptyFeature)]
    assert kinds == ["image", "text", "general", "empty"]


@pytest.mark.parametrize("size", [1, 3])
def test_images_of_bytes_of_shares_and_normalised(size):
    feature = ImageFeature("Photo", None, None)
    for pixels in (torch.tensor([0.0, 255.0]), torch.tensor([0.0, 1.0]), torch.tensor([-2.0, 2.0])):
        image = feature.image(pixels.view(1, 1, 1, 2).expand(1, size, 1, 2))
        assert [image.getpixel((x, 0)) for x in (0, 1)] == [(0, 0, 0), (255, 255, 255)]


def test_scores_are_added_up_over_channels_and_embeddings():
    assert image_scores(torch.ones(1, 3, 2, 2)).tolist() == [[3.0, 3.0], [3.0, 3.0]]
    assert text_scores(torch.tensor([[[1.0, 2.0], [3.0, -1.0]]])) == [3.0, 2.0]
    assert text_scores(torch.tensor([[1.0, 2.0]])) == [1.0, 2.0]


def test_numbers_are_scaled_to_a_square_sum():
    output = GeneralFeature("x", ["p", "q"]).visualize(torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 2.0]]), 0.5)
    assert output.modified == pytest.approx([60.0, 80.0])
    assert output.base == ["p: 1.00", "q: 2.00"]


def test_large_images_are_shown_in_regions_whose_scores_add_up():
    feature = ImageFeature("Photo", None, None)
    model = Weighed(torch.linspace(-1, 1, 3 * 40 * 50).reshape(1, -1).repeat(2, 1).tolist())
    data = [Batch(torch.rand(1, 3, 40, 50), torch.tensor([0]))]
    [why] = AttributionVisualizer(model, ["a", "b"], feature, data).fetch()
    assert why.image.grid == (16, 16)
    assert why.residual == pytest.approx(0, abs=1e-3)  # of 6,000 pixels in float32
    left, top, right, bottom = zip(*why.image.boxes, strict=True)
    assert (min(left), min(top), max(right), max(bottom)) == (0, 0, *why.image.size)


def test_texts_and_numbers_are_segments():
    features = [TextFeature("said", None, None, lambda x: "a film"), GeneralFeature("numbers", ["p", "q"])]
    scores = [torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])]
    parts, names = explanation_parts(features, scores, [torch.tensor([[0, 1]]), torch.tensor([[5.0, 6.0]])])
    assert parts["segments"] == ("a film", "p: 5.00 · q: 6.00")
    assert parts["offsets"] == ((0, 1), (2, 6), (0, 7), (10, 17))
    assert (parts["segment"], parts["scores"]) == ((0, 0, 1, 1), (1.0, 2.0, 3.0, 4.0))
    assert (names, parts["image"]) == (["said", "numbers"], None)
    with pytest.raises(InvalidInput, match="2 words and 3 scores"):
        explanation_parts(features[:1], [torch.ones(1, 3)], [torch.tensor([[0, 1, 2]])])


def test_empty_features_and_second_images_have_no_part():
    image, empty = ImageFeature("Photo", None, None), EmptyFeature()
    assert all_have_parts([image])
    assert not all_have_parts([image, empty])
    assert not all_have_parts([image, image])
