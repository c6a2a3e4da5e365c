"""Pages opened in a real browser, which must stay quiet."""

import shutil

import pytest

from xai_nlp.viz.page.html import page


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    assert path, "install Debian's chromium to run the page tests"
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page; after the test it must have been quiet: no error, violation, dialog or request.

    display: unfold the controls.
    """
    tabs = []

    def open_(why, width=1280, html=None, display=True, **options):
        file = tmp_path / f"page{len(tabs)}.html"
        file.write_text(html or page(why), encoding="utf-8")
        tab = browser.new_context(viewport={"width": width, "height": 800}, **options).new_page()
        tab.troubles = []
        tab.on("console", lambda message: tab.troubles.append(message.text))
        tab.on("pageerror", lambda error: tab.troubles.append(str(error)))
        tab.on("dialog", lambda dialog: (tab.troubles.append("dialog"), dialog.dismiss()))
        tab.on("request", lambda r: r.url.startswith(("file:", "data:", "blob:")) or tab.troubles.append(r.url))
        tab.goto(file.as_uri())
        if display:  # the controls are folded at first
            tab.evaluate("document.querySelectorAll('details.display').forEach(one => { one.open = true; })")
        tabs.append(tab)
        return tab

    yield open_
    for tab in tabs:
        assert tab.troubles == []
        tab.context.close()
