"""Figures: files of both kinds, the same bytes, any text."""

import pytest

from tests.viz.samples import HOSTILE, made
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.plots import bars, save_tokens, tokens_figure


@pytest.mark.parametrize("kind", HOSTILE)
def test_any_text_is_drawn(kind, tmp_path):
    save_tokens(made(HOSTILE[kind][:400]), tmp_path / "why.png")
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")


def test_svg_is_the_same_each_time(tmp_path):
    for name in ("a.svg", "b.svg"):
        made().to_png(tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"\.png"):
        save_tokens(made(), tmp_path / "why.bmp")
    assert not list(tmp_path.iterdir())


def test_bars_show_scores_with_their_signs():
    figure = bars(made(scores=[0.0, 1.0, -0.5, 0.375, 0.0]))
    widths = sorted(patch.get_width() for patch in figure.axes[0].patches)
    assert widths[0] == -0.5
    assert widths[-1] == 1.0
    assert len(bars(made(), top=2).axes[0].patches) == 2
    assert tokens_figure(made()).get_size_inches()[0] > 3
