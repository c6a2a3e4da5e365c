"""The page of an overview in a browser: it fits, it is accessible, words are found, examples are linked."""

import pytest

from tests.viz.overviews import overview, words
from xai_nlp.viz.page.overview import overview_page

pytestmark = pytest.mark.browser


def fits(tab):
    return tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1100])
def test_it_fits_and_is_accessible(opened, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    long = words(3, labels=("x" * 90, "a label of several words"))
    tab = opened(None, width, html=overview_page(overview([long, *list(overview().tables.values())[1:]])),
                 color_scheme=scheme)  # fmt: skip
    assert fits(tab)
    tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert fits(tab)
    results = Axe().run(tab)
    assert results.violations_count == 0, results.generate_report()


def test_words_are_found_in_all_tables(opened):
    tab = opened(None, html=overview_page(overview()))
    tab.fill("form.find input", "WORD11")
    seen = tab.locator(".lines li:visible .word").all_text_contents()
    assert "word11" in seen and all("word11" in word for word in seen)
    assert tab.locator("form.find output").text_content() == f"{len(seen)} lines"
    assert tab.locator("#s-heads .lines:visible").count() == 0
    tab.fill("form.find input", "")
    assert tab.locator("#s-heads .lines:visible").count() == 1
    assert tab.locator("form.find output").text_content() == ""


def test_links_lead_to_examples_and_to_files(opened):
    tab = opened(None, html=overview_page(overview()))
    link = tab.locator("#s-lexicon .refs a").first
    link.click()
    target = link.get_attribute("href")
    assert tab.evaluate("location.hash") == target
    assert tab.locator(target).is_visible()
    far = tab.locator("#s-lexicon .refs a[href='#row-60']").first
    assert "rows-00000000-00000512.parquet, row 9" in far.get_attribute("title")
    tab.evaluate("location.hash = '#row-60'")  # the link itself is among the folded lines
    assert tab.locator("#row-60").is_visible()  # the list of files unfolds
    box = tab.locator("#row-60").bounding_box()
    assert 0 <= box["y"] < 800


def test_it_reads_without_a_script(browser, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(overview_page(overview()), encoding="utf-8")
    tab = browser.new_context(java_script_enabled=False, viewport={"width": 1100, "height": 900}).new_page()
    tab.goto(file.as_uri())
    assert tab.locator("h1").inner_text().startswith("The model says")
    assert tab.locator(".lines li:visible").count() >= 12
    assert tab.locator("form.find").is_hidden()
    tab.locator("#s-lexicon details:not(.computed) summary").first.click()
    assert tab.locator(".lines li:visible").count() > 60
    tab.context.close()
