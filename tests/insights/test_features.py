"""Features: what is shown of an input, and of its scores."""

import pytest
import torch

from xai_nlp.insights import BaseFeature, EmptyFeature, GeneralFeature, ImageFeature, TextFeature
from xai_nlp.insights.features import image_scores, text_scores


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
