"""Tables of an overview as figures."""

from dataclasses import replace

import pytest

from tests.viz.overviews import heads, matrix, overview, shares, words
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.figure.overview import LINES, PANELS, save_table, table_figure


def test_a_panel_for_each_card_with_dots_and_intervals():
    figure = table_figure(words(count=40))
    one, other = figure.axes
    assert [ax.get_title(loc="left") for ax in (one, other)] == ["POSITIVE", "NEGATIVE"]
    labels = [text.get_text() for text in one.get_yticklabels()]
    assert labels == [f"word{n}" for n in range(LINES)]
    dots = [line for line in one.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == pytest.approx([2.0 - n / 40 for n in range(LINES)])
    whiskers = [tuple(line.get_xdata()) for line in one.lines if line.get_marker() != "o"]
    assert (1.5, 2.5) in whiskers
    assert other.get_xlabel() == "mean score, logit"
    assert len(table_figure(words(2, labels=[f"{n}" for n in range(30)])).axes) == PANELS


def test_shares_start_at_zero_and_a_map_has_all_cells():
    (ax,) = table_figure(shares()).axes
    assert ax.get_xlim()[0] == 0 and len([line for line in ax.lines if line.get_marker() == "o"]) == 2
    ax, _ = table_figure(heads()).axes
    assert ax.images[0].get_array().shape == (3, 4) and ax.images[0].get_array()[0, 3] == pytest.approx(1.2)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["layer 2", "layer 1", "layer 0"]
    assert len(table_figure(matrix()).axes) == 1


def test_each_panel_shows_all_its_dots():
    table = shares()
    lines = tuple(("length", f"{n} words", n / 8, (n / 8 - 0.05, n / 8 + 0.05), None, None) for n in (5, 6, 7))
    figure = table_figure(replace(table, lines=(("answer", "right", 0.25, (0.2, 0.3), None, None), *lines)))
    for ax in figure.axes:
        least, most = ax.get_xlim()
        assert all(least <= x <= most for line in ax.lines for x in line.get_xdata())
    assert least == 0 and figure.axes[-1].xaxis.get_major_formatter()(0.25) == "25\u00a0%"


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_every_table_becomes_a_file(tmp_path, suffix):
    overview().save_figures(tmp_path, suffix)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {f"{name}.{suffix}" for name in ("lexicon", "heads", "slices", "confusion")}
    first = (tmp_path / f"lexicon.{suffix}").read_bytes()
    save_table(words(), tmp_path / f"lexicon.{suffix}")
    assert (tmp_path / f"lexicon.{suffix}").read_bytes() == first
    with pytest.raises(InvalidInput, match="suffix"):
        save_table(words(), tmp_path / "a.pdf")
