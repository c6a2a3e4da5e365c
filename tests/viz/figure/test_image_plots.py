"""Images as figures: regions where they are, pixels with their region's score, files that repeat."""

from functools import partial

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from tests.viz.images import asked, boxed, photographed, segmented, small, written
from tests.viz.samples import made
from xai_nlp.core.arrays import Array
from xai_nlp.core.image import ImageAttribution
from xai_nlp.errors import InvalidInput, UnknownName, UnreadableFile
from xai_nlp.viz.figure.canvas import save_figure
from xai_nlp.viz.figure.image_plots import decoded, draw_image, image_figure, region_map
from xai_nlp.viz.figure.image_views import VIEWS
from xai_nlp.viz.figure.plots import save_tokens, tokens_figure
from xai_nlp.viz.text.scale import LIGHT, hexadecimal

KINDS = {"grid": asked, "boxes": boxed, "shapes": segmented}


def test_pixels_have_the_score_of_their_region():
    picture = small((1.0, 2.0, 3.0, 4.0)).image
    np.testing.assert_array_equal(
        region_map(picture, (2, 4)), [[1, 1, 2, 2], [3, 3, 4, 4]]  # coarser than the image, and as fine
    )  # fmt: skip
    assert region_map(picture, (20, 40))[9, 19] == 1
    assert region_map(picture, (20, 40))[10, 20] == 4


def test_of_boxes_that_overlap_the_smallest_counts():
    found = region_map(boxed().image, (320, 480))
    assert found[110, 350] == 0.6  # within a larger one
    assert found[70, 310] == 2.1
    assert found[10, 10] == 0.4
    assert found[210, 5] == 0  # in none


def test_shapes_are_stretched_over_the_image_and_gaps_are_zero():
    picture = ImageAttribution(
        data=written(small_image()), size=(6, 4), boxes=((0, 0, 6, 4),) * 2, scores=(1.5, -2.0),
        shapes=Array([[0, 0, -1], [0, 1, 1]]),
    )  # fmt: skip
    np.testing.assert_array_equal(
        region_map(picture, (4, 6)), np.repeat(np.repeat([[1.5, 1.5, 0], [1.5, -2, -2]], 2, 0), 2, 1)
    )


def small_image():
    from PIL import Image

    return Image.fromarray(np.arange(72, dtype=np.uint8).reshape(4, 6, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_regions_are_outlined_on_a_scale_of_their_own(kind):
    why = KINDS[kind]()
    ax = Figure().subplots()
    draw_image(why, ax)
    fills = ax.patches[::2]
    largest = max(map(abs, why.image.scores))
    scores = [score for score in why.image.scores if score]
    assert len(fills) == len(scores)
    found = sorted((to_hex(patch.get_facecolor()), round(patch.get_facecolor()[3], 6)) for patch in fills)
    share = 0.85 * (0.6 if kind == "boxes" else 1)
    expected = [
        (hexadecimal(LIGHT.negative if s < 0 else LIGHT.positive), round(share * abs(s) / largest, 6)) for s in scores
    ]
    assert found == sorted(expected)
    dashed = [patch.get_linestyle() not in ("-", "solid") for patch in ax.patches[1::2]]
    assert sum(dashed) == sum(score < 0 for score in scores)  # grey paper keeps the difference
    assert ax.get_xlim() == (0, why.image.size[0])
    assert ax.get_ylim() == (why.image.size[1], 0)


def test_one_sign_only():
    why = small()
    for sign, count in (("positive", 2), ("negative", 1), ("all", 3)):
        ax = Figure().subplots()
        draw_image(why, ax, sign=sign, colour_bar=True, title="$a$ title")
        assert len(ax.patches) == 2 * count
        assert ax.get_title() == "$a$ title"


@pytest.mark.parametrize("method", VIEWS)
@pytest.mark.parametrize("kind", KINDS)
def test_other_views_draw_region_scores_over_pixels(kind, method):
    why = KINDS[kind]()
    ax = Figure().subplots()
    sign = "positive" if method in ("masked_image", "alpha_scaling") else "all"
    draw_image(why, ax, method=method, sign=sign)
    drawn = np.asarray(ax.images[-1].get_array())
    pixels = decoded(why.image)
    assert drawn.shape[:2] == pixels.shape[:2]
    if method == "heat_map":
        scores = region_map(why.image, pixels.shape[:2])
        np.testing.assert_allclose(drawn, scores / abs(scores).max())
    if method == "original_image":
        np.testing.assert_array_equal(drawn, pixels)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_files_are_the_same_each_time(tmp_path, suffix):
    for name in "ab":
        draw = partial(image_figure, segmented(), ("regions", "blended_heat_map"), colour_bar=True)
        save_figure(draw, tmp_path / f"{name}{suffix}")
        asked().to_png(tmp_path / f"tokens-{name}{suffix}")
    for stem in ("", "tokens-"):
        first = (tmp_path / f"{stem}a{suffix}").read_bytes()
        assert first == (tmp_path / f"{stem}b{suffix}").read_bytes()
        assert b"dc:date" not in first


def test_several_views_beside_each_other():
    figure = image_figure(photographed(), ("original_image", "regions", *VIEWS))
    assert len(figure.axes) == 2 + len(VIEWS)
    assert figure.get_size_inches()[0] > 4 * figure.get_size_inches()[1] / 2


def test_a_picture_of_words_has_the_image_in_it(tmp_path):
    why = asked()
    figure = tokens_figure(why)
    assert len(figure.axes) == 2
    left, right = (ax.get_position() for ax in figure.axes)
    assert left.x1 < right.x0
    assert left.y0 == pytest.approx(right.y0)
    width, height = figure.get_size_inches()
    assert left.width * width == pytest.approx(left.height * height)  # a square image stays one
    said = " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))
    for part in ("Question", "image 77", "a scale of its own", "left unexplained"):
        assert part.replace(" ", "") in said.replace(" ", "").replace("\u00a0", ""), part
    save_tokens(why, tmp_path / "why.png")
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")
    assert tokens_figure(made()).axes == []


def test_what_cannot_be_drawn_is_told():
    ax = Figure().subplots()
    with pytest.raises(InvalidInput, match="no image"):
        draw_image(made(), ax)
    with pytest.raises(UnknownName, match="heat_map"):
        draw_image(small(), ax, method="heatmap")
    with pytest.raises(UnknownName, match="positive"):
        draw_image(small(), ax, sign="for")
    with pytest.raises(InvalidInput, match="for from against"):
        draw_image(small(), ax, method="masked_image")
    broken = asked(ImageAttribution(data=b"no image", size=(2, 2), boxes=((0, 0, 2, 2),), scores=(1.0,)), links=False)
    with pytest.raises(UnreadableFile, match="cannot be drawn"):
        draw_image(broken, ax)
