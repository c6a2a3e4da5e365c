"""The page of a comparison: complete, safe, the same twice; in a browser quiet, sorted, filtered, and narrow enough."""

import re
from dataclasses import replace

import pytest

from tests.core.test_model_diff import FLIPPED, comparison, example
from tests.viz.images import small
from tests.viz.samples import HOSTILE, label
from xai_nlp.core.model_diff import ExampleDiff, Failure
from xai_nlp.core.word_alignment import aligned_words
from xai_nlp.viz.page.model_diff import DiffView, diff_page

SAME = [1.0, 0.5, 0.0]


def three(**more):
    return comparison(
        example(SAME, SAME),
        example([1.0, 1.0, 0.0], [1.0, 0.0, 1.0], index=1, rank_correlation=0.5, text="a dull film"),
        example(SAME, SAME, index=2, other=FLIPPED, text="the last film"),
        **more,
    )


def test_the_verdict_the_facts_and_the_words_are_on_it():
    html = diff_page(three())
    for told in (
        "The two models differ",
        "“dull” moves most",
        "rank correlation",
        "→ NEGATIVE 90\u00a0%",
        "Words that",
    ):
        assert told in html
    assert html == diff_page(three())
    assert "Not compared" not in html


def test_examples_are_sorted_by_change_and_in_both_lists():
    html = diff_page(three())
    order = re.findall(r'<article class="group" id="([^"]+)"[^>]*data-label="([^"]+)"', html)
    assert [state for _, state in order] == ["prediction changed", "reasons changed", "same"]
    assert re.findall(r'<tr data-for="([^"]+)"', html) == [name for name, _ in order]
    texts = [re.sub("<[^>]+>", "", one).strip() for one in re.findall(r'<p class="tokens".*?</p>', html)]
    assert texts == ["the last film"] * 2 + ["a dull film"] * 2 + ["a fine film"] * 2


def test_both_sides_share_one_scale():
    view = DiffView(three()).examples[1]
    (_, _, before, _), (_, _, after, _) = view.sides
    numbers = [[mark.number for _, marks in side.paragraphs for mark in marks if mark.kind] for side in (before, after)]
    assert numbers == [["+50.0", "+50.0", "0"], ["+50.0", "0", "+50.0"]]
    one = DiffView(comparison(example([3.0, 1.0, 0.0], [0.5, 0.5, 0.0]))).examples[0]
    marks = [[m.shared for _, marks in side.paragraphs for m in marks if m.kind] for _, _, side, _ in one.sides]
    assert marks == [[100, 33, 0], [67, 67, 0]]  # of 75 %


def test_what_could_not_be_compared_is_listed():
    html = diff_page(three(failures=(Failure(7, "A", "<b>too long</b>"), Failure(8, "both", "empty"))))
    assert "by model B alone" in html and "by neither model" in html
    assert "&lt;b&gt;too long&lt;/b&gt;" in html
    assert "1\u00a0example is explained by one model alone" in html


def test_the_distribution_counts_every_example():
    bins = DiffView(three()).bins
    assert [count for _, count, _ in bins] == [2, 0, 0, 0, 0, 1]
    assert bins[0][0] == "0–10\u00a0%"
    all_moved = comparison(example([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]))
    assert DiffView(all_moved).bins[-1] == ("90–100\u00a0%", 1, 100)


def test_two_targets_show_predictions_only():
    html = diff_page(comparison(example(SAME, SAME, other={"target": label("NEGATIVE")})))
    assert "the two explain different targets, POSITIVE and NEGATIVE" in html
    assert "Moved most" not in html
    assert ">–<" in html


def test_what_is_hostile_is_inert():
    examples = []
    for index, text in enumerate(HOSTILE.values()):
        scores = [1.0] * len(text.split())
        other = {"outputs": {HOSTILE["markup"]: 0.9}}
        examples.append(example(scores, [0.5, *scores[1:]], index=index, text=text, other=other))
    html = diff_page(replace(comparison(*examples), models=(HOSTILE["markup"], HOSTILE["rtl"])))
    assert "<img src=x" not in html
    assert html.count("</script>") == 1
    assert "unsafe" not in re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)
    assert 'style="' not in html


def test_images_have_both_sides():
    why = small()
    other = replace(why, image=replace(why.image, scores=(0.0, 1.0, 0.5, 0.25)))
    one, two = aligned_words(why, other)
    html = diff_page(comparison(ExampleDiff(index=0, before=one, after=two)))
    assert html.count("<svg") == 2
    assert "row 1, column 2" in html


def test_five_hundred_examples_fit_into_six_megabytes():
    text = " ".join(f"word{n}" for n in range(59))
    scores = [(-1) ** n / (n + 1) for n in range(60)]
    examples = [example(scores, scores[::-1], index=n, text=f"{text} last{n}") for n in range(500)]
    assert len(diff_page(comparison(*examples)).encode()) < 6_000_000


@pytest.mark.browser
def test_it_is_quiet_sorted_and_filtered(opened):
    tab = opened(None, html=diff_page(three()))
    cards = tab.locator("article:visible")
    assert cards.count() == 3
    tab.locator("select[name=label]").select_option("reasons changed")
    assert cards.count() == 1
    tab.locator("select[name=label]").select_option("")
    tab.locator("input[type=search]").fill("last")
    assert "the last film" in cards.first.text_content()
    assert cards.count() == 1
    tab.locator("input[type=search]").fill("")
    tab.locator(".index thead button", has_text="moved").click()
    assert "a dull film" in tab.locator("article").last.text_content()
    tab.locator("article .tokens .t", has_text="dull").first.hover()
    assert "+50.0\u00a0%" in tab.locator(".tip").inner_text()


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_screen_with_and_without_scripts(opened, width, scheme):
    long = "supercalifragilistic" * 8
    found = three()
    count = [1.0, 2.0]
    hard = example(count, count[::-1], index=3, text=f"{long} <b>x</b>", other={"outputs": {long: 0.9}})
    html = diff_page(replace(found, examples=(*found.examples, hard), models=(f"/models/{long}", "b")))
    for scripts in (True, False):
        tab = opened(None, width, html=html, display=scripts, color_scheme=scheme, java_script_enabled=scripts)
        assert tab.locator("article").count() == 4
        if scripts:
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
        else:
            assert tab.locator(".controls").is_hidden()
            assert "the last film" in tab.text_content("main")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened, scheme):
    from axe_playwright_python.sync_playwright import Axe

    html = diff_page(three(failures=(Failure(7, "A", "too long"),)))
    tab = opened(None, html=html, color_scheme=scheme, bypass_csp=True)  # axe is a script of another's
    tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    tab.wait_for_timeout(250)  # transitions are over
    found = Axe().run(tab).response
    assert len(found["passes"]) > 10
    assert [(one["id"], one["nodes"][0]["html"][:120]) for one in found["violations"]] == []
