"""A report: complete, light, safe, the same twice, and alive in a browser."""

import random
import re

import pytest

from tests.viz.images import asked
from tests.viz.samples import HOSTILE, label, made, with_gold
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.page.report import report

WORDS = ("good", "bad", "film", "story", "never", "gripping", "dull", "of", "the", "long")


def reviews(count, length=12):
    """Reviews whose words have scores drawn at random, half of them judged wrong."""
    draws = random.Random(3)
    items = []
    for n in range(count):
        text = " ".join(draws.choices(WORDS, k=length))
        name, other = ("POSITIVE", "NEGATIVE") if n % 3 else ("NEGATIVE", "POSITIVE")
        scores = [0.0, *(draws.gauss(0, 0.4) for _ in range(length)), 0.0]
        why = made(text, scores=scores, target=label(name), outputs={name: 0.6 + 0.001 * n, other: 0.4 - 0.001 * n})
        items.append(with_gold(why, name if n % 2 else other))
    return items


def opened_report(opened, items, **options):
    return opened(None, html=report(items, date="2026-01-02"), **options)


def test_it_says_what_it_is_of():
    items = reviews(6)
    html = report(items, title="Six films", data="films, six", date="2026-01-02")
    for told in ("<h1>Six films</h1>", "films, six", "2026-01-02", "xai_nlp 0.1.0", "baseline pad · steps auto"):
        assert told in html
    assert "50\xa0%" in html  # three of six right
    assert html == report(items, title="Six films", data="films, six", date="2026-01-02")


def test_five_hundred_examples_of_128_tokens_fit_into_5_megabytes():
    items = reviews(500, 126)
    assert len(report(items).encode()) < 5_000_000


def test_every_number_is_in_it():
    why = made("a fine film", scores=[0.0, 1.0, -0.5, 1.25e-9, 0.0])
    assert 'data-numbers="1.00 -0.50 0.00"' in report([why])


def test_what_is_hostile_is_inert():
    items = [made(text[:300], target=label(text[:40]), outputs={text[:40]: 0.9, "x": 0.1}) for text in HOSTILE.values()]
    html = report(items, title=HOSTILE["markup"], data=HOSTILE["markup"], date=HOSTILE["markup"])
    assert "<img src=x" not in html
    assert html.count("</script>") == 1
    assert "unsafe" not in re.search(r'Content-Security-Policy" content="([^"]+)"', html).group(1)
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    for target in re.findall(r'href="#([^"]+)"', html):
        assert target in ids


def test_one_task_at_a_time():
    with pytest.raises(InvalidInput, match="text classification and visual question answering"):
        report([made(), asked()])
    with pytest.raises(InvalidInput, match="got none"):
        report([])


def test_methods_of_one_text_are_one_example_and_their_words_stay_apart():
    html = report([made(method="occlusion"), made(), made("another film")])
    assert html.count("<article") == 2
    assert html.count("<h4>") == 2
    assert html.count('class="card strongest"') == 2


def test_judged_once_however_many_methods():
    items = [made(), made(method="occlusion")]
    html = report([*(with_gold(why, "POSITIVE") for why in items), with_gold(made("b film"), "NEGATIVE")])
    assert "of 2 judged" in html


def test_what_explanations_know_to_be_right_counts():
    html = report([with_gold(made(), "POSITIVE"), with_gold(made("b film"), "NEGATIVE", "MIXED"), made("c")])
    assert "of 2 judged" in html
    assert html.count('data-right="right"') == html.count('data-right="wrong"') == 1


def test_models_are_judged_apart():
    html = report([with_gold(why, "POSITIVE") for why in (made(), made(model="other"))])
    assert "right of other" in html
    assert html.count("of 1 judged") == 2


def test_an_example_explained_twice_is_no_two_observations():
    told = report([asked(), asked(links=False, method="occlusion")])
    assert told.count(": one observation") == 4  # text and image, for each method
    assert "Text and image, occlusion" in told


def test_images_and_heads_are_summed_up():
    told = report([asked(), asked(links=False)])
    assert "Text and image" in told
    assert "Heads, image" in told
    assert told.count("data:image/png") == 2


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_reports_are_quiet_and_fit(opened, width, scheme):
    items = [made(text[:300]) for text in HOSTILE.values()]
    tab = opened_report(opened, items, width=width, color_scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    tab = opened_report(opened, [asked(), asked(links=False)], width=width)
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.browser
def test_numbers_come_when_a_text_is_near(opened):
    tab = opened_report(opened, reviews(60))
    last = tab.locator("article").last
    assert last.locator(".t[data-n]").count() == 0  # far below
    last.scroll_into_view_if_needed()
    mark = last.locator("span.t").first
    tab.wait_for_function("mark => mark.dataset.n !== undefined", arg=mark.element_handle())
    mark.hover()
    assert re.match(r"“\w+” [+−]0\.\d+\s*logit · .*% of all that counts", tab.locator(".tip").inner_text())
    told = last.locator("p.tokens").get_attribute("data-numbers").split(" ")
    shown = [one.get_attribute("data-n") for one in last.locator("span.t").all()]
    assert [n.replace("−", "-").removeprefix("+") for n in shown] == told


@pytest.mark.browser
def test_examples_are_found_sorted_and_opened_from_the_table(opened):
    items = reviews(30)
    tab = opened_report(opened, items)
    cards, lines = tab.locator("article:visible"), tab.locator(".index tbody tr:visible")
    tab.get_by_label("answers").select_option("wrong")
    assert cards.count() == lines.count() == 15
    tab.get_by_role("combobox", name="predicted").select_option("NEGATIVE")
    assert cards.count() == lines.count() == 5
    assert all(one.get_attribute("data-label") == "NEGATIVE" for one in cards.all())
    tab.get_by_role("searchbox").fill("zzz")
    assert tab.locator(".none").is_visible()
    tab.get_by_role("searchbox").fill("")
    tab.get_by_role("combobox", name="predicted").select_option("")
    head = tab.get_by_role("button", name="output")
    head.click()
    head.focus()
    tab.keyboard.press("Enter")
    assert tab.get_by_role("columnheader", name="output").get_attribute("aria-sort") == "descending"
    order = [float(cell.get_attribute("data-key")) for cell in tab.locator(".index tbody td:nth-child(4)").all()]
    assert order == sorted(order, reverse=True)
    link = lines.nth(3).get_by_role("link")
    link.focus()
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == lines.nth(3).get_attribute("data-for")
    assert cards.nth(3).get_attribute("id") == lines.nth(3).get_attribute("data-for")


@pytest.mark.browser
def test_scale_sign_and_threshold_reach_texts_seen_later(opened):
    tab = opened_report(opened, reviews(60))
    tab.get_by_role("button", name="each its own scale").click()
    tab.locator("[name=least]").fill("50")
    last = tab.locator("article").last
    last.scroll_into_view_if_needed()
    tab.wait_for_function("card => card.querySelector('.t[data-n]')", arg=last.element_handle())
    strengths = [int(re.search(r"\ba(\d+)", m.get_attribute("class")).group(1)) for m in last.locator("span.t").all()]
    assert max(strengths) == 100
    assert all(n == 0 or n >= 50 for n in strengths)
    tab.get_by_role("button", name="for", exact=True).click()
    against = last.locator("span.t.n").first
    assert against.evaluate("mark => getComputedStyle(mark).getPropertyValue('--a').trim()") == "0"


@pytest.mark.browser
def test_without_scripts_links_and_words_are_there(opened):
    tab = opened_report(opened, reviews(8), java_script_enabled=False)
    assert tab.locator(".controls").is_hidden()
    tab.locator(".index a").nth(5).click()
    assert tab.url.endswith(tab.locator("article").nth(5).get_attribute("id"))
    assert "left unexplained" in tab.locator("article").first.inner_text()
