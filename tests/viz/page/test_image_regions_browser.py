"""The image in a browser: regions under pointer and keys, signs and opacity, what a word drew on, a phone, paper."""

import re

import pytest

from tests.viz.images import asked, boxed, photographed, segmented, small
from tests.viz.page.test_html_browser import fits
from xai_nlp.viz.page.html import fragment, page

pytestmark = pytest.mark.browser
KINDS = {"grid": asked, "boxes": boxed, "shapes": segmented}


def fill(tab, region, layer=".regions:not(.attended)"):
    """How opaque a region is, as it is drawn."""
    colour = tab.locator(f"{layer} [data-r='{region}']").evaluate("r => getComputedStyle(r).fill")
    numbers = re.findall(r"[\d.]+", colour)
    return float(numbers[3]) if len(numbers) > 3 else 1.0


def at_rest(tab):
    """Colours fade in; numbers are read when they have."""
    tab.wait_for_timeout(350)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("kind", KINDS)
def test_pages_with_images_are_quiet_and_fit(opened, kind, width, scheme):
    tab = opened([KINDS[kind](), small(method="occlusion", complete=False)], width, color_scheme=scheme)
    tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert fits(tab)
    tab = opened([KINDS[kind]()], width, color_scheme=scheme)
    assert fits(tab)
    assert tab.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")


@pytest.mark.parametrize(("width", "beside"), [(360, False), (1280, True)])
def test_the_original_stands_beside_or_above(opened, width, beside):
    tab = opened([photographed()], width)
    first, second = (tab.locator(".pic img").nth(n).bounding_box() for n in (0, 1))
    assert (first["y"] == second["y"]) == beside
    assert (first["x"] == second["x"]) != beside
    assert abs(first["width"] - second["width"]) < 1


@pytest.mark.parametrize("why", [photographed(3, 4), asked(), boxed()], ids=["wide", "square", "boxes"])
@pytest.mark.parametrize("width", [360, 800, 1280])
def test_regions_lie_on_the_image(opened, why, width):
    """A region's middle is where it is in the image as drawn, whatever the image's proportions."""
    tab = opened([why], width)
    image = tab.locator(".over img").bounding_box()
    across, down = why.image.size
    scale = min(image["width"] / across, image["height"] / down)  # contained, in the middle
    left = image["x"] + (image["width"] - across * scale) / 2
    top = image["y"] + (image["height"] - down * scale) / 2
    for r in (0, len(why.image.boxes) - 1):
        box = why.image.boxes[r]
        drawn = tab.locator(f".region[data-r='{r}']").bounding_box()
        assert drawn["x"] + drawn["width"] / 2 == pytest.approx(left + (box[0] + box[2]) / 2 * scale, abs=1)
        assert drawn["y"] + drawn["height"] / 2 == pytest.approx(top + (box[1] + box[3]) / 2 * scale, abs=1)


def test_the_number_of_a_region_on_hover(opened):
    tab = opened([small()])
    tab.locator(".region[data-r='3']").hover()
    assert (
        tab.locator(".tip").inner_text() == "row 2, column 2: +1.00\u00a0logit · 22\u00a0% of all that counts · no. 1"
    )
    assert tab.locator("path title").count() == 0  # the browser's own tip would be a second one
    assert tab.locator(".region[data-r='3']").get_attribute("aria-label") == "row 2, column 2: +1.00\u00a0logit"


def test_arrow_keys_go_through_the_grid(opened):
    tab = opened([small()])
    here = "document.activeElement.dataset.r"
    assert tab.locator(".region[tabindex='0']").count() == 1
    tab.locator(".region[tabindex='0']").focus()
    assert tab.evaluate(here) == "3"  # the strongest
    ways = {"R": "ArrowRight", "L": "ArrowLeft", "U": "ArrowUp", "D": "ArrowDown", "E": "End", "H": "Home"}
    for key, expected in ((ways[way], at) for way, at in zip("RULLUDEHR", "310002301", strict=True)):
        tab.keyboard.press(key)
        assert tab.evaluate(here) == expected, key
    assert "row 1, column 2: −0.25" in tab.locator(".tip").inner_text()
    assert tab.locator(".region[tabindex='0']").count() == 1
    tab.keyboard.press("Shift+Tab")
    tab.keyboard.press("Tab")
    assert tab.evaluate(here) == "1"  # where one was


def test_arrow_keys_go_from_box_to_box(opened):
    tab = opened([boxed()])
    tab.locator(".region[tabindex='0']").focus()
    seen = [tab.evaluate("document.activeElement.dataset.r")]
    for key in ("Home", "ArrowRight", "ArrowDown", "ArrowLeft"):
        tab.keyboard.press(key)
        seen.append(tab.evaluate("document.activeElement.dataset.r"))
    assert seen == ["2", "0", "1", "2", "1"]


def test_one_sign_at_a_time(opened):
    tab = opened([small()])
    at_rest(tab)
    assert fill(tab, 3) == pytest.approx(0.85, abs=0.01)
    assert fill(tab, 1) == pytest.approx(0.25 * 0.85, abs=0.01)
    tab.get_by_role("button", name="against").click()
    at_rest(tab)
    assert (fill(tab, 3), fill(tab, 1)) == (0, pytest.approx(0.25 * 0.85, abs=0.01))
    star = tab.locator("span.t", has_text="star").first
    assert star.evaluate("m => getComputedStyle(m).backgroundColor").endswith(", 0)")
    tab.get_by_role("button", name="for", exact=True).click()
    at_rest(tab)
    assert (fill(tab, 3) > 0.5, fill(tab, 1)) == (True, 0)
    tab.get_by_role("button", name="both").click()
    at_rest(tab)
    assert fill(tab, 1) > 0


def test_text_and_image_are_both_visible_from_the_start(opened):
    tab = opened([small((0.05, -0.025, 0.0, 0.1))])  # beside a word of 1.41
    at_rest(tab)
    star = tab.locator("span.t", has_text="star").first
    assert [fill(tab, r) for r in range(4)] == pytest.approx([0.5 * 0.85, 0.25 * 0.85, 0, 0.85], abs=0.01)
    assert "a100" in star.get_attribute("class").split()
    assert "On a scale of their own, up to 0.100\u00a0logit" in tab.locator(".caption").inner_text()
    assert "so has the image" in tab.locator(".legend:visible").inner_text()
    tab.get_by_role("button", name="shared scale").click()
    at_rest(tab)
    assert fill(tab, 3) == pytest.approx(0.07 * 0.85, abs=0.01)
    assert "a100" in star.get_attribute("class").split()
    assert "On the shared scale" in tab.locator(".caption").inner_text()
    assert "up to" not in tab.locator(".caption").inner_text()
    tab.get_by_role("button", name="each its own scale").click()
    at_rest(tab)
    assert fill(tab, 3) == pytest.approx(0.85, abs=0.01)


def test_opacity_and_the_strength_from_which_there_is_colour(opened):
    tab = opened([small()])
    tab.locator("[name=see]").fill("50")
    at_rest(tab)
    assert fill(tab, 3) == pytest.approx(0.5, abs=0.01)
    assert tab.locator("[name=see] + output").inner_text() == "50 %"
    tab.locator("[name=least]").fill("60")
    at_rest(tab)
    assert (fill(tab, 0), fill(tab, 3) > 0) == (0, True)


def test_a_word_shows_the_regions_it_drew_on(opened):
    why = small()
    drew = why.attention["image"].scores.numpy().astype(float).sum((0, 1))[5]  # “star”, after [CLS] and four words
    tab = opened([why])
    assert tab.locator(".hint").is_visible()
    tab.locator("span.t", has_text="star").first.click()
    told = tab.locator(".which")
    assert told.inner_text().startswith("What “star” drew from each region: most from row 2, column 2, +")
    assert told.get_attribute("role") == "status"
    assert tab.locator(".regions:not(.attended)").is_hidden()
    assert tab.locator(".badges").is_hidden()
    at_rest(tab)
    shares = [fill(tab, r, ".attended") for r in range(4)]
    assert shares == pytest.approx([0.85 * abs(n) / abs(drew).max() for n in drew], abs=0.01)
    tab.locator(".attended [data-r='3']").hover()
    number = re.search(r"\+([\d.]+)", tab.locator(".tip").inner_text()).group(1)
    assert float(number) == pytest.approx(drew[3], rel=0.01)
    assert "for “star”" in tab.locator(".tip").inner_text()
    tab.locator("button.back").click()
    assert tab.locator(".regions:not(.attended)").is_visible()
    assert tab.locator(".which").is_hidden()
    assert tab.locator(".looks").count() == 0


def test_focus_moves_from_word_to_word_and_escape_goes_back(opened):
    tab = opened([small()])
    tab.locator("span.t", has_text="colour").first.focus()
    assert "“colour”" in tab.locator(".which").inner_text()
    tab.keyboard.press("ArrowRight")
    assert "“is”" in tab.locator(".which").inner_text()
    assert tab.locator(".looks").count() == 1
    tab.keyboard.press("Escape")
    assert tab.locator(".which").is_hidden()
    tab.keyboard.press("ArrowRight")
    assert "“the”" in tab.locator(".which").inner_text()
    tab.locator(".attended [data-r='0']").focus()  # regions are read and left in this view too
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate("document.activeElement.dataset.r") == "2"
    tab.keyboard.press("Escape")
    assert tab.locator(".which").is_hidden()


def test_a_click_on_the_same_word_goes_back(opened):
    tab = opened([small()])
    word = tab.locator("span.t", has_text="star").first
    word.click()
    assert tab.locator(".which").is_visible()
    word.click()
    assert tab.locator(".which").is_hidden()
    word.click()
    assert tab.locator(".which").is_visible()


def test_a_word_of_several_tokens_draws_what_they_draw_together(opened):
    why = small()
    tokens = ("[CLS]", "what", "colour", "is", "the", "st", "ar?", "[SEP]")
    offsets = (*why.offsets[:5], (19, 21), (21, 24), (0, 0))
    cut = small(tokens=tokens, offsets=offsets)
    drew = cut.attention["image"].scores.numpy().astype(float).sum((0, 1))
    tab = opened([cut])
    tab.locator(".strip:visible span.t", has_text="star").first.click()
    tab.locator(".attended [data-r='3']").hover()
    number = re.search(r"\+([\d.]+)", tab.locator(".tip").inner_text()).group(1)
    words = cut.words()
    at = next(i for i, token in enumerate(words.tokens) if token.startswith("star"))
    expected = drew[5:7, 3].sum() if words.tokens[at] == "star?" else drew[5, 3]
    assert float(number) == pytest.approx(expected, rel=0.02)


def test_a_line_of_the_list_is_outlined_in_the_image(opened):
    tab = opened([small()])
    tab.locator("[data-region='3']").hover()
    assert tab.locator(".region.at").get_attribute("data-r") == "3"
    tab.locator("h1").hover()
    assert tab.locator(".region.at").count() == 0


def test_without_a_script_the_page_is_complete(browser, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(page([small()]), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False, viewport={"width": 800, "height": 800})
    tab = context.new_page()
    tab.goto(file.as_uri())
    assert tab.locator(".controls").is_hidden()
    assert tab.locator("button.back").is_hidden()
    assert tab.locator(".hint").is_hidden()
    assert tab.locator(".region").count() == 4
    assert tab.locator(".linked table").is_visible()
    assert tab.locator(".split").is_visible()
    context.close()


def test_two_fragments_keep_to_themselves(opened):
    one = fragment([small()])
    tab = opened(None, html=f"<!doctype html><body>{one}{one}</body>")
    second = tab.locator(".xai-nlp").nth(1)
    second.locator("span.t", has_text="star").first.click()
    assert tab.locator(".reading").count() == 1
    second.get_by_role("button", name="against").click()
    assert tab.locator(".xai-nlp").nth(0).get_attribute("data-sign") is None


def test_paper_keeps_the_colours(opened):
    tab = opened([small()])
    tab.emulate_media(media="print")
    assert tab.locator(".region").first.evaluate("r => getComputedStyle(r).printColorAdjust") == "exact"
    assert tab.locator(".pics").is_visible()
    assert tab.locator("button.back").is_hidden()
