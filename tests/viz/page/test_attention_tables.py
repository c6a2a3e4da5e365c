"""Layers, attention and the answer on a page: what reads without a script, and what one adds."""

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from tests.viz.samples import L, answered, made, matrices
from xai_nlp.core.arrays import Array, AttentionAttribution
from xai_nlp.core.statistics import head_numbers
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.figure import plots
from xai_nlp.viz.page.attention_tables import attention_tables
from xai_nlp.viz.page.html import page
from xai_nlp.viz.page.score_tables import layers_table, parts_table
from xai_nlp.viz.page.view_model import view
from xai_nlp.viz.terminal.ansi import tokens_ansi
from xai_nlp.viz.terminal.heads import render_attention


def test_the_answer_is_framed_and_asked_about():
    html = page([answered()])
    framed = re.search(r'<mark class="answer"[^>]*>(.*?)</mark>', html, re.S).group(1)
    assert re.sub(r"<[^>]+>", "", framed) == "Ada Lovelace"
    assert "<title>Why “Ada Lovelace”? · xai_nlp</title>" in html
    assert "The model answers <em><bdi>“Ada Lovelace”</bdi></em> (75\u00a0%)" in html
    assert "no answer" in html


def test_heads_are_sums_of_their_matrices():
    item = answered()
    shown = view([item]).examples[0].rows[0]
    heads = item.attention["self"].scores.numpy().sum((2, 3))
    table = attention_tables(shown.merged)[0].heads
    assert table.heads == ("all", "0", "1", "2")
    for line, row in zip(table.lines, heads, strict=True):
        assert float(line.cells[0].number.replace("−", "-")) == pytest.approx(row.sum(), abs=0.051)
        for cell, number in zip(line.cells[1:], row, strict=True):
            assert float(cell.number.replace("−", "-")) == pytest.approx(number, abs=0.051)
            assert cell.kind == ("n" if number < 0 else "p")


def test_the_table_of_layers_shows_words_in_the_order_of_the_text():
    item = answered()
    words = item.words()
    table = layers_table(words)
    order = [words.tokens.index(name) for name in dict.fromkeys(table.heads) if words.tokens.count(name) == 1]
    assert order == sorted(order)
    place = table.heads.index("Lovelace")
    expected = item.layers[1, 7] + item.layers[1, 8]
    assert float(table.lines[1].cells[place].number) == pytest.approx(expected, abs=0.01)


def test_parts_stand_beside_their_sum():
    table = parts_table(answered().words(), top=10)
    assert table.heads == ("word, logit", "position, logit", "sum, logit")
    line = next(line for line in table.lines if line.name == "Lovelace")
    word, position, total = (float(cell.number.replace("−", "-")) for cell in line.cells)
    assert (word, total) == (pytest.approx(0.1, abs=0.01), pytest.approx(1.5, abs=0.01))
    assert word + position == pytest.approx(total, abs=0.02)


def test_saved_json_leaves_matrices_out_and_pages_stay_small():
    length = 384
    scores = np.random.default_rng(0).standard_normal((6, 12, length, length)) ** 5
    item = answered(
        tokens=("x",) * length, offsets=((0, 1),) * length, segment=(1,) * length, scores=(0.5,) * length, parts={},
        layers=None, attention={"self": replace(matrices(6, 12, 2), scores=Array(scores))},
    )  # fmt: skip
    html = page([item])
    assert len(html) < 6e6
    assert json.loads(re.search(r'class="data">(.*?)</script>', html, re.S).group(1))[0]["attention"] == {}


def test_embeddings_that_did_not_move_are_zero_and_push_nobody_up():
    scores = tuple(float(i) for i in range(L))
    noise = tuple(1e-15 * (L - i) for i in range(L))  # strongest where the word's score is weakest
    table = parts_table(answered(parts={"word": scores, "type": noise}, scores=scores).words(), top=2)
    assert [line.name for line in table.lines] == ["Lovelace", "it", "every token"]  # 7 + 8, then 10; [SEP] is no word
    assert [cell.number for cell in table.lines[0].cells] == ["+15.0", "0", "+15.0"]
    assert table.lines[-1].cells[0].number == "+66.0"  # 0 + 1 + … + 11, all tokens


def test_weights_tell_how_peaked_a_head_is():
    one = np.zeros((1, 2, L, L))
    one[0, 0, :, 0] = 1.0  # every token looks at the first
    one[0, 1] = 1 / L  # every token looks everywhere alike
    stack = replace(matrices(1, 2), scores=Array(one), row_stochastic=True, unit="")
    np.testing.assert_allclose(head_numbers(stack), [[1.0, 1 / L]], rtol=1e-6)
    item = answered(attention={"self": stack}, layers=None)
    shown = attention_tables(item.words())[0]
    assert "largest weight" in shown.about
    assert shown.total == ""  # weights do not add up over layers
    assert "largest weight" in tokens_of(item)


def tokens_of(item):
    console = Console(width=100, file=io.StringIO())
    console.print(render_attention(item))
    return console.file.getvalue()


def test_hostile_tokens_stay_text():
    evil = "</script><img src=x onerror=alert(1)>"
    item = answered(attention={"self": matrices(queries=(evil,) * L, keys=(evil,) * L)})
    html = page([item])
    assert "<img" not in html
    assert html == page([item])


def test_terminal_and_figures(tmp_path):
    item = answered()
    assert "Lovelace" in tokens_ansi(item, colour=False)
    assert "head 0" not in str(render_attention(item))
    for name, draw in (
        ("layers", plots.draw_layers),
        ("heads", plots.draw_heads),
        ("matrix", plots.draw_attention),
    ):
        plots.save_figure(lambda draw=draw: draw(item), tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    drawn = plots.draw_attention(item, layer=1, head=2).axes[0].images[0].get_array()
    np.testing.assert_allclose(drawn, item.attention["self"].scores[1, 2])
    everywhere = plots.draw_attention(item).axes[0].images[0].get_array()
    np.testing.assert_allclose(everywhere, item.attention["self"].scores.numpy().sum((0, 1)), rtol=1e-5)


def test_figures_of_maps_become_files(tmp_path):
    item = answered()
    plots.save_figure(lambda: plots.draw_layers(item), tmp_path / "layers.svg")
    plots.save_figure(lambda: plots.draw_heads(item), tmp_path / "heads.png")
    plots.save_figure(lambda: plots.draw_attention(item, layer=1, head=2), tmp_path / "head.png")
    plots.save_figure(lambda: plots.draw_attention(item), tmp_path / "all.png")
    assert (tmp_path / "head.png").read_bytes() != (tmp_path / "all.png").read_bytes()
    assert (tmp_path / "layers.svg").read_bytes().startswith(b"<?xml")
    with pytest.raises(InvalidInput, match="3 does not exist"):
        plots.draw_attention(item, head=3)


def test_a_figure_of_many_tokens_stays_a_figure():
    length = 400
    item = answered(
        tokens=("x",) * length, offsets=((0, 1),) * length, segment=(1,) * length, scores=(0.5,) * length, parts={},
        layers=None, attention={"self": matrices(1, 1, length)},
    )  # fmt: skip
    figure = plots.draw_attention(item)
    assert max(figure.get_size_inches()) < 40
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == []  # 400 names would cover each other
    few = plots.draw_attention(answered())
    assert len(few.axes[0].get_xticklabels()) == L


@pytest.mark.parametrize(("name", "tab"), [("self", "Attention"), ("pairs", "Pairs of words")])
def test_a_matrix_of_two_texts_is_not_called_attention(name, tab):
    item = made("a film")
    size = len(item.tokens)
    stack = AttentionAttribution(scores=Array(np.ones((1, 1, size, size))), layers=("",), method="integrated_jacobians")
    html = page([replace(item, attention={name: stack})])
    assert re.findall(r'data-tab="([^"]*)"', html) == ["Words", tab, "Every number"]
    assert ("Which pairs of words" in html) == (name == "pairs")
