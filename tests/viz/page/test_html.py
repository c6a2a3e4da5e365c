"""The page and the fragment: safe, complete without scripts, the same bytes each time."""

import base64
import hashlib
import json
import re
import time
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.recipes.saved import DOUBT
from tests.viz.html_reader import Reader
from tests.viz.samples import HOSTILE, SEGMENT, answered, label, made
from xai_nlp.core.trust import TrustCheck
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.page.html import fragment, markup, page


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("draw", [page, fragment])
def test_hostile_text_is_text(kind, draw):
    text = HOSTILE[kind]
    html = draw([made(text)])
    read = Reader(html)
    assert read.paragraphs, "no text without scripts"
    for paragraph in read.paragraphs:
        assert paragraph == text  # every character, white space too
    assert "img" not in [tag for tag, _ in read.tags]
    assert not [a for a in read.attributes if a[1].startswith("on") or a[1] in ("style", "id", "srcdoc")]
    data = [json.loads(s) for s in read.scripts if s.lstrip().startswith("[")]
    assert data[0][0]["segments"] == [text]


@pytest.mark.parametrize("field", ["target", "method", "baseline", "model", "task", "unit"])
def test_hostile_names_are_text_too(field):
    evil = HOSTILE["markup"]
    first = made(**{field: label(evil) if field == "target" else evil})
    read = Reader(page([first, made("other", method="x")], title=evil))
    assert "img" not in [tag for tag, _ in read.tags]
    assert [tag for tag, _ in read.tags].count("script") == 2
    read = Reader(page([made(target=label(evil), outputs={evil: 0.9, "other": 0.1}, versions={evil: "1"})]))
    assert "img" not in [tag for tag, _ in read.tags]
    assert evil in read.text


def test_what_html_cannot_hold_is_marked_and_the_rest_stays():
    assert Reader(page([made("nul\0 and more")])).paragraphs == ["nul\ufffd and more"]
    with pytest.raises(InvalidInput, match="cannot be saved"):  # a page holds its explanations, too
        page([made("half\ud800 of a character")])
    assert "&#13;" in page([made("a\r\nb")])  # a browser would make a newline of a bare one


def test_nothing_in_the_data_can_end_its_element():
    html = page([made("</script><!-- & \u2028\u2029")])
    text = re.search(r'class="data">(.*?)</script>', html, re.S).group(1)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text)[0]["segments"] == ["</script><!-- & \u2028\u2029"]


def test_the_policy_names_exactly_what_is_inlined():
    html = page([made()])
    read = Reader(html)
    (policy,) = [attrs["content"] for tag, attrs in read.tags if "http-equiv" in attrs]
    run = [s for s in read.scripts if not s.lstrip().startswith("[")]
    assert len(run) == len(read.styles) == 1

    def hashed(content):
        return "'sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() + "'"

    assert dict(rule.split(" ", 1) for rule in policy.split("; ")) == {
        "default-src": "'none'", "style-src": hashed(read.styles[0]), "script-src": hashed(run[0]),
        "img-src": "data:", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip


def test_the_policy_comes_before_what_it_governs():
    html = page([made()])
    assert html.index("Content-Security-Policy") < html.index("<style") < html.index("<script")


def test_same_input_same_bytes_and_no_network():
    why = [made(), made("another text", method="occlusion", complete=False)]
    assert page(why) == page(why)
    assert fragment(why) == fragment(why)
    assert page(why) != page(why[:1])
    assert not re.search(r"https?:|//cdn|@import|url\((?!data:)", page(why))


def test_styles_reach_nothing_outside():
    (style,) = Reader(fragment([made()])).styles
    plain = re.sub(r"/\*.*?\*/", "", style, flags=re.S)
    while "(" in plain:
        plain = re.sub(r"\([^()]*\)", "", plain)  # commas in brackets part no selectors
    rules = [rule for rule in re.findall(r"([^{}]+)\{", plain) if not rule.strip().startswith("@")]
    assert len(rules) > 150
    for selector in [one for rule in rules for one in rule.split(",")]:
        ancestor, found, _ = selector.strip().partition(".xai-nlp")
        assert found, selector
        assert ancestor in ("", '[data-jp-theme-light="true"] ', '[data-jp-theme-light="false"] ', ".vscode-light ",
                            ".vscode-dark ", 'html[theme="light"] ', 'html[theme="dark"] ')  # fmt: skip


def test_every_strength_has_its_class():
    (style,) = Reader(fragment([made()])).styles
    for n in (0, 1, 37, 100):
        assert f".xai-nlp .a{n}{{--a:{n / 100:g}}}" in style


def test_marks_carry_sign_strength_and_number():
    read = Reader(page([made(scores=[0.0, 1.0, -0.5, 0.25, 0.0])]))
    found = [(m["class"].split()[:3], m["data-n"], m["aria-description"]) for m in read.marks()]
    assert found == [
        (["t", "p", "a100"], "+1.00", "+1.00\u00a0logit"),
        (["t", "n", "a50"], "−0.50", "−0.50\u00a0logit"),
        (["t", "p", "a25"], "+0.25", "+0.25\u00a0logit"),
    ]


def test_each_of_several_starts_on_a_scale_of_its_own():
    weak = made("weak one", [0.0, 0.5, 0.25, 0.0])
    read = Reader(page([made(scores=[0.0, 1.0, 0.0, 0.0, 0.0]), weak]))
    marks = {m["data-n"]: (m["class"].split()[2], m["data-own"], m["data-shared"]) for m in read.marks()}
    assert marks["+0.500"] == ("a100", "100", "50")
    (root,) = [attrs for tag, attrs in read.tags if tag == "main"]
    assert (root["data-scale"], root["data-view"]) == ("own", "words")
    assert read.text.count("a scale of its own") == 2
    assert "Each text has colours of its own" in read.text
    assert "scale of its own" not in Reader(page([weak])).text


def test_numbers_and_facts_are_on_the_page():
    text = Reader(page([made(scores=[0.0, 1.0, -0.5, 0.375, 0.0])])).text  # Σ = 0.875 of 1.0 explained: 12.5 % left
    for shown in (
        "The model says POSITIVE (75\u00a0%). “a” and “film” speak for it most; “fine” speaks against it.",
        "12\u00a0%",
        "17",
        "zoo/sentiment",
        "−0.50",
        "+1.00",
        "f(x) − f(x₀)",
        "integrated gradients",
        "+0.38",
        "xai_nlp 0.1.0",
        "compared with padding",
        "steps along the path",
        "seed\u00a00",
        "makes no network request",
        "text classification",
    ):
        assert shown in text, shown


def test_a_method_that_promises_nothing_shows_no_residual():
    text = Reader(page([made(method="saliency", complete=False, unit="")])).text
    assert "his method does not promise that scores add up" in text
    assert "left unexplained" not in text
    assert "How it adds up" not in text


def test_words_are_merged_and_their_sums_shown():
    why = made("bad", tokens=("ba", "d"), offsets=((0, 2), (2, 3)), segment=(0, 0), scores=(0.25, 0.5))
    read = Reader(page([why]))
    assert [m["data-n"] for m in read.marks()] == ["+0.750", "+0.250", "+0.500"]  # words, then tokens to switch to
    assert read.paragraphs == ["bad", "bad"]


def test_pairs_contrasts_and_special_tokens():
    read = Reader(page([made("a premise", pair="a hypothesis", target=label("POSITIVE", "NEGATIVE"))]))
    assert read.paragraphs == ["a premise", "a hypothesis"]
    assert "Explained is POSITIVE rather than NEGATIVE." in read.text
    assert "Why POSITIVE rather than NEGATIVE?" in page([made(target=label("POSITIVE", "NEGATIVE"))])


def test_special_tokens_stand_there_only_if_they_score():
    def chips(**more):
        return [m["data-n"] for m in Reader(page([made(**more)])).marks() if "chip" in m["class"]]

    assert chips() == []
    assert chips(scores=[0.5, 1.0, -0.5, 0.25, 0.0]) == ["+0.50"]
    assert chips(scores=[1e-9, 1.0, -0.5, 0.25, 3.0]) == ["+3.00"]
    assert "tokenizer" not in Reader(page([made()])).text
    silent = tuple(0.0 if s < 0 else 1.0 for s in SEGMENT)
    html = page(
        [answered(scores=silent, parts={})]
    )  # its attention goes to special tokens: the view of the text by attention shows them
    assert '<p class="chips" hidden>' in html


def test_several_methods_share_a_text():
    html = page([made(), made(method="occlusion", complete=False), made(method="rollout", unit="", complete=False)])
    read = Reader(html)
    assert html.count("<article") == 1
    assert read.paragraphs == ["a fine film"] * 3
    assert "Units differ" in read.text
    assert "logit (integrated gradients, occlusion)" in re.sub(r"\s+", " ", read.text)
    assert "Units differ" not in page([made(), made(method="occlusion", complete=False)])


def test_empty_zero_and_many():
    assert "Nothing explained yet" in Reader(page([])).text
    assert "Nothing explained yet" in Reader(fragment([])).text
    zero = Reader(page([made(scores=[0.0] * 5)])).text
    assert "every score is 0" in zero
    assert "No word has a score" in zero
    assert "nan" not in zero.lower()
    many = page([made(f"text {i}") for i in range(30)])
    assert many.count("<article") == 30
    assert 'name="search"' in many
    assert 'name="search"' not in page([made(f"text {i}") for i in range(5)])


def test_every_token_can_be_reached_and_read_aloud():
    read = Reader(fragment([made()]))
    spoken = [value for tag, name, value in read.attributes if name == "aria-description"]
    assert len(spoken) == 3
    assert all(mark["tabindex"] == "0" for mark in read.marks())
    assert ("p", "dir", "auto") in read.attributes
    for tag, attrs in read.tags:  # what scrolls can be reached by keyboard, and says what it is
        if tag == "div" and re.search(r"\b(scroll|long)\b", attrs.get("class", "")):
            assert attrs["tabindex"] == "0"
            assert attrs["role"] == "region"
            assert attrs["aria-label"]
        if tag in ("section", "form"):
            assert attrs["aria-label"]
        if tag == "th":
            assert attrs["scope"] in ("col", "row")


@pytest.mark.parametrize("count", [1, 2])
def test_headings_leave_out_no_level(count):
    why = [made(f"text {n}", method=method) for n in range(count) for method in ("a", "b")]
    for draw, first in ((page, 1), (fragment, 2)):
        levels = [int(tag[1]) for tag, _ in Reader(draw(why)).tags if re.fullmatch(r"h\d", tag)]
        assert levels[0] == first == min(levels)
        assert all(b - a <= 1 for a, b in pairwise(levels)), levels


def test_a_title_of_ones_own():
    assert "<title>mine &lt;3</title>" in page([made()], title="mine <3")
    assert "<title>Why POSITIVE? · xai_nlp</title>" in page([made()])


def test_ten_thousand_characters_take_seconds_and_scroll():
    why = made("word " * 2000)
    begun = time.perf_counter()
    html = page([why])
    assert time.perf_counter() - begun < 20  # one or two; the square of the tokens, done in Python, would take minutes
    assert len(html) < 3_000_000
    assert ("div", "tabindex", "0") in Reader(html).attributes


def test_what_stands_in_another_page_says_nothing_of_its_network():
    items = [made(scores=[0.0, 1.0, -0.5, 0.375, 0.0])]
    assert "makes no network request" in page(items)
    assert "makes no network request" not in markup(items)
    assert "<script>" not in markup(items) and "<style>" not in markup(items)


def test_a_verdict_stands_below_the_headline_with_its_checks():
    hostile = TrustCheck(
        name="removal", level="do not rely on it", sentence="No <b>order</b>.", numbers={"pad: deletion": 0.5, "x": 1}
    )
    verdict = replace(DOUBT, checks=(*DOUBT.checks, hostile))
    drawn = markup([made(trust=verdict)])
    assert drawn.index('class="say"') < drawn.index('class="trust"') < drawn.index('class="tokens"')
    assert "No &lt;b&gt;order&lt;/b&gt;." in drawn
    assert "<b>order" not in drawn
    assert '<span class="pill poor">do not rely on it</span>' in drawn
    assert ">pad</th>" in drawn
    assert "64 rows went through the model" in drawn
    assert 'class="trust"' not in markup([made()])


def test_each_of_several_methods_has_its_verdict():
    items = [made(trust=DOUBT), made(method="occlusion", complete=False)]
    assert markup(items).count('class="trust"') == 1
