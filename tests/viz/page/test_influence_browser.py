"""Pages of influence in a browser: quiet, on a phone too, with numbers at the pointer and both scales."""

import re

import pytest

from tests.viz.influences import suspects, traced
from tests.viz.page.test_html_browser import fits
from tests.viz.page.test_many_browser import serious
from tests.viz.samples import HOSTILE
from xai_nlp.viz.page.influence import influence_cell, influence_page, suspects_page

pytestmark = pytest.mark.browser
TEXTS = [text[:600] for text in HOSTILE.values()] + ["y" * 300, "label" * 40]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_hostile_pages_are_quiet_and_fit(opened, width, scheme):
    result = traced(TEXTS, TEXTS, query=TEXTS[0], label="LABEL_" + "x" * 120, model="z" * 90)
    for html in (influence_page(result), suspects_page(suspects(TEXTS))):
        tab = opened(None, width, html, color_scheme=scheme)
        assert fits(tab)
        tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert fits(tab)


def test_numbers_at_the_pointer_and_the_shared_scale(opened):
    tab = opened(None, html=influence_page(traced()))
    mark = tab.locator(".pair .strip:visible span.t", has_text="film").first
    mark.hover()
    assert tab.locator(".tip").inner_text() == "“film” +0.250\u00a0nat · 25\u00a0% of all that counts · no. 3"
    weak = tab.locator(".pair").nth(2).locator("span.t:visible", has_text="film").first
    assert re.search(r"\ba100\b", weak.get_attribute("class"))
    tab.get_by_role("button", name="shared scale").click()
    assert re.search(r"\ba25\b", weak.get_attribute("class"))
    assert tab.locator(".shared-legend").is_visible()


def test_sides_are_beside_each_other_and_below_on_a_phone(opened):
    for width, beside in ((1280, True), (390, False)):
        tab = opened(None, width, influence_page(traced()))
        first, second = (tab.locator("h2.side").nth(i).bounding_box() for i in (0, 1))
        assert (first["y"] == second["y"]) == beside


def test_a_cell_wakes_up(opened):
    tab = opened(None, html="<!doctype html><meta charset=utf-8><body>" + influence_cell(traced(), assets=True))
    assert tab.locator(".controls").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("html", [influence_page(traced()), suspects_page(suspects())], ids=["influence", "suspects"])
def test_axe_finds_nothing_serious(opened, html, scheme):
    assert serious(opened(None, html=html, color_scheme=scheme, bypass_csp=True)) == []


def test_paper_has_everything(opened):
    tab = opened(None, html=influence_page(traced([f"film {n}" for n in range(14)])))
    tab.emulate_media(media="print")
    assert not tab.locator(".controls").is_visible()
