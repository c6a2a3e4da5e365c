"""The page of a comparison: complete, safe, the same twice, and readable in a browser without scripts."""

import re

import pytest

from tests.viz.comparisons import compared
from tests.viz.samples import HOSTILE
from xai_nlp.viz.page.method_comparison import comparison_page
from xai_nlp.viz.text.method_comparison import cost_cells, faithfulness_cells, sentences


def test_it_has_the_sentence_and_every_number():
    comparison = compared()
    html = comparison_page(comparison)
    assert all(sentence in html for sentence in sentences(comparison))
    for name in comparison.ranking:
        cells = [
            *cost_cells(comparison, name),
            *(part for cell in faithfulness_cells(comparison, name) for part in cell),
        ]
        assert all(cell in html for cell in cells)
    assert "row 7: the text is empty." in html
    assert html == comparison_page(comparison)


def test_bars_end_at_their_means_and_lines_at_their_intervals():
    comparison = compared({"shapley": 2.0, "lime": -1.0, "random": 0.0})
    estimates = [comparison.estimate(name) for name in comparison.ranking]
    least, most = min(e.interval[0] for e in estimates), max(e.interval[1] for e in estimates)

    def place(value):
        return 100 * (value - least) / (most - least)

    html = comparison_page(comparison)
    bars = re.findall(r'<rect x="([\d.]+)" y="2" width="([\d.]+)"', html)
    whiskers = re.findall(r'<path d="M([\d.]+) 5H([\d.]+)M', html)
    assert len(bars) == len(whiskers) == 3
    for estimate, (start, length), (low, high) in zip(estimates, bars, whiskers, strict=True):
        ends = sorted((place(0), place(estimate.mean)))
        assert [float(start), float(start) + float(length)] == pytest.approx(ends, abs=0.2)
        assert [float(low), float(high)] == pytest.approx([place(one) for one in estimate.interval], abs=0.1)


@pytest.mark.parametrize("text", HOSTILE.values())
def test_what_is_hostile_is_inert(text):
    html = comparison_page(compared(model=text, data=text))
    assert "<img src=x" not in html
    assert "<script" not in html


def test_of_nothing_measured_there_is_a_page_too():
    assert "Nothing was measured." in comparison_page(compared({}))


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_reads_without_scripts_on_a_phone_and_wide(opened, scheme):
    html = comparison_page(compared())
    for width in (1280, 390):
        tab = opened(None, html=html, width=width, color_scheme=scheme, java_script_enabled=False, display=False)
        assert tab.locator("h1").inner_text().startswith(("Shapley", "Integrated gradients"))
        chart = tab.locator(".methods").first
        box, last = chart.bounding_box(), chart.locator("rect").first.bounding_box()
        assert box["width"] <= width
        assert last["width"] > 100
        for level in ("good", "fair", "poor"):
            assert tab.locator(f".levels .{level}").first.bounding_box()["width"] > 50


@pytest.mark.browser
def test_it_is_accessible(opened):
    from axe_playwright_python.sync_playwright import Axe

    for scheme in ("light", "dark"):
        tab = opened(None, html=comparison_page(compared()), color_scheme=scheme, display=False)
        assert Axe().run(tab).violations_count == 0, Axe().run(tab).generate_report()
