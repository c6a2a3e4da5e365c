"""Figures: files of both kinds, the same bytes, any text."""

import subprocess
import sys

import matplotlib
import pytest
from matplotlib.colors import to_hex

from tests.viz.samples import HOSTILE, label, made
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.figure.plots import bars, save_tokens, tokens_figure
from xai_nlp.viz.text.scale import LIGHT, hexadecimal

SCORES = [0.0, 1.0, -0.5, 0.375, 0.0]


def drawn(figure):
    return [artist.get_text() for artist in figure.findobj(matplotlib.text.Text) if artist.get_text()]


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_any_text_is_drawn(kind, suffix, tmp_path):
    file = tmp_path / f"why{suffix}"
    save_tokens(made(HOSTILE[kind][:400], model=HOSTILE[kind][:80]), file)
    assert file.read_bytes().startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")


@pytest.mark.parametrize("suffix", [".png", ".svg", ".SVG"])
def test_files_are_the_same_each_time(tmp_path, suffix):
    for name in ("a", "b"):
        made().to_png(tmp_path / f"{name}{suffix}")
    first = (tmp_path / f"a{suffix}").read_bytes()
    assert first == (tmp_path / f"b{suffix}").read_bytes()
    assert b"dc:date" not in first


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"\.bmp.*\.png and \.svg"):
        save_tokens(made(), tmp_path / "why.bmp")
    with pytest.raises(InvalidInput, match="missing"):
        save_tokens(made(), tmp_path / "why")
    assert not list(tmp_path.iterdir())


def test_a_dollar_is_a_dollar_and_spaces_are_spaces():
    figure = tokens_figure(made("cost $x_1$ now", outputs={"POSITIVE": 0.5, "b": 0.5}))
    shown = "".join(drawn(figure))
    assert "$x_1$" in shown.replace(" ", "")
    assert "□" not in shown
    assert not any(artist.get_parse_math() for artist in figure.findobj(matplotlib.text.Text) if artist.get_text())
    with_dollars = [
        artist
        for artist in bars(made("cost $x_1$ now", target=label("$y$"), unit="$z$")).findobj(matplotlib.text.Text)
        if "$" in artist.get_text()
    ]
    assert {artist.get_text()[:5] for artist in with_dollars} == {"$x_1$", "Why $", "score"}
    assert not any(artist.get_parse_math() for artist in with_dollars)


def test_what_no_font_can_draw_is_a_box():
    shown = drawn(tokens_figure(made("a \U0001f469\u200d\U0001f467 \x1b end")))
    assert "□□" in shown
    assert "end" in shown


def test_bars_show_scores_with_their_signs():
    axes = bars(made(scores=SCORES)).axes[0]
    assert [patch.get_width() for patch in axes.patches] == SCORES
    assert [label.get_text() for label in axes.get_yticklabels()] == ["[CLS]", "a", "fine", "film", "[SEP]"]
    assert [to_hex(p.get_facecolor()) for p in axes.patches][1:3] == [
        hexadecimal(LIGHT.positive_line), hexadecimal(LIGHT.negative_line),
    ]  # fmt: skip
    bottom, top = axes.get_ylim()
    assert bottom > top  # the first token is uppermost
    assert axes.get_xlabel() == "score, logit"


def test_the_strongest_bars_on_axes_of_ones_own():
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    assert bars(made(scores=SCORES), top=2, ax=axes) is axes.figure
    assert [patch.get_width() for patch in axes.patches] == [1.0, -0.5]
    assert len(bars(made(scores=[0.0] * 5), top=3).axes[0].patches) == 0
    with pytest.raises(InvalidInput, match="1 or more"):
        bars(made(), top=0)


def test_a_text_of_any_length_becomes_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("xai_nlp.viz.figure.canvas.PIXELS", 500)  # the real limit takes a book to reach
    save_tokens(made("word " * 100), tmp_path / "why.png")
    header = (tmp_path / "why.png").read_bytes()[16:24]
    assert max(int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")) <= 500


def test_pyplot_is_not_involved(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from tests.viz.samples import made\n"
        "from xai_nlp.viz.figure.plots import bars, save_tokens\n"
        "assert 'matplotlib' not in sys.modules\n"
        "bars(made()); save_tokens(made(), sys.argv[2])\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    root = __file__.rsplit("/tests/", 1)[0]
    subprocess.run([sys.executable, "-W", "error", "-c", code, root, str(tmp_path / "a.svg")], check=True)
