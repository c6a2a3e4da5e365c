"""The widget where it lives: a real JupyterLab with a kernel, and what it saved, exported without one."""

import time

import nbformat
import pytest

from tests.insights.notebook import jupyter_lab, notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CELL = """
import xai_nlp
xai_nlp.Insights("sentiment", [{"text": "a gripping, beautifully acted film", "label": "POSITIVE"}, "a dull mess"])
"""


def quiet(tab, origin):
    """What a tab has to say against it: errors, and requests that leave its origin."""
    troubles = []
    tab.on("console", lambda message: message.type == "error" and troubles.append(message.text))
    tab.on("pageerror", lambda error: troubles.append(str(error)))
    tab.on("request", lambda r: r.url.startswith((origin, "data:", "blob:")) or troubles.append(r.url))
    return troubles


def saved(file, text):
    """The notebook, when it has been saved with this text in it."""
    for _ in range(200):
        if text in file.read_text(encoding="utf-8"):
            return nbformat.read(file, as_version=4)
        time.sleep(0.1)
    raise AssertionError(f"{file} was not saved")


def exported(browser, made, file):
    """A static export is readable, with scripts and without, and shows the last explanations."""
    from nbconvert import HTMLExporter

    html, _ = HTMLExporter().from_notebook_node(made)
    file.write_text(html, encoding="utf-8")
    for scripts in (True, False):
        context = browser.new_context(java_script_enabled=scripts)
        tab = context.new_page()
        errors = []
        tab.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
        # What the exporter's own scripts want from the network (there is none here) is not ours.
        tab.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
        tab.goto(file.as_uri(), wait_until="domcontentloaded")
        assert "occlusion" in tab.locator(".xai-nlp .text > .meta:visible").first.inner_text()
        assert tab.locator("span.t:visible", has_text="gripping").count() == 1
        assert tab.locator(".xai-nlp form.controls:visible").count() == int(scripts)  # enriched where scripts run
        assert [one for one in errors if "require" not in one and "MathJax" not in one] == []
        context.close()


@pytest.mark.filterwarnings("default")  # Jupyter's own
def test_another_method_redraws_and_what_was_saved_stays_readable(browser, tmp_path):
    file = tmp_path / "insights.ipynb"
    nbformat.write(notebook(CELL), file)
    with jupyter_lab(tmp_path) as (origin, token):
        tab = browser.new_page(viewport={"width": 1280, "height": 1000})
        troubles = quiet(tab, origin)
        tab.goto(f"{origin}/lab/tree/{file.name}?token={token}&reset")
        tab.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)  # a kernel is there
        tab.locator(".jp-Notebook .cm-content").first.click()
        tab.keyboard.press("Shift+Enter")
        form = tab.locator(".xai-nlp.insights form")
        form.wait_for(timeout=60_000)
        cards = tab.locator(".xai-nlp .text > .meta:visible")  # the widget's; the copy for readers without it is hidden
        assert cards.count() == 2
        assert all("integrated gradients" in card.inner_text() for card in cards.all())
        before = tab.locator("span.t:visible", has_text="gripping").get_attribute("data-n")
        form.get_by_label("method").first.select_option("occlusion")
        tab.locator(".xai-nlp .text > .meta:visible", has_text="occlusion").first.wait_for()
        mark = tab.locator("span.t:visible", has_text="gripping")
        assert mark.get_attribute("data-n") != before
        mark.hover()
        assert "logit" in tab.locator(".tip:visible").inner_text()
        static = tab.locator("[data-xai-nlp-static]")
        assert static.count() == 1
        assert static.is_hidden()
        tab.keyboard.press("Control+s")
        made = saved(file, ">occlusion</bdi>")
        assert troubles == []
        tab.close()
    exported(browser, made, tmp_path / "insights.html")


CELLS = (
    "import xai_nlp\nwhy = xai_nlp.explain('a gripping, beautifully acted film')\nwhy",
    "xai_nlp.explain('a dull mess', method=['integrated_gradients', 'occlusion'])",
)


@pytest.mark.filterwarnings("default")  # Jupyter's own
def test_cells_share_one_style_and_one_script(browser, tmp_path):
    file = tmp_path / "cells.ipynb"
    nbformat.write(notebook(*CELLS), file)
    with jupyter_lab(tmp_path) as (origin, token):
        tab = browser.new_page(viewport={"width": 1280, "height": 1000})
        troubles = quiet(tab, origin)
        tab.goto(f"{origin}/lab/tree/{file.name}?token={token}&reset")
        tab.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
        tab.locator(".jp-Notebook .cm-content").first.click()
        for _ in CELLS:
            tab.keyboard.press("Shift+Enter")
        roots = tab.locator(".jp-OutputArea-output .xai-nlp.in-cell")
        roots.nth(1).wait_for(timeout=60_000)
        tab.wait_for_function("document.querySelectorAll('.in-cell[data-live]').length === 2")
        assert tab.locator(".in-cell > style").count() == 1
        assert tab.locator("head > #xai-nlp-look").count() == 1
        bars = roots.first.locator(".brief .bars")
        assert bars.locator("li").count() == 5
        assert bars.evaluate("bars => getComputedStyle(bars).paddingInlineStart") == "0px"
        assert not roots.first.get_by_role("button", name="for", exact=True).is_visible(), "controls are folded"
        mark = roots.nth(1).locator(".brief span.t", has_text="dull").first
        mark.hover()
        assert "logit" in roots.nth(1).locator(".tip:visible").inner_text()
        tab.locator(".jp-Notebook .cm-content").first.click()
        tab.keyboard.press("Shift+Enter")  # the cell that carries the style, once more
        tab.wait_for_timeout(1500)
        assert tab.locator(".in-cell > style").count() == 1
        tab.screenshot(path=tmp_path / "cells.png")
        assert troubles == []
        tab.close()
