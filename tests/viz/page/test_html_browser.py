"""The page in a browser: no error, no violation of its policy, numbers on hover and focus, a phone's width."""

import json
import re

import pytest

from tests.viz.contrast import contrast
from tests.viz.images import small
from tests.viz.samples import HOSTILE, label, made
from xai_nlp.viz.page.html import fragment
from xai_nlp.viz.text.scale import DARK, LIGHT

pytestmark = pytest.mark.browser
SCORES = [0.0, 1.0, -0.5, 0.375, 0.0]
SUBWORDS = made("bad", tokens=("ba", "d"), offsets=((0, 2), (2, 3)), segment=(0, 0), scores=(0.25, 0.5))


def strengths(tab):
    """The strength class of each visible mark."""
    marks = tab.locator(".strip span.t:visible").all()
    return [int(re.search(r"\ba(\d+)\b", mark.get_attribute("class")).group(1)) for mark in marks]


def fits(tab):
    return tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_hostile_pages_are_quiet_and_fit(opened, width, scheme):
    tab = opened([made(text[:600]) for text in HOSTILE.values()], width, color_scheme=scheme)
    assert fits(tab)
    shown = tab.eval_on_selector_all("p.tokens", "all => all.map(p => p.textContent)")
    assert shown == [text[:600] for text in HOSTILE.values()]
    tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert fits(tab)


def test_words_and_names_without_a_break_fit_a_phone(opened):
    name = "LABEL_" + "x" * 120
    why = made("y" * 300, target=label(name), outputs={name: 0.9, "other": 0.1}, model="z" * 90)
    for shown in ([why], [why, made("y" * 300, method="m" * 80)], [why, made()]):
        tab = opened(shown, 360)
        tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert fits(tab)


def test_the_policy_stops_what_the_page_did_not_bring(opened):
    tab = opened([made()])
    tab.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.evil = 1'}))"
    )
    assert tab.evaluate("window.evil") is None
    assert any("Content Security Policy" in trouble for trouble in tab.troubles)
    tab.troubles.clear()


@pytest.mark.parametrize("width", [360, 1280])
def test_several_methods_fit(opened, width):
    names = ("integrated_gradients", "occlusion", "shapley_value_sampling", "attention_rollout")
    tab = opened(
        [made("a fine film " * 8, method=name, unit="" if "att" in name else "logit") for name in names], width
    )
    assert fits(tab)
    edges = tab.eval_on_selector_all(".row .tokens", "all => all.map(p => p.getBoundingClientRect().left)")
    assert len(set(edges)) == 1  # aligned, one under the other


def test_numbers_on_hover_and_focus(opened):
    tab = opened([made(scores=SCORES)])
    tip = tab.locator(".tip")
    assert tip.is_hidden()
    tab.locator("span.t", has_text="fine").hover()
    assert tip.inner_text() == "“fine” −0.50\u00a0logit · 27\u00a0% of all that counts · no. 2"
    tab.locator("h1").hover()
    assert tip.is_hidden()
    tab.locator("span.t", has_text="fine").focus()
    assert "−0.50" in tip.inner_text()
    tab.keyboard.press("ArrowRight")
    assert "+0.38" in tip.inner_text()
    tab.keyboard.press("Home")
    assert "+1.00" in tip.inner_text()
    tab.keyboard.press("ArrowLeft")  # there is none before
    assert "+1.00" in tip.inner_text()
    tab.keyboard.press("Escape")
    assert tip.is_hidden()


def test_a_text_is_one_stop_for_the_tab_key(opened):
    tab = opened([made(scores=SCORES)])
    tab.locator("span.t", has_text="fine").focus()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.tagName") == "SUMMARY"
    tab.keyboard.press("Shift+Tab")
    assert tab.evaluate("document.activeElement.textContent") == "fine"  # where one was


@pytest.mark.parametrize("width", [360, 700])
def test_the_number_stays_on_the_page_at_every_edge(opened, width):
    tab = opened([made("a fine film " * 30, unit="a long name of a unit")], width)
    for mark in tab.locator("p.tokens span.t").all()[:25]:
        mark.hover()
        box = tab.locator(".tip").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] >= 0
    assert fits(tab)


def test_words_and_tokens(opened):
    tab = opened([SUBWORDS, made()])
    texts = tab.locator("p.tokens:visible")
    assert [text.locator("span.t").count() for text in texts.all()] == [1, 3]
    tab.get_by_role("button", name="tokens").click()
    assert [text.locator("span.t").count() for text in texts.all()] == [2, 3]  # where they do not differ, text stays
    assert texts.all_text_contents() == ["bad", "a fine film"]
    assert tab.get_by_role("button", name="tokens").get_attribute("aria-pressed") == "true"
    assert tab.get_by_role("button", name="words", exact=True).get_attribute("aria-pressed") == "false"


def test_scales_and_the_least_strength_shown(opened):
    tab = opened([made(scores=SCORES), made("weak", [0.0, 0.5, 0.0])])
    assert strengths(tab) == [100, 50, 38, 100]
    assert tab.locator(".legend:visible").count() == 2
    tab.get_by_role("button", name="shared scale").click()
    assert strengths(tab) == [100, 50, 38, 50]
    assert tab.locator(".legend:visible").count() == 1
    tab.get_by_role("button", name="each its own").click()
    tab.locator("[name=least]").fill("40")
    assert strengths(tab) == [100, 50, 0, 100]
    assert tab.locator(".least output").inner_text() == "40 %"
    tab.locator("[name=least]").fill("0")
    assert strengths(tab) == [100, 50, 38, 100]
    tab.get_by_role("button", name="shared scale").click()
    assert strengths(tab) == [100, 50, 38, 50]


def test_search_filter_and_sort(opened):
    negative = {"outputs": {"NEGATIVE": 0.9, "POSITIVE": 0.1}, "target": label("NEGATIVE")}
    tab = opened([made(f"Film {n}", [0.0, float(n), 0.1, 0.0], **(negative if n % 2 else {})) for n in range(6)])
    texts = tab.locator("p.tokens:visible")
    assert texts.all_text_contents() == [f"Film {n}" for n in range(6)]
    tab.locator("[name=sort]").select_option("top")
    assert texts.all_text_contents() == [f"Film {n}" for n in (5, 4, 3, 2, 1, 0)]
    tab.locator("[name=label]").select_option("NEGATIVE")
    assert texts.all_text_contents() == ["Film 5", "Film 3", "Film 1"]
    tab.locator("[name=search]").fill("fILM 3")
    assert texts.all_text_contents() == ["Film 3"]
    tab.locator("[name=search]").fill("nowhere")
    assert texts.count() == 0
    assert tab.locator("[role=status]").is_visible()
    tab.locator("[name=search]").press("Enter")  # sends nothing anywhere


def test_the_numbers_can_be_saved(opened):
    why = [made(HOSTILE["markup"])]
    tab = opened(why)
    with tab.expect_download() as download:
        tab.get_by_role("button", name="save").click()
    saved = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert saved == [json.loads(why[0].to_json())]


def test_a_long_text_can_be_opened(opened):
    tab = opened([made(HOSTILE["long"])], 360)
    strip = tab.locator(".strip:visible")
    low = strip.bounding_box()["height"]
    assert low < 500
    tab.get_by_role("button", name="show all of the text").click()
    assert strip.bounding_box()["height"] > 4 * low
    assert fits(tab)


@pytest.mark.parametrize(("scheme", "theme"), [("light", LIGHT), ("dark", DARK)])
def test_the_browser_shows_the_colours_of_the_scale(opened, scheme, theme):
    tab = opened([made(scores=SCORES)], color_scheme=scheme, reduced_motion="reduce")
    seen = tab.locator("span.t", has_text="fine").evaluate(
        "mark => [getComputedStyle(mark).color, getComputedStyle(mark).backgroundColor,"
        " getComputedStyle(mark.closest('.card')).backgroundColor]"
    )
    ink, back, card = (tuple(map(float, re.findall(r"[\d.]+", colour))) for colour in seen)
    assert ink == theme.ink
    assert card == theme.card
    assert back == (*theme.negative, 0.5)
    over = tuple(round(c + (b - c) * back[3]) for c, b in zip(card, back[:3], strict=True))
    assert contrast(ink, over) >= 4.5
    assert max(abs(a - b) for a, b in zip(over, theme.colour(-0.5, 1.0), strict=True)) <= 1


def test_paper_is_white_whole_and_without_controls(opened):
    tab = opened([made(HOSTILE["long"])], color_scheme="dark")
    tab.emulate_media(media="print", color_scheme="dark")
    assert tab.locator(".controls").is_hidden()
    assert tab.locator(".strip:visible").bounding_box()["height"] > 1500
    card = tab.locator(".card.text").evaluate("card => getComputedStyle(card).backgroundColor")
    assert card == "rgb(255, 255, 255)"


def test_text_runs_in_its_own_direction(opened):
    tab = opened([made("שלום עולם טוב"), made("good world")])
    directions = tab.eval_on_selector_all("p.tokens", "all => all.map(p => getComputedStyle(p).direction)")
    assert directions == ["rtl", "ltr"]
    tab.locator("span.t", has_text="עולם").focus()
    tab.keyboard.press("ArrowLeft")  # onwards, in a text that runs to the left
    assert tab.evaluate("document.activeElement.textContent") == "טוב"


def test_readable_without_scripts(opened):
    from playwright.sync_api import expect

    tab = opened([SUBWORDS, made(scores=SCORES)], java_script_enabled=False)
    # A card is drawn when it comes into view: that may be a moment after the page is loaded.
    expect(tab.locator("p.tokens:visible")).to_have_text(["bad", "a fine film"], use_inner_text=True)
    assert tab.locator("h1").inner_text() == "2\u00a0texts explained"
    assert tab.locator(".controls").is_hidden()
    assert tab.locator("button:visible").count() == 0
    tab.locator("summary", has_text="Strongest").last.click()
    assert tab.locator(".strongest:visible .n").first.inner_text() == "+1.00"


def test_two_fragments_live_in_one_notebook(opened):
    one = fragment([made(scores=SCORES)])
    notebook = f"<!doctype html><body data-jp-theme-light='true'><p class=t>mine</p>{one}{one}</body>"
    tab = opened(None, html=notebook, color_scheme="dark")
    assert tab.locator(".tip").count() == 2
    second = tab.locator(".xai-nlp").nth(1)
    second.locator("[name=least]").fill("60")
    assert strengths(second) == [100, 0, 0]
    assert strengths(tab.locator(".xai-nlp").nth(0)) == [100, 50, 38]
    # the notebook's own light theme counts, not the system's dark one, and its own text is left alone
    card = second.locator(".card.text").evaluate("card => getComputedStyle(card).backgroundColor")
    assert card == "rgb(255, 255, 255)"
    mine = tab.locator("p.t").evaluate("p => getComputedStyle(p).backgroundColor")
    assert mine == "rgba(0, 0, 0, 0)"


ALPHA = "mark => Number(getComputedStyle(mark).backgroundColor.match(/[\\d.]+/g)[3] ?? 1)"


def test_the_strongest_word_of_each_example_is_in_full_colour(opened):
    """A small score is as visible as a large one: each example starts with a scale of its own."""
    tab = opened([made(scores=SCORES), made("weak", [0.0, 0.001, 0.0]), small()], reduced_motion="reduce")
    for card, word in zip(tab.locator("article").all(), ("a", "weak", "star"), strict=True):
        mark = card.locator("span.t", has_text=re.compile(rf"^{word}$")).first
        assert mark.evaluate(ALPHA) == 1
    tab.get_by_role("button", name="shared scale").click()
    weak = tab.locator("article").nth(1).locator("span.t").first
    assert weak.evaluate(ALPHA) == 0


JARGON = (
    "logit",
    "integrated gradients",
    "tokenizer",
    "token",
    "baseline",
    "attribution",
    "f(x",
    "residual",
    "softmax",
    "seed",
    "embedding",
    "special",
    "steps",
    "target",
    "gradient",
    "score",
    "hidden",
    "tensor",
)


def test_the_first_screen_is_a_sentence_and_at_most_three_explained_terms(opened):
    tab = opened([made(scores=[0.125, *SCORES[1:]])], display=False)
    top = tab.locator("h1")
    assert top.inner_text().startswith("The model says POSITIVE (75\u00a0%). “a” and “film” speak for it most")
    first = tab.evaluate(
        """() => [...document.querySelectorAll('h1, .how > summary, .controls, .card.text, .two > div:first-child')]
          .filter((part) => part.getBoundingClientRect().top < innerHeight).map((part) => part.innerText).join('\\n')"""
    ).lower()
    terms = {term.inner_text().lower(): term.get_attribute("title") for term in tab.locator(".term:visible").all()}
    assert set(terms) == {"integrated gradients", "tokenizer", "logit"}
    assert all(terms.values())
    for term in terms:
        first = first.replace(term, "")
    assert [word for word in JARGON if word in first] == []
    tab.locator(".how summary", has_text="terms").click()  # a finger and a keyboard have no tooltip
    assert all(term in tab.locator(".how").inner_text() for term in terms)
    assert tab.locator(".display > div").is_hidden()
    tab.locator(".display summary").click()
    assert tab.get_by_role("button", name="against", exact=True).is_visible()
