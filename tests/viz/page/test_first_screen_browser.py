"""The first screen: what comes first, what is folded, what fits, and that colours are strong from the start."""

import re

import pytest

from tests.viz.images import small
from tests.viz.samples import answered, label, made
from xai_nlp.viz.page.report import report

pytestmark = pytest.mark.browser
SCORES = [0.0, 1.0, -0.5, 0.375, 0.0]
NEGATIVE = {"scores": [0.0, -1.0, 0.5, 0.25, 0.0], "target": label("NEGATIVE"), "value": -1.5}
OCCLUSION = {"scores": [0.0, 2.0, -1.0, 0.5, 0.0], "method": "occlusion", "complete": False}
FAINT = {"scores": [0.9, 0.01, -0.02, 0.005, 0.1], "method": "attention_rollout", "unit": "", "complete": False}
NAMES = ("integrated_gradients", "occlusion", "shapley_value_sampling", "attention_rollout")


def top(tab, selector):
    return tab.locator(selector).first.bounding_box()["y"]


def texts(tab, selector):
    return [one.strip() for one in tab.locator(f"{selector}:visible").all_inner_texts()]


def test_a_sentence_then_the_text_then_facts_then_controls(opened):
    tab = opened([made(scores=SCORES)], display=False)
    places = [top(tab, part) for part in ("h1", ".tokens", ".text > .meta", ".how", ".display", ".views")]
    assert places == sorted(places)
    assert texts(tab, ".text > .meta span")[:2] == ["integrated gradients", "zoo/sentiment"]
    assert tab.locator(".controls").inner_text().strip() == "Display"  # all of them are folded
    many = opened([made(f"film {n}") for n in range(7)], display=False)
    assert many.locator(".controls select:visible, .controls button:visible").count() == 0
    card = many.locator("article").first
    places = [card.locator(part).first.bounding_box()["y"] for part in (".say", ".tokens", ".meta", ".views")]
    assert places == sorted(places)


def test_three_lines_on_reading_are_open_on_the_first_visit_only(opened):
    tab = opened([made(scores=SCORES)], display=False)
    how = tab.locator(".how")
    assert len(texts(tab, ".how > p")) == 3
    example = how.locator("span.t").first
    assert example.evaluate(ALPHA) >= 0.6
    tab.reload()
    assert how.get_attribute("open") is None
    assert how.locator("p").first.is_hidden()
    how.locator("summary").first.click()
    assert how.locator("p").first.is_visible()


@pytest.mark.parametrize(
    "items",
    [[answered("span")], [made(f"film number {n}") for n in range(7)], [small()], [made(), made(**NEGATIVE)]],
    ids=["one", "many", "image", "labels"],
)
def test_on_a_phone_the_sentence_is_above_the_fold(opened, items):
    tab = opened(items, 390, display=False)  # on a first visit, with the lines on reading
    tab.set_viewport_size({"width": 390, "height": 664})  # an iPhone without its bars
    say = tab.locator(".say").first.bounding_box()
    assert say["y"] + say["height"] < 664


ALPHA = "mark => Number((getComputedStyle(mark).backgroundColor.match(/[\\d.]+/g) ?? [])[3] ?? 1)"
FILL = "mark => Number((getComputedStyle(mark).fill.match(/[\\d.]+/g) ?? [])[3] ?? 1)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("draw", [None, report])
def test_the_strongest_word_of_each_card_is_at_least_60_percent_opaque(opened, scheme, draw):
    """However small its scores, and however much a special token or the image scores."""
    weak, strong = made("weak", [0.0, 1e-7, 0.0]), made("strong and long", [0.0, 90.0, -120.0, 3.0, 0.0])
    one_task = [made(scores=SCORES), weak, strong, made("a rolled film", **FAINT)]
    items = one_task if draw else [*one_task, small((0.01, -0.02, 0.0, 0.005)), answered("start"), answered("end")]
    tab = opened(None, html=draw(items), color_scheme=scheme) if draw else opened(items, color_scheme=scheme)
    rows = tab.locator(".cards .row").all()
    assert len(rows) == len(items)
    for row in rows:
        row.scroll_into_view_if_needed()
        assert max(mark.evaluate(ALPHA) for mark in row.locator(".tokens span.t").all()) >= 0.6
        regions = [mark.evaluate(FILL) for mark in row.locator(".region").all()]
        assert not regions or max(regions) >= 0.6


def test_layers_and_attention_are_tabs(opened):
    tab = opened([answered("span")])
    assert texts(tab, ".views button") == ["Words", "Layers", "Attention", "Embeddings", "Every number"]
    assert tab.locator(".strongest").first.is_visible()
    for name, part in (("Layers", ".flows"), ("Attention", ".through"), ("Every number", ".numbers table")):
        tab.locator(".views button", has_text=name).click()
        assert tab.locator(part).first.is_visible()
        assert tab.locator(".strongest").first.is_hidden()
    tab.emulate_media(media="print")
    assert tab.locator(".flows, .through, .strongest").first.is_visible()


def test_the_tabs_of_many_texts_open_and_close(opened):
    tab = opened([answered("span"), made("b")])
    words, numbers = tab.locator("article").nth(1).locator(".views button").all()
    assert tab.locator(".strongest:visible, .more summary:visible").count() == 0
    words.click()
    assert words.get_attribute("aria-pressed") == "true"
    assert tab.locator(".strongest:visible").count() == 2  # words, and how they add up
    words.click()
    assert words.get_attribute("aria-pressed") == "false"
    assert tab.locator(".strongest:visible").count() == 0
    numbers.click()
    assert tab.locator(".numbers table:visible").count() == 1


def test_a_switch_shows_the_scores_of_each_label(opened):
    tab = opened([made(**NEGATIVE), made(scores=SCORES)])
    assert texts(tab, ".switch button") == ["NEGATIVE 25\u00a0%", "POSITIVE 75\u00a0%", "all"]
    assert tab.locator("h1").inner_text().startswith("The model says POSITIVE (75\u00a0%). “a” and “film” speak for")
    assert tab.locator("[data-rows=target]").count() == 0
    assert texts(tab, ".row h2") == ["POSITIVE"]  # what the model says
    assert texts(tab, ".strongest thead th")[1:] == ["POSITIVE, logit"]
    tab.locator(".switch button", has_text="NEGATIVE").click()
    assert texts(tab, ".row h2") == ["NEGATIVE"]
    assert texts(tab, ".strongest thead th")[1:] == ["NEGATIVE, logit"]
    assert texts(tab, ".row .note")[0].startswith("“fine” and “film” speak for it most; “a” speaks against it.")
    tab.locator(".switch button", has_text="all").click()
    assert texts(tab, ".row h2") == ["NEGATIVE", "POSITIVE"]


def test_without_a_script_every_label_is_there(opened):
    tab = opened([made(**NEGATIVE), made(scores=SCORES)], java_script_enabled=False, display=False)
    assert texts(tab, ".row h2") == ["NEGATIVE", "POSITIVE"]
    assert tab.locator("button:visible").count() == 0
    assert tab.locator(".strongest").first.is_visible()


def test_a_switch_of_labels_and_attention(opened):
    tab = opened([answered("start", target=label(name), answer=None) for name in ("Ada", "it")])
    tab.locator(".views button", has_text="Attention").click()
    assert texts(tab, ".through .tabs button") == ["Ada"]
    tab.locator(".switch button", has_text="it").click()
    assert texts(tab, ".through .tabs button") == ["it"]
    assert tab.locator(".stack:visible").get_attribute("data-title") == "it"


def test_filters_hide_what_does_not_match(opened):
    tab = opened([made(scores=SCORES), made(**OCCLUSION), made("another film", [0.0, 1.0, -0.5, 0.0])])
    tab.locator("[data-rows=method]").select_option("occlusion")
    assert texts(tab, ".row h3") == ["occlusion"]
    first, second = tab.locator("article").all()
    assert second.is_visible()  # it has a single explanation: nothing to choose from
    first.locator(".views button", has_text="Words").click()
    assert first.locator(".strongest thead th:visible").all_inner_texts()[1:] == ["occlusion, logit"]
    second.locator(".views button", has_text="Words").click()
    bars = second.locator(".strongest:not(:has(.balance)) li:visible")
    assert len(bars.all()) == 2
    tab.get_by_role("button", name="against", exact=True).click()
    assert bars.all_inner_texts() == ["film\n−0.50"]
    assert first.locator(".tokens span.t.p").first.evaluate(ALPHA) == 0


def test_a_card_without_a_matching_explanation_is_hidden(opened):
    both = [made("a"), made("a", method="occlusion")]
    tab = opened([*both, made("b", method="saliency"), made("b", method="random")])
    tab.locator("[data-rows=method]").select_option("saliency")
    assert texts(tab, "p.tokens") == ["b"]
    tab.locator("[data-rows=method]").select_option("")
    assert len(texts(tab, "p.tokens")) == 4


@pytest.mark.parametrize("width", [700, 1280])
def test_legends_side_by_side_fit(opened, width):
    tab = opened(
        [made("a fine film " * 3, method=name, unit="" if "att" in name else "logit") for name in NAMES], width
    )
    tab.get_by_role("button", name="side by side").click()
    for row in tab.locator(".row").all():
        box = row.bounding_box()
        for part in row.locator(".legend *:visible").all():
            edge = part.bounding_box()
            assert edge["x"] >= box["x"] - 1
            assert edge["x"] + edge["width"] <= box["x"] + box["width"] + 1


def test_an_entity_is_marked_in_its_text_as_an_answer_is(opened):
    target = label("PER", kind="entity", answer="Angela Merkel")
    why = made("We met Angela Merkel", target=target, outputs={"PER": 0.99, "O": 0.01}, answer=(0, (7, 20)),
               task="token-classification")  # fmt: skip
    tab = opened([why])
    assert tab.locator("h1").inner_text().startswith("The model reads “Angela Merkel” as PER (99\u00a0%).")
    assert tab.locator(".row mark.answer").inner_text() == "Angela Merkel"
    assert re.search("explained", tab.locator(".outputs li", has_text="PER").inner_text())
