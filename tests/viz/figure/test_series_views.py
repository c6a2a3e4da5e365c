"""Views of time series: shapes that fit, channels on axes of their own or on one."""

import numpy as np
import pytest

from xai_nlp.errors import InvalidInput
from xai_nlp.viz.figure.image_views import panels
from xai_nlp.viz.figure.series_views import checked, draw_series


def drawn_axes(method, count):
    scores, data, at = checked([[1.0, -2.0, 4.0], [0.0, 1.0, 0.0]], [[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]], None, False)
    _, axes = panels(count, fig_size=(4, 2), pyplot=False, upright=True)
    draw_series(
        axes, scores, data, at=at, method=method, sign="all", names=["a", "b"], outlier_perc=0, cmap=None, alpha=0.7,
        colour_bar=True, title="series",
    )  # fmt: skip
    return axes


def test_channels_have_axes_of_their_own():
    axes = drawn_axes("overlay_individual", 2)
    assert [ax.get_ylabel() for ax in axes] == ["a", "b"]
    assert [len(ax.patches) for ax in axes] == [3, 3]
    assert axes[0].get_title() == "series"


def test_channels_on_one_have_a_legend_and_their_scores_added_up():
    (ax,) = drawn_axes("overlay_combined", 1)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert len(ax.patches) == 3
    assert ax.patches[2].get_facecolor()[:3] == (0.0, 128 / 255, 0.0)  # the largest sum, all green


def test_a_coloured_graph_colours_the_line():
    axes = drawn_axes("colored_graph", 2)
    np.testing.assert_allclose(axes[0].collections[0].get_array(), [0.25, -0.5, 1.0])


def test_shapes_must_fit():
    with pytest.raises(InvalidInput, match="one shape"):
        checked([[1.0]], [[1.0, 2.0]], None, False)
    with pytest.raises(InvalidInput, match="two values"):
        checked([[1.0]], [[1.0]], None, False)
    with pytest.raises(InvalidInput, match="every point"):
        checked([[1.0, 2.0]], [[1.0, 2.0]], [0.0], False)
    scores, data, at = checked([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], np.ones((3, 2)), None, True)
    assert (scores.tolist(), data.shape, at.tolist()) == ([[1, 3, 5], [2, 4, 6]], (2, 3), [0, 1, 2])
