"""Captum's pictures: the same arrays, colours and markup from the same input, and what Captum gets wrong put right."""

import inspect
import subprocess
import sys
from html.parser import HTMLParser

import captum.attr._utils.visualization as theirs
import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from xai_nlp.attr import visualization as ours
from xai_nlp.errors import InvalidInput, UnknownName

DRAWS = np.random.default_rng(0)
ATTR = DRAWS.standard_normal((7, 9, 3)) ** 3
BYTES = DRAWS.integers(0, 256, (7, 9, 3))
SHARES = DRAWS.uniform(0, 1, (7, 9, 3))
METHODS = [method.name for method in theirs.ImageVisualizationMethod]
SIGNS = [sign.name for sign in theirs.VisualizeSign]
ONE_SIGN = ("masked_image", "alpha_scaling")
EVIL = "<img src=x onerror=alert(1)>"


def seen(figure):
    """Of each panel: its pictures with their colours, limits and opacity, its title, whether it is drawn at all."""
    return [
        (
            [
                (np.asarray(i.get_array()), i.get_clim(), i.get_alpha(), i.cmap(np.linspace(0, 1, 9)).tolist())
                for i in ax.images
            ],
            ax.get_title(),
            ax.axison,
            [mesh.get_array().tolist() for mesh in ax.collections if mesh.get_array() is not None],
        )
        for ax in figure.axes
    ]


def assert_alike(mine, captums):
    assert len(mine) == len(captums)
    for (images, *rest), (expected, *as_captum) in zip(mine, captums, strict=True):
        assert rest == as_captum
        assert len(images) == len(expected)
        for (array, *look), (wanted, *as_captums) in zip(images, expected, strict=True):
            np.testing.assert_array_equal(array, wanted)
            assert look == as_captums


@pytest.mark.parametrize("image", [BYTES, SHARES], ids=["bytes", "shares"])
@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("method", METHODS)
def test_images_are_drawn_as_captum_draws_them(method, sign, image):
    options = dict(method=method, sign=sign, outlier_perc=5, alpha_overlay=0.4, show_colorbar=True, title="a title",
                   fig_size=(3, 4), use_pyplot=False)  # fmt: skip
    if method in ONE_SIGN and sign == "all":
        with pytest.raises(AssertionError):
            theirs.visualize_image_attr(ATTR, image, **options)
        with pytest.raises(InvalidInput, match="for from against"):
            ours.visualize_image_attr(ATTR, image, **options)
        return
    figure, ax = ours.visualize_image_attr(ATTR, image, **options)
    assert ax in figure.axes
    assert figure.get_size_inches().tolist() == [3, 4]
    assert_alike(seen(figure), seen(theirs.visualize_image_attr(ATTR, image, **options)[0]))


def test_the_image_alone_needs_no_scores():
    """As in Captum's tutorials; Captum 0.9 asks them for scores, which it does not show."""
    mine, _ = ours.visualize_image_attr(None, SHARES, method="original_image", use_pyplot=False)
    captums, _ = theirs.visualize_image_attr(ATTR, SHARES, method="original_image", use_pyplot=False)
    assert_alike(seen(mine), seen(captums))
    with pytest.raises(InvalidInput, match="shows scores"):
        ours.visualize_image_attr(None, SHARES, use_pyplot=False)


@pytest.mark.parametrize("outliers", [0.5, 2, 30, 99])
@pytest.mark.parametrize("attr", [ATTR, ATTR[:, :, 0], np.abs(ATTR), -np.abs(ATTR[:, :, 1])])
def test_scales_are_cut_off_as_captum_cuts_them(attr, outliers):
    for sign in ("all", "absolute_value"):
        drawn = [
            seen(draw.visualize_image_attr(attr, sign=sign, outlier_perc=outliers, use_pyplot=False)[0])
            for draw in (ours, theirs)
        ]
        assert_alike(*drawn)


def test_several_views_as_captum_draws_them():
    options = dict(titles=list("abcd"), fig_size=(9, 3), use_pyplot=False, show_colorbar=True, cmap="viridis")
    wanted = ["original_image", "heat_map", "blended_heat_map", "masked_image"], ["all", "all", "negative", "positive"]
    figure, axes = ours.visualize_image_attr_multiple(ATTR, BYTES, *wanted, **options)
    assert isinstance(axes, list)
    assert [ax.get_title() for ax in axes] == list("abcd")
    assert_alike(seen(figure), seen(theirs.visualize_image_attr_multiple(ATTR, BYTES, *wanted, **options)[0]))
    _, ax = ours.visualize_image_attr_multiple(ATTR, BYTES, ["heat_map"], ["all"], use_pyplot=False)
    assert isinstance(ax, matplotlib.axes.Axes)
    with pytest.raises(InvalidInput, match="2 methods, 1 signs"):
        ours.visualize_image_attr_multiple(ATTR, BYTES, ["heat_map"] * 2, ["all"])


def test_given_axes_are_drawn_on():
    figure = Figure()
    ax = figure.subplots()
    assert ours.visualize_image_attr(ATTR, plt_fig_axis=(figure, ax), use_pyplot=False) == (figure, ax)
    assert len(ax.images) == 1


def test_what_captum_cannot_draw():
    zero = ours.visualize_image_attr(np.zeros((4, 4)), use_pyplot=False)[1].images[0].get_array()
    assert not np.asarray(zero).any()  # Captum: an assertion without a word of what to do
    exact = ours.visualize_image_attr(ATTR, sign="all", outlier_perc=0, use_pyplot=False)[1].images[0].get_array()
    assert np.abs(exact).max() == 1  # Captum: an IndexError, for some arrays, by rounding
    grey = ours.visualize_image_attr(ATTR[:, :, 0], BYTES[:, :, 0], "blended_heat_map", use_pyplot=False)[1]
    np.testing.assert_array_equal(grey.images[0].get_array(), BYTES[:, :, 0])
    for method in ("masked_image", "alpha_scaling", "original_image"):
        ours.visualize_image_attr(ATTR[:, :, 0], BYTES[:, :, :1], method, use_pyplot=False)


def test_mistakes_are_named():
    with pytest.raises(UnknownName, match=r"heatmap.*heat_map"):
        ours.visualize_image_attr(ATTR, method="heatmap", use_pyplot=False)
    with pytest.raises(UnknownName, match="positive"):
        ours.visualize_image_attr(ATTR, sign="postive", use_pyplot=False)
    with pytest.raises(ValueError, match="give it"):
        ours.visualize_image_attr(ATTR, method="masked_image", use_pyplot=False)
    with pytest.raises(InvalidInput, match="between 0 and 100"):
        ours.visualize_image_attr(ATTR, outlier_perc=101, use_pyplot=False)
    with pytest.raises(InvalidInput, match="not finite"):
        ours.visualize_image_attr(np.full((2, 2), np.nan), use_pyplot=False)
    with pytest.raises(InvalidInput, match="outlier"):
        ours.visualize_image_attr(np.eye(3), outlier_perc=100, use_pyplot=False)


def test_pyplot_shows_only_where_it_is_asked_to(monkeypatch):
    from matplotlib import pyplot as plt

    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.get_fignums()))
    before = plt.get_fignums()
    ours.visualize_image_attr(ATTR, use_pyplot=False)
    assert plt.get_fignums() == before
    figure, _ = ours.visualize_image_attr(ATTR)
    assert len(shown) == 1
    assert len(shown[0]) == len(before) + 1
    plt.close(figure)


# Borders and names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", ["red", np.array([0.1, 0.2, 0.3, 0.4])], ids=["name", "array"])
def test_borders_and_names_as_captum_draws_them(colour):
    mask = np.zeros((12, 12), bool)
    mask[2:9, 3:11] = True
    for width in (1, 2):
        drawn = []
        for module in (ours, theirs):
            ax = Figure().subplots()
            module.draw_mask_border(ax, mask, width, colour)
            module.draw_mask_legend(ax, mask, "a name", fontsize=7)
            module.draw_mask_legend(ax, ~mask & mask, "nowhere")
            module.draw_mask_border(ax, ~mask & mask)
            (text,) = ax.texts
            drawn.append((np.asarray(ax.images[0].get_array()), text.get_text(), text.get_position(), len(ax.images)))
        np.testing.assert_array_equal(drawn[0][0], drawn[1][0])
        assert drawn[0][1:] == drawn[1][1:]


# Time series: Captum asks matplotlib for what it no longer has, so these are held against numbers worked out here -----

TIMES = np.array([0.0, 1.0, 2.0, 3.0])
DATA = np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 0.5], [2.0, 4.0]])  # (N, C)
SCORES = np.array([[4.0, 0.0], [-2.0, 1.0], [0.0, 0.0], [1.0, -4.0]])


def series(method, **more):
    return ours.visualize_timeseries_attr(
        SCORES, DATA, TIMES, method, "all", outlier_perc=0, use_pyplot=False, cmap="coolwarm", **more
    )


def test_each_channel_has_its_panel_and_columns_of_colour():
    figure, axes = series("overlay_individual", channel_labels=["x", "y"], title="both", linewidth=3)
    assert len(figure.axes) == len(axes) == 2
    colours = matplotlib.colormaps["coolwarm"]
    for channel, ax in enumerate(axes):
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), DATA[:, channel])
        assert ax.lines[0].get_linewidth() == 3
        assert ax.get_ylabel() == "xy"[channel]
        assert ax.get_xlim() == (0, 3)
        assert [(patch.get_x(), patch.get_width()) for patch in ax.patches] == [(x - 0.5, 1.0) for x in TIMES]
        spans = [patch.get_facecolor() for patch in ax.patches]
        shown = (SCORES[:, channel] / 4 + 1) / 2  # from −1…1 to 0…1
        np.testing.assert_allclose(spans, [to_rgba(colours(s), 0.7) for s in shown])
    assert axes[0].get_title() == "both"


def test_channels_together_have_their_scores_added_up():
    _, ax = series("overlay_combined", channel_labels=["x", "y"], show_colorbar=True)
    assert len(ax.lines) == 2
    total = SCORES.sum(1)
    colours = matplotlib.colormaps["coolwarm"]
    np.testing.assert_allclose(
        [patch.get_facecolor() for patch in ax.patches], [to_rgba(colours((s / 4 + 1) / 2), 0.7) for s in total]
    )
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["x", "y"]


def test_a_coloured_line_and_channels_first():
    figure, axes = ours.visualize_timeseries_attr(
        SCORES.T, DATA.T, None, "colored_graph", "all", channels_last=False, outlier_perc=0, use_pyplot=False
    )
    (pieces,) = axes[1].collections
    np.testing.assert_array_equal(pieces.get_array(), SCORES[:, 1] / 4)
    np.testing.assert_array_equal(pieces.get_segments()[0], [[0, 2], [1, -1]])
    assert axes[1].get_ylim() == (-1.2, 4.8)
    assert len(figure.axes) == 2


def test_series_that_do_not_fit_are_refused():
    for bad in (dict(x_values=TIMES[:2]), dict(method="overlay"), dict(sign="any")):
        with pytest.raises((InvalidInput, UnknownName)):
            ours.visualize_timeseries_attr(SCORES, DATA, use_pyplot=False, **bad)
    with pytest.raises(InvalidInput, match="one shape"):
        ours.visualize_timeseries_attr(SCORES[:2], DATA, use_pyplot=False)
    with pytest.warns(UserWarning, match="channels_last"):
        ours.visualize_timeseries_attr(SCORES.T, DATA.T, use_pyplot=False)


# Texts ---------------------------------------------------------------------------------------------------------------


def record(module, words=("[CLS]", "fine", "film"), word_attributions=(0.0, 0.75, -0.3), **more):
    values = dict(
        word_attributions=torch.tensor(word_attributions), pred_prob=0.913, pred_class=1, true_class="pos",
        attr_class="pos", attr_score=1.234, raw_input_ids=list(words), convergence_score=0.01,
    )  # fmt: skip
    return module.VisualizationDataRecord(**{**values, **more})


class Cells(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.texts, self.tags = [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *attrs))

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data.strip())


def test_harmless_markup_is_captums():
    for call in (
        lambda m: m.format_classname("pos"),
        lambda m: m.format_classname(3),
        lambda m: m.format_tooltip("item", "text"),
        lambda m: m.format_special_tokens("<s>") + m.format_special_tokens("<<x>") + m.format_special_tokens("<x"),
        lambda m: m.format_word_importances(["a", "<s>", "b"], [0.5, -0.25, 0.0, 9.0]),
        lambda m: m.format_word_importances(["a", "b"], np.array([7.0, -7.0])),
        lambda m: m.format_word_importances(["a"], torch.tensor([0.123])),
        lambda m: m.format_word_importances([], []),
    ):
        assert call(ours) == call(theirs)


def test_text_is_escaped_where_captums_is_not():
    assert "<img" in theirs.format_classname(EVIL)
    for html in (
        ours.format_classname(EVIL),
        ours.format_tooltip(EVIL, EVIL),
        ours.format_word_importances([EVIL, f"a {EVIL}"], [1.0, -1.0]),
        ours.visualize_text(
            [record(ours, (EVIL, f"b {EVIL}", "c"), true_class=EVIL, pred_class=EVIL, attr_class=EVIL)]
        ).data,
    ):
        assert "<img" not in html
        assert "img src=x onerror=alert(1)" in " ".join(Cells(html).texts)


def test_a_table_says_what_captums_says_and_is_well_formed(capsys):
    for legend in (True, False):
        mine = ours.visualize_text([record(ours), record(ours, true_class="neg")], legend).data
        captums = theirs.visualize_text([record(theirs), record(theirs, true_class="neg")], legend).data
        assert Cells(mine).texts == Cells(captums).texts
        assert mine.count("<tr>") == mine.count("</tr>") == 3
    assert "HTML" in capsys.readouterr().out  # both are displayed


def test_too_few_numbers_are_refused():
    with pytest.raises(InvalidInput, match="3 words"):
        ours.format_word_importances(["a", "b", "c"], [1.0])
    with pytest.raises(InvalidInput, match=r"\(1, 2\)"):
        ours.format_word_importances(["a", "b"], np.ones((1, 2)))


# Names ---------------------------------------------------------------------------------------------------------------


def test_every_public_name_of_captums_is_here_and_is_called_alike():
    public = {
        name for name, value in vars(theirs).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == theirs.__name__
    }  # fmt: skip
    assert public == set(ours.__all__)
    for name in public:
        mine, captums = getattr(ours, name), getattr(theirs, name)
        if isinstance(captums, type) and hasattr(captums, "__members__"):
            assert {m.name: m.value for m in mine} == {m.name: m.value for m in captums}
            continue
        told = [
            [(p.name, p.default, p.kind) for p in inspect.signature(one).parameters.values()] for one in (mine, captums)
        ]
        assert told[0] == told[1], name


def test_nothing_is_imported_before_it_is_drawn():
    code = "import sys, xai_nlp.attr.visualization; print({'matplotlib', 'scipy', 'IPython'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
