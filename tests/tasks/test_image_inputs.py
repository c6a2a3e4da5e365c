"""The images of a batch: regions, and scores by region."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.tiny_vision_language import FAMILIES, GIVEN_FEATURES
from tests.tasks.test_visual_question_answering import QUESTION, explainer_of, given
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.models.images import Regions
from xai_nlp.models.vision_language import SequencePositions
from xai_nlp.tasks.image_inputs import ImageBatch, ImageInput


@pytest.mark.parametrize("family", FAMILIES)
def test_regions_lie_over_the_whole_image(family, image):
    why = explainer_of(family).explain(image, QUESTION, method="occlusion", **given(family))
    regions = why.image
    assert regions.size == (64, 48)
    covered = np.zeros((48, 64))
    for left, top, right, bottom in regions.boxes:
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
    text, regions = (explainer.explain(image, QUESTION, moves=moves) for moves in ("text", "image"))
    assert text.shares["text"] == 1.0 and regions.shares["image"] == 1.0
    assert abs(text.residual) <= 0.0101 * max(abs(text.explained), 0.05)


# By hand -------------------------------------------------------------------------------------------------------------


def two_by_two(*, regions=2, positions=None, batch=2):
    """An image of four pixels in one channel, each a patch; the upper row is region 0, the lower is region 1."""
    ids = torch.tensor([[[[0, 0], [1, 1]]]]) if regions == 2 else torch.tensor([[[[0, -1], [-1, -1]]]])
    picture = Image.new("RGB", (2, 2))
    image = ImageInput(
        image=picture,
        inputs={"pixels": torch.arange(4.0).view(1, 1, 2, 2)},
        argument="pixels",
        baseline=torch.full((1, 1, 2, 2), 9.0),
        regions=Regions(ids, tuple((0.0, float(r), 2.0, r + 1.0) for r in range(regions)), ids.flatten()),
    )
    return image, ImageBatch.of([image] * batch, torch.device("cpu"), positions)


def test_scores_of_pixels_add_up_by_region():
    _, images = two_by_two()
    scores = torch.tensor([[[[[1.0, -2.0], [3.0, 4.0]]]], [[[[5.0, 6.0], [7.0, -8.0]]]]])  # (B, T, C, H, W)
    assert images.by_region(scores, "sum").tolist() == [[[-1, 7]], [[11, -1]]]
    assert images.by_region(scores, "l1").tolist() == [[[3, 7]], [[11, 15]]]
    torch.testing.assert_close(images.by_region(scores, "l2")[0, 0], torch.tensor([5.0**0.5, 5.0]))
    with pytest.raises(InvalidInput, match="cannot be reduced by 'max'"):
        images.by_region(scores, "max")


def test_entries_that_share_one_score_have_that_score():
    """As a perturbation gives it: one number a pixel, the same over the channels."""
    image, _ = two_by_two()
    wide = replace(image, inputs={"pixels": torch.zeros(1, 3, 2, 2)}, baseline=torch.zeros(1, 3, 2, 2))
    images = ImageBatch.of([wide], torch.device("cpu"))
    assert images.by_region(torch.tensor([[[[[2.0, 2.0], [5.0, 5.0]]]]]), "sum").tolist() == [[[2, 5]]]


def test_pixels_of_no_region_count_for_none():
    _, images = two_by_two(regions=1)
    assert images.by_region(torch.ones(2, 1, 1, 2, 2), "sum").tolist() == [[[1]], [[1]]]
    assert images.features(7).flatten().tolist() == [7, -1, -1, -1] * 2


def test_a_joint_sequence_is_split_into_words_and_regions():
    """Two words, one position of the whole image, four patches; the whole counts for every patch alike."""
    positions = SequencePositions(torch.tensor([0, 1]), torch.arange(3, 7), torch.arange(4)[:, None], (2,))
    _, images = two_by_two(positions=positions)
    along = torch.tensor([1.0, 2.0, 8.0, 10.0, 20.0, 30.0, 40.0]).expand(2, 1, 7)
    words, regions = images.split(along)
    assert words[0, 0].tolist() == [1, 2]
    assert regions[0, 0].tolist() == [10 + 20 + 4, 30 + 40 + 4]
    assert float(words[0].sum() + regions[0].sum()) == float(along[0].sum())
    _, apart = two_by_two()
    with pytest.raises(InvalidInput, match="in no one sequence"):
        apart.split(along)


def test_a_position_that_holds_several_patches_shares_its_score_equally():
    _, images = two_by_two()
    patches = torch.tensor([[0, 2], [1, 3]])  # columns: each holds a patch of either row
    assert images.by_patch(torch.tensor([[[6.0, 4.0]]] * 2), patches)[0, 0].tolist() == [5, 5]
    one = images.by_patch(torch.tensor([[[6.0, 4.0]]] * 3), patches, example=1)
    assert one.shape == (3, 1, 2)
    alone = images.alone(5)
    assert (alone.words.tolist(), alone.patches.tolist(), alone.image_positions) == ([], [1, 2, 3, 4], (0,))


@pytest.mark.parametrize("patches", [None, 4])
def test_scores_of_places_keep_their_sum_or_are_interpolated(patches):
    """Four places over four pixels; a position before them stands for the whole image, and is left out of a map."""
    image, _ = two_by_two()
    images = ImageBatch.of([image], torch.device("cpu"), patches=patches)
    whole = [] if patches is None else [8.0]
    along = torch.tensor([[[*whole, 1.0, 2.0, 3.0, 4.0]]])
    rest = sum(whole) / 2  # of each half of the image
    assert images.of_places(along, shared=True).tolist() == [[[3 + rest, 7 + rest]]]
    assert images.of_places(along, shared=False).tolist() == [[[1.5, 3.5]]]
    coarse = ImageBatch.of([image], torch.device("cpu"))
    assert coarse.of_places(torch.tensor([[[6.0]]]), shared=True).tolist() == [[[3, 3]]]
    with pytest.raises(Unsupported, match="3 positions of a layer are no map"):
        coarse.of_places(torch.ones(1, 1, 3), shared=True)


def test_what_does_not_move():
    image, _ = two_by_two()
    text = image.moving("text")
    assert torch.equal(text.baseline, image.inputs["pixels"]) and (text.regions.ids == -1).all() and text.words_move
    assert not image.moving("image").words_move and torch.equal(image.moving("image").baseline, image.baseline)
    assert image.moving("both").words_move


def test_arguments_of_rows_hold_the_moved_image_or_the_batchs_own():
    image, _ = two_by_two()
    batch = ImageBatch.of(
        [
            replace(image, inputs={"pixels": torch.full((1, 1, 2, 2), float(e)), "mask": torch.tensor([[e]])})
            for e in range(3)
        ],
        torch.device("cpu"),
    )
    owner = torch.tensor([2, 0])
    own = batch.arguments({}, owner)
    assert own["pixels"][:, 0, 0, 0].tolist() == [2, 0] and own["mask"].tolist() == [[2], [0]]
    moved = batch.arguments({"image": torch.full((2, 1, 2, 2), 7.0)}, owner)
    assert (moved["pixels"] == 7).all() and moved["mask"].tolist() == [[2], [0]]


def test_an_attribution_of_the_image():
    image, _ = two_by_two()
    attribution = image.attribution([0.5, -1.0])
    assert attribution.scores == (0.5, -1.0) and attribution.size == (2, 2) and len(attribution.boxes) == 2
    assert Image.open(io.BytesIO(attribution.data)).size == (2, 2)
