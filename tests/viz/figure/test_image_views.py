"""Views of pixels with a score each: parts by sign, outliers, views that need an image. Captum's tests the pictures."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.viz.figure.image_views import draw_mask_border, draw_mask_legend, draw_view, normalised, panels

SCORES = np.array([[1.0, -2.0], [4.0, 0.0]])


@pytest.mark.parametrize(
    ("sign", "expected"),
    [
        ("all", [[0.25, -0.5], [1, 0]]),
        ("positive", [[0.25, 0], [1, 0]]),
        ("negative", [[0, 1], [0, 0]]),
        ("absolute_value", [[0.25, 0.5], [1, 0]]),
    ],
)
def test_scores_of_a_sign_over_the_largest(sign, expected):
    np.testing.assert_array_equal(normalised(SCORES, sign, 0), expected)


def test_outliers_are_cut_off():
    assert normalised(SCORES, "all", 50).tolist() == [[0.25, -0.5], [1.0, 0.0]]  # 7 · 50 % = 3.5 is first reached by 4
    assert normalised(SCORES, "all", 60).tolist() == [[0.5, -1.0], [1.0, 0.0]]
    with pytest.raises(InvalidInput, match="percentage"):
        normalised(SCORES, "all", 101)
    with pytest.raises(InvalidInput, match="outlier"):
        normalised(np.array([0.0, 1.0]), "all", 100)
    with pytest.raises(InvalidInput, match="not finite"):
        normalised(np.array([np.nan]))


def test_channels_are_added_up():
    ax = Figure().subplots()
    draw_view(ax, np.stack([SCORES, SCORES], axis=2), sign="all", outlier_perc=0)
    np.testing.assert_array_equal(ax.images[0].get_array(), SCORES / 4)


def test_what_a_view_needs():
    ax = Figure().subplots()
    with pytest.raises(InvalidInput, match="shows the image"):
        draw_view(ax, SCORES, method="blended_heat_map")
    with pytest.raises(InvalidInput, match="for from against"):
        draw_view(ax, SCORES, np.zeros((2, 2)), method="masked_image", sign="all")
    with pytest.raises(InvalidInput, match="shows scores"):
        draw_view(ax, None)
    with pytest.raises(UnknownName, match="heat_map"):
        draw_view(ax, SCORES, method="heatmap")


def test_borders_and_labels_of_a_region():
    figure, (ax, other) = panels(2, fig_size=(4, 2), pyplot=False)
    mask = np.zeros((5, 5), bool)
    mask[1:4, 1:4] = True
    draw_mask_border(ax, mask)
    edge = np.asarray(ax.images[0].get_array())[:, :, 3]
    assert edge.sum() == 8  # of nine cells all but the middle
    draw_mask_legend(ax, mask, "name", 8, "white", "black", 0.5)
    assert (ax.texts[0].get_text(), ax.texts[0].get_position()) == ("name", (2.0, 2.0))
    draw_mask_border(other, np.zeros((5, 5), bool))
    assert not other.images
    assert panels(1, fig_size=(1, 1), pyplot=False, axes=(figure, ax))[1] == [ax]
