"""The page in a browser: no error, no violation of its policy, numbers on hover and focus, a phone's width."""

import shutil

import pytest

from tests.viz.samples import HOSTILE, made
from xai_nlp.viz.html import page

pytestmark = pytest.mark.browser


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


def opened(browser, tmp_path, why, width=1280, **options):
    file = tmp_path / "page.html"
    file.write_text(page(why), encoding="utf-8")
    tab = browser.new_context(viewport={"width": width, "height": 800}, **options).new_page()
    tab.troubles = []
    tab.on("console", lambda message: tab.troubles.append(message.text))
    tab.on("pageerror", lambda error: tab.troubles.append(str(error)))
    tab.on("dialog", lambda dialog: (tab.troubles.append("dialog"), dialog.dismiss()))
    tab.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:")) else tab.troubles.append(request.url),
    )
    tab.goto(file.as_uri())
    return tab


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_hostile_pages_are_quiet_and_fit(browser, tmp_path, width, scheme):
    tab = opened(browser, tmp_path, [made(text[:600]) for text in HOSTILE.values()], width, color_scheme=scheme)
    assert tab.troubles == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    shown = tab.eval_on_selector_all("p.tokens", "all => all.map(p => p.textContent)")
    assert HOSTILE["markup"] in shown
    assert HOSTILE["emoji"] in shown


def test_numbers_on_hover_and_focus(browser, tmp_path):
    tab = opened(browser, tmp_path, [made(scores=[0.0, 1.0, -0.5, 0.375, 0.0])])
    tip = tab.locator(".tip")
    assert tip.is_hidden()
    tab.locator(".only-words span.t", has_text="fine").first.hover()
    assert "−0.5" in tip.inner_text()
    tab.locator(".only-words span.t", has_text="a").first.focus()
    assert "+1" in tip.inner_text()
    tab.keyboard.press("ArrowRight")
    assert "−0.5" in tip.inner_text()
    assert tab.troubles == []


def test_switching_and_filtering(browser, tmp_path):
    merged = made("bad", tokens=("ba", "d"), offsets=((0, 2), (2, 3)), segment=(0, 0), scores=(0.25, 0.5))
    tab = opened(browser, tmp_path, [merged, made()])
    assert tab.locator(".only-words").first.is_visible()
    tab.get_by_role("button", name="tokens").click()
    assert tab.locator(".only-tokens").first.is_visible()
    assert not tab.locator(".only-words").first.is_visible()
    assert tab.troubles == []


def test_readable_without_scripts(browser, tmp_path):
    tab = opened(browser, tmp_path, [made()], java_script_enabled=False)
    assert "a fine film" in tab.locator("body").inner_text()
    assert "POSITIVE" in tab.locator("h1").inner_text()
