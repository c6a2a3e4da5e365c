"""Layers, attention and the answer on a page: what reads without a script, and what one adds."""

import base64
import json
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest

from tests.viz.samples import made
from xai_nlp.core.arrays import Array, Matrices
from xai_nlp.core.result import SPECIAL
from xai_nlp.viz import plots
from xai_nlp.viz.ansi import tokens_ansi
from xai_nlp.viz.heads import render_attention
from xai_nlp.viz.html import page
from xai_nlp.viz.maps import maps_of, parts_of, strongest_entries
from xai_nlp.viz.wording import headline

QUESTION, CONTEXT = "Who wrote it?", "Ada Lovelace wrote it"
TOKENS = ("[CLS]", "Who", "wrote", "it", "?", "[SEP]", "Ada", "Love", "lace", "wrote", "it", "[SEP]")
OFFSETS = ((0, 0), (0, 3), (4, 9), (10, 12), (12, 13), (0, 0), (0, 3), (4, 8), (8, 12), (13, 18), (19, 21), (0, 0))
SEGMENT = (SPECIAL, 0, 0, 0, 0, SPECIAL, 1, 1, 1, 1, 1, SPECIAL)
L = len(TOKENS)


def matrices(layers=2, heads=3, length=L, seed=0, **more):
    numbers = np.random.default_rng(seed).standard_normal((layers, heads, length, length)) ** 3
    names = tuple(f"layer {k}" for k in range(layers))
    return Matrices(scores=Array(numbers), layers=names, method="attention_conductance", unit="logit", **more)


def answered(target="start", **more):
    values = dict(
        pair=CONTEXT, tokens=TOKENS, offsets=OFFSETS, segment=SEGMENT, scores=tuple(0.1 * i for i in range(L)),
        target=target, task="question-answering", outputs={"Ada Lovelace": 0.75, "": 0.25}, answer=(1, (0, 12)),
        layers=Array(np.arange(2 * L).reshape(2, L) / 10), attention={"self": matrices()},
        parts={"word": (0.05,) * L, "position": tuple(0.1 * i - 0.05 for i in range(L))},
    )  # fmt: skip
    return made(QUESTION, **{**values, **more})


# Without a script ----------------------------------------------------------------------------------------------------


def test_the_answer_is_framed_and_asked_about():
    html = page([answered()])
    framed = re.search(r'<mark class="answer"[^>]*>(.*?)</mark>', html, re.S).group(1)
    assert re.sub(r"<[^>]+>", "", framed) == "Ada Lovelace"
    assert "Why <em><bdi>“Ada Lovelace”</bdi></em>?" in html
    assert "no answer" in html


def test_headlines_of_answers():
    assert headline(answered()) == "Why “Ada Lovelace”?"
    assert (
        headline(answered(target="span of “Ada Lovelace” rather than “it”")) == "Why “Ada Lovelace” rather than “it”?"
    )
    assert headline(answered(answer=None, outputs={"": 0.8, "Ada": 0.2})) == "Why no answer?"
    assert headline(answered(answer=(1, (19, 21)))) == "Why “it”?"


def test_heads_are_sums_of_their_matrices():
    item = answered()
    shown = maps_of(item, item.words())
    heads = item.attention["self"].scores.numpy().sum((2, 3))
    table = shown.stacks[0].heads
    assert [len(line.cells) for line in table.lines] == [3, 3]
    for line, row in zip(table.lines, heads, strict=True):
        for cell, number in zip(line.cells, row, strict=True):
            assert float(cell.number.replace("−", "-")) == pytest.approx(number, abs=0.051)
            assert cell.kind == ("n" if number < 0 else "p")


def test_strongest_entries_by_brute_force():
    stack = matrices()
    scores = stack.scores.numpy()
    expected = sorted(np.ndindex(scores.shape), key=lambda place: -abs(scores[place]))[:5]
    assert [tuple(place) for *place, _ in strongest_entries(stack, 5)] == expected
    assert all(number == scores[tuple(place)] for *place, number in strongest_entries(stack, 5))


def test_the_table_of_layers_shows_words_in_the_order_of_the_text():
    item = answered()
    words = item.words()
    table = maps_of(item, words).layers
    order = [words.tokens.index(name) for name in dict.fromkeys(table.heads) if words.tokens.count(name) == 1]
    assert order == sorted(order)
    place = table.heads.index("Lovelace")
    expected = item.layers[1, 7] + item.layers[1, 8]
    assert float(table.lines[1].cells[place].number) == pytest.approx(expected, abs=0.01)


def test_parts_stand_beside_their_sum():
    (table,) = parts_of(answered().words(), top=10)
    assert table.heads == ("word, logit", "position, logit", "sum, logit")
    line = next(line for line in table.lines if line.name == "Lovelace")
    word, position, total = (float(cell.number.replace("−", "-")) for cell in line.cells)
    assert (word, total) == (pytest.approx(0.1, abs=0.01), pytest.approx(1.5, abs=0.01))
    assert word + position == pytest.approx(total, abs=0.02)


def test_numbers_for_the_script_are_the_matrices_to_a_127th():
    item = answered()
    told = json.loads(maps_of(item, item.words()).numbers)
    (stack,) = told["stacks"]
    levels = np.frombuffer(zlib.decompress(base64.b64decode(stack["levels"])), np.int8).reshape(stack["shape"])
    peaks = np.array(stack["peaks"])[:, :, None, None]
    found, expected = levels * peaks / 127, item.attention["self"].scores.numpy()
    assert np.abs(found - expected).max() <= np.abs(expected).max() / 127
    assert told["tokens"] == list(TOKENS)


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
        ("layers", plots.layers_figure),
        ("heads", plots.heads_figure),
        ("matrix", plots.attention_figure),
    ):
        plots.save_figure(lambda draw=draw: draw(item), tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    drawn = plots.attention_figure(item, layer=1, head=2).axes[0].images[0].get_array()
    np.testing.assert_allclose(drawn, item.attention["self"].scores[1, 2])
    everywhere = plots.attention_figure(item).axes[0].images[0].get_array()
    np.testing.assert_allclose(everywhere, item.attention["self"].scores.numpy().sum((0, 1)), rtol=1e-5)


def until(tab, said, *args):
    """Wait for it; the page's policy forbids playwright's own way of waiting, which evaluates text."""
    for _ in range(100):
        if tab.evaluate(said, *args):
            return
        tab.wait_for_timeout(50)
    raise AssertionError(said)


DRAWN = "document.querySelector('canvas.matrix').style.width !== ''"


# In a browser --------------------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_a_page_with_maps_is_quiet_and_fits(opened, width, scheme):
    tab = opened([answered("start"), answered("end")], width, color_scheme=scheme)
    tab.locator("canvas.matrix").first.scroll_into_view_if_needed()
    tab.wait_for_timeout(200)
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert tab.locator(".row.to-start, .row.to-end").count() == 2


@pytest.mark.browser
def test_choosing_a_head_changes_the_matrix_and_what_is_told(opened):
    item = answered()
    tab = opened([item])
    canvas = tab.locator("canvas.matrix")
    canvas.scroll_into_view_if_needed()
    until(tab, DRAWN)
    before = canvas.evaluate("c => c.toDataURL()")
    tab.get_by_role("button", name=re.compile("layer 1, head 2")).click()
    until(tab, "before => document.querySelector('canvas.matrix').toDataURL() !== before", before)
    box = canvas.bounding_box()
    query, key = 6, 1
    canvas.hover(position={"x": (key + 0.5) * box["width"] / L, "y": (query + 0.5) * box["height"] / L})
    told = tab.locator(".stack .told").inner_text()
    assert told.startswith("layer 1, head 2 · “Ada” ← “Who”")
    number = float(re.search(r"([+−][\d.e−]+)", told.split("”")[-1]).group(1).replace("−", "-"))
    scores = item.attention["self"].scores
    assert number == pytest.approx(float(scores[1, 2, query, key]), abs=float(np.abs(scores[1, 2]).max()) / 200)
    canvas.focus()
    tab.keyboard.press("ArrowRight")
    assert "“Ada” ← “wrote”" in tab.locator(".stack .told").inner_text()


@pytest.mark.browser
def test_pointing_at_a_word_tells_whom_it_draws_on(opened):
    stack = np.zeros((2, 3, L, L))
    stack[1, 0, 7, 1], stack[0, 2, 8, 1], stack[0, 0, 7, 4] = 1.0, 0.5, -0.25
    item = answered(attention={"self": replace(matrices(), scores=Array(stack))})
    tab = opened([item])
    tab.locator("canvas.matrix").scroll_into_view_if_needed()
    until(tab, DRAWN)
    word, who = (tab.locator(".only-words span.t", has_text=text) for text in ("Lovelace", "Who"))
    own = who.get_attribute("class")
    word.hover()
    told = tab.locator(".drawn-note").inner_text()
    assert told.startswith("“Lovelace” drew most on “Who” (+1.50")
    assert {"p", "a100"} <= set(who.get_attribute("class").split())
    tab.mouse.move(5, 5)
    assert who.get_attribute("class") == own
    word.focus()
    assert "Lovelace" in tab.locator(".drawn-note").inner_text()


@pytest.mark.browser
def test_without_a_script_the_tables_read(browser, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(page([answered()]), encoding="utf-8")
    tab = browser.new_context(java_script_enabled=False).new_page()
    tab.goto(file.as_uri())
    assert tab.locator("table.heads").is_visible()
    assert tab.locator(".pairs li").count() == 8
    assert not tab.locator("canvas.matrix").is_visible()
    tab.context.close()
