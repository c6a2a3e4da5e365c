"""Layers and attention drawn in a browser: what pointing and keys do, and that it equals the numbers."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.viz.samples import TOKENS, L, answered, made, matrices
from xai_nlp.core.arrays import Array
from xai_nlp.viz.page.html import fragment

pytestmark = pytest.mark.browser
WORDS = [*TOKENS[:7], "Lovelace", *TOKENS[9:]]
SHOWN = "name => document.querySelector('.stack:not(.aside-tab)').dataset.shown === name"


def until(tab, said, *args):
    """Wait for it; the page's policy forbids playwright's own way of waiting, which evaluates text."""
    for _ in range(100):
        if tab.evaluate(said, *args):
            return
        tab.wait_for_timeout(50)
    raise AssertionError(said)


def view(place, name):
    """Open a view of an example by its tab."""
    place.locator(".views button", has_text=name).click()


def through(tab):
    """The attention that is shown, drawn."""
    view(tab, "Attention")
    box = tab.locator(".stack:visible").first
    box.locator("canvas.matrix").scroll_into_view_if_needed()
    until(tab, "() => !!document.querySelector('.stack:not(.aside-tab)').dataset.shown")
    return box


def choose(tab, box, name):
    box.get_by_role("button", name=re.compile(rf"^{name}\b")).click()
    until(tab, SHOWN, name)


def pixels(box):
    return box.locator("canvas.matrix").evaluate("canvas => canvas.toDataURL()")


def told(box):
    return box.locator(".looked .readout").inner_text().replace("−", "-")


def number_in(text):
    return float(re.search(r"[+-][\d.]+(e-?\d+)?", text).group())


def by_words(matrix):
    """A matrix over tokens as one over words: “Love” and “lace” are 7 and 8."""
    rows = np.add.reduceat(matrix, [*range(8), 9, 10, 11], axis=0)
    return np.add.reduceat(rows, [*range(8), 9, 10, 11], axis=1)


def at(canvas, row, column, size):
    """The middle of a cell. Where the cells begin is asked of the picture: names stand left of and above them."""
    return canvas.evaluate(
        """(canvas, [row, column, size]) => {
          const box = canvas.getBoundingClientRect();
          const { width, height } = canvas.dataset;
          const [left, top] = [box.width - width, box.height - height];
          return { x: left + (column + .5) * width / size, y: top + (row + .5) * height / size };
        }""",
        [row, column, size],
    )


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_a_page_with_maps_is_quiet_and_fits(opened, width, scheme):
    tab = opened([answered("start"), answered("end")], width, color_scheme=scheme)
    through(tab)
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert tab.locator(".row.to-start, .row.to-end").count() == 2


def test_the_strongest_head_comes_first_and_another_changes_the_matrix(opened):
    item = answered()
    tab = opened([item])
    box = through(tab)
    heads = item.attention["self"].heads()
    layer, head = np.unravel_index(np.abs(heads).argmax(), heads.shape)
    first = f"layer {layer}, head {head}"
    assert box.locator("[aria-pressed=true]").first.get_attribute("aria-label").startswith(first)
    before = pixels(box)
    choose(tab, box, "layer 0, head 1" if first != "layer 0, head 1" else "layer 0, head 2")
    assert pixels(box) != before
    choose(tab, box, first)
    assert pixels(box) == before


@pytest.mark.parametrize("name", ["layer 1, head 2", "layer 0, all heads", "all layers"])
@pytest.mark.parametrize("view", ["words", "tokens"])
def test_the_number_told_is_the_number_measured(opened, view, name):
    item = answered()
    scores = item.attention["self"].scores.numpy().astype(float)
    matrix = {
        "layer 1, head 2": scores[1, 2],
        "layer 0, all heads": scores[0].sum(0),
        "all layers": scores.sum((0, 1)),
    }[name]
    expected, size = (by_words(matrix), 11) if view == "words" else (matrix, 12)
    tab = opened([item])
    if view == "tokens":
        tab.get_by_role("button", name="tokens", exact=True).click()
    box = through(tab)
    choose(tab, box, name)
    canvas = box.locator("canvas.matrix")
    names = WORDS if view == "words" else TOKENS
    for row, column in ((6, 1), (7, 7), (0, size - 1)):
        canvas.hover(position=at(canvas, row, column, size))
        said = told(box)
        assert said.startswith(f"“{names[row]}” ← “{names[column]}” ")
        tokens = (1 + (view == "words" and row == 7)) * (1 + (view == "words" and column == 7))
        assert number_in(said) == pytest.approx(
            expected[row, column], abs=1.01 * tokens * np.abs(matrix).max() / 127 + 0.05 * abs(expected[row, column])
        )
        assert name in said


def test_keys_move_from_the_largest_number(opened):
    stack = np.zeros((2, 3, L, L))
    stack[1, 0, 6, 1], stack[1, 0, 6, 2], stack[1, 0, 9, 2] = 1.0, 0.5, -0.25
    tab = opened([answered(attention={"self": replace(matrices(), scores=Array(stack))})])
    box = through(tab)
    assert told(box).startswith("“Ada” draws most on “Who” +1.0, “wrote” +0.50")  # the answer begins with “Ada”
    tab.keyboard.press("Tab")  # who comes by keyboard sees where the focus is
    box.locator("canvas.matrix").focus()
    for key, cell in (
        (None, "“Ada” ← “Who” +1.0"), ("ArrowRight", "“Ada” ← “wrote” +0.50"), ("ArrowDown", "“Lovelace” ← “wrote”"),
        ("ArrowDown", "“wrote” ← “wrote” -0.25"), ("Home", "“wrote” ← “[CLS]”"), ("End", "“wrote” ← “[SEP]”"),
        ("PageUp", "“[CLS]” ← “[SEP]”"), ("ArrowUp", "“[CLS]” ← “[SEP]”"),
    ):  # fmt: skip
        if key:
            tab.keyboard.press(key)
        assert told(box).startswith(cell), key
    assert box.locator(".looked .readout").get_attribute("aria-live") == "polite"


def test_heads_are_one_stop_for_the_tab_key(opened):
    tab = opened([answered()])
    box = through(tab)
    buttons = box.locator("table.heads button")
    assert buttons.count() == 9  # all layers, and for each of two layers all heads and three
    assert buttons.evaluate_all("all => all.filter(one => one.tabIndex === 0).length") == 1
    box.get_by_role("button", name=re.compile("^layer 1, head 0")).focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowDown")  # the first layer is at the bottom
    focused = "document.activeElement.getAttribute('aria-label')"
    assert tab.evaluate(focused).startswith("layer 0, head 1")
    tab.keyboard.press("Enter")
    until(tab, SHOWN, "layer 0, head 1")


def test_pointing_at_a_word_shows_whom_it_draws_on_and_who_on_it(opened):
    stack = np.zeros((2, 3, L, L))
    stack[0, 0, 7, 1], stack[0, 0, 8, 1], stack[0, 0, 7, 4], stack[0, 0, 2, 7] = 1.0, 0.5, -0.75, 0.375
    tab = opened([answered(attention={"self": replace(matrices(), scores=Array(stack))})])
    box = through(tab)
    reader = box.locator(".reader")
    word = {
        name: reader.locator(".only-words span.t", has_text=name).first for name in ("Who", "?", "wrote", "Lovelace")
    }
    strength = lambda name: re.search(r"\ba(\d+)\b", word[name].get_attribute("class")).group(1)  # noqa: E731
    word["Lovelace"].hover()
    assert told(box).startswith("“Lovelace” draws most on “Who” +1.5, “?” -0.75")
    assert (strength("Who"), strength("?"), strength("wrote")) == ("100", "50", "0")
    assert "n" in word["?"].get_attribute("class").split()
    assert "from" in word["Lovelace"].get_attribute("class").split()
    reader.get_by_role("button", name="who draws on it").click()
    assert told(box).startswith("“Lovelace” gives most to “wrote” +0.38")
    assert (strength("Who"), strength("wrote")) == ("0", "100")
    word["Who"].focus()
    assert told(box).startswith("“Who” gives most to “Lovelace” +1.5")
    scores = tab.locator(".row .only-words span.t", has_text="Lovelace")
    assert "from" not in scores.get_attribute("class").split()  # the text with the scores is left alone
    word["wrote"].hover()
    assert tab.locator(".tip").is_hidden()  # which tells scores
    assert strength("Lovelace") == "0"
    tab.locator("[name=least]").fill("95")  # and so does this
    word["Who"].hover()
    assert (strength("Lovelace"), strength("Who")) == ("100", "0")
    assert word["Who"].get_attribute("aria-description") is None


def test_the_layer_map_tells_its_numbers_by_word_and_token(opened):
    item = answered()
    tab = opened([item])
    view(tab, "Layers")
    flow = tab.locator(".flow")
    flow.locator("canvas").scroll_into_view_if_needed()
    until(tab, "() => document.querySelector('.flow canvas').style.width !== ''")
    tab.keyboard.press("Tab")
    flow.locator("canvas").focus()  # the largest number: 1.9 and 2.0 of its two tokens
    assert flow.locator(".readout").inner_text() == "layer 1 · “Lovelace” +3.90\u00a0logit"
    tab.keyboard.press("ArrowDown")
    assert flow.locator(".readout").inner_text().startswith("layer 0 · “Lovelace” +1.50")
    tab.get_by_role("button", name="tokens", exact=True).click()
    flow.locator("canvas").scroll_into_view_if_needed()
    until(tab, "() => document.querySelector('.flow .readout').textContent.startsWith('Point')")  # drawn anew
    tab.keyboard.press("Tab")
    flow.locator("canvas").focus()  # now the last token at the last layer: 23 / 10
    assert flow.locator(".readout").inner_text() == "layer 1 · “[SEP]” +2.30\u00a0logit"


def test_start_and_end_are_shown_one_at_a_time_and_both_on_paper(opened):
    tab = opened([answered("start"), answered("end", attention={"self": matrices(seed=1)})])
    box = through(tab)
    assert tab.locator(".stack:visible").count() == 1
    before = pixels(box)
    tab.locator(".through .tabs button", has_text="end").click()
    other = through(tab)
    assert pixels(other) != before
    assert other.get_attribute("data-title") == "end"
    tab.emulate_media(media="print")
    assert tab.locator(".stack:visible").count() == 2
    assert tab.locator("canvas:visible").count() == 0


def test_other_queries_and_keys_have_no_text_to_colour(opened):
    stack = Array(np.random.default_rng(0).standard_normal((1, 2, 3, L)))
    cross = replace(matrices(1), scores=stack, queries=("un", "deux", "trois"))
    tab = opened([answered(attention={"cross": cross})])
    box = through(tab)
    assert box.locator(".reader").is_hidden()
    tab.keyboard.press("Tab")
    box.locator("canvas.matrix").focus()
    assert re.match("“(un|deux|trois)” ← “", told(box))


def test_without_a_script_the_tables_read(opened):
    tab = opened([answered("start"), answered("end")], java_script_enabled=False)
    assert tab.locator("table.heads:visible").count() == 2
    assert tab.locator(".flows table:visible").count() == 2
    assert tab.locator(".pairs:visible li").count() == 16
    assert tab.locator(".live:visible, button:visible").count() == 0


def test_two_notebook_cells_do_not_share_their_choice(opened):
    one = fragment([answered()])
    tab = opened(None, html=f"<!doctype html><body>{one}{one}</body>")
    first, second = tab.locator(".stack").all()
    for cell, box in zip(tab.locator(".xai-nlp").all(), (first, second), strict=True):
        view(cell, "Attention")
        box.locator("canvas.matrix").scroll_into_view_if_needed()
    until(tab, "() => [...document.querySelectorAll('.stack')].every(one => one.dataset.shown)")
    shown = first.get_attribute("data-shown")
    second.get_by_role("button", name=re.compile("^all layers")).click()
    until(tab, "() => document.querySelectorAll('.stack')[1].dataset.shown === 'all layers'")
    assert first.get_attribute("data-shown") == shown


def test_many_tokens_and_heads_stay_smooth(opened, capsys):
    length = 384
    words = [f"w{i}" for i in range(length)]
    noise = np.random.default_rng(0).standard_normal((12, 12, length, length)).astype(np.float32) ** 9
    item = made(" ".join(words[2:]))  # and [CLS] and [SEP]
    item = replace(item, attention={"self": replace(matrices(12, 12, 2), scores=Array(noise))})
    tab = opened([item])
    box = through(tab)
    assert tab.evaluate("document.querySelectorAll('*').length") < 6000
    spent = tab.evaluate(
        """() => {
          const canvas = document.querySelector('canvas.matrix');
          const box = canvas.getBoundingClientRect();
          const begun = performance.now();
          for (let i = 0; i < 50; i++) {
            const [clientX, clientY] = [box.left + 40 + 8 * i, box.top + 40 + 7 * i];
            canvas.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, clientX, clientY }));
            document.body.offsetHeight;
          }
          return performance.now() - begun;
        }"""
    )
    assert "←" in told(box)
    with capsys.disabled():
        print(f"\n50 moves over 384 tokens × 12 × 12: {spent:.0f} ms")
