"""A diagnosis in a notebook's cell: complete, escaped, readable without colour."""

import pytest

from tests.viz.diagnoses import FILES, diagnosis
from tests.viz.html_reader import Reader


def test_all_of_it_is_there_and_escaped():
    read = Reader(diagnosis()._repr_html_())
    words = " ".join(read.text.split())
    assert words.startswith("m is not healthy: 1 error, 1 warning; 1 check passed. text classification · bert")
    assert words.index("The weights are float16.") < words.index("Padding changes <b>all</b>.")
    assert words.index("Use the mask & rest.") < words.index("1 file of safetensors")
    assert "2 of 5 methods work" in words and "lime, lrp: it reads no such text." in words
    assert not read.scripts and len(read.styles) == 1


def test_levels_are_told_in_words_too():
    html = diagnosis()._repr_html_()
    assert '<div class="check poor">' in html and "(error)" in html and "(warning)" in html and "(ok)" in html


def test_the_same_diagnosis_gives_the_same_bytes():
    assert diagnosis()._repr_html_() == diagnosis()._repr_html_()
    assert "Fix" not in Reader(diagnosis(FILES)._repr_html_()).text


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_passes_the_accessibility_rules(opened, width):
    from axe_playwright_python.sync_playwright import Axe

    html = f"<!doctype html><html lang='en'><title>d</title><body><main><h1>d</h1>{diagnosis()._repr_html_()}</main>"
    tab = opened(None, width=width, html=html, display=False)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    results = Axe().run(tab)
    assert results.violations_count == 0, results.generate_report()
