"""The images of a batch: regions, and scores by region."""

import numpy as np
import pytest
import torch

from tests.models.tiny_vision_language import FAMILIES, GIVEN_FEATURES
from tests.tasks.test_visual_question_answering import QUESTION, explainer_of, given


@pytest.mark.parametrize("family", FAMILIES)
def test_regions_lie_over_the_whole_image(family, image):
    why = explainer_of(family).explain(image, QUESTION, method="occlusion", **given(family))
    picture = why.image
    assert picture.size == (64, 48)
    covered = np.zeros((48, 64))
    for left, top, right, bottom in picture.boxes:
        assert 0 <= left < right <= 64.01 and 0 <= top < bottom <= 48.01
        covered[round(top) : round(bottom), round(left) : round(right)] += 1
    if family not in (*GIVEN_FEATURES, "llava"):  # LLaVA's processor cuts the sides off
        assert covered.min() >= 1 and covered.mean() < 1.1
    if family == "llava":
        assert (covered[:, :8] == 0).all() and (covered[:, 10:54] >= 1).all()


@pytest.mark.parametrize(("regions", "count"), [("auto", 20), ("patches", 20), (4, 12), ("grid:2", 4)])
def test_kinds_of_regions(regions, count, image):
    why = explainer_of("vilt").explain(image, QUESTION, regions=regions)
    assert len(why.image.boxes) == count


def test_a_segmentation_adds_up_what_patches_do(image):
    """Pixels of a quarter of the image, however they are named, have the sum of its patches' scores."""
    quarters = np.repeat(np.repeat([[7, 3], [9, 5]], 24, 0), 32, 1)
    explainer = explainer_of("vilt", torch.float64)
    why = explainer.explain(image, QUESTION, regions=quarters, method="input_x_gradient")
    grid = explainer.explain(image, QUESTION, regions=2, method="input_x_gradient")
    assert why.image.shapes is not None and sorted(why.image.scores) == pytest.approx(sorted(grid.image.scores))


def test_one_side_alone(image):
    explainer = explainer_of("vilt")
    text, picture = (explainer.explain(image, QUESTION, moves=moves) for moves in ("text", "image"))
    assert text.shares["text"] == 1.0 and picture.shares["image"] == 1.0
    assert abs(text.residual) <= 0.0101 * max(abs(text.explained), 0.05)
