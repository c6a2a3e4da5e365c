"""The page and the fragment: safe, complete without scripts, the same bytes each time."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from tests.viz.samples import HOSTILE, made
from xai_nlp.viz.html import fragment, page


class Reader(HTMLParser):
    """The text of each token paragraph, what scripts hold, and every attribute."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.paragraphs, self.scripts, self.styles, self.attributes, self.tags = [], [], [], [], []
        self.inside = None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag == "p" and ("class", "tokens") in attrs:
            self.paragraphs.append("")
            self.inside = self.paragraphs
        elif tag in ("script", "style"):
            kept = self.scripts if tag == "script" else self.styles
            kept.append("")
            self.inside = kept

    def handle_endtag(self, tag):
        if tag in ("p", "script", "style"):
            self.inside = None

    def handle_data(self, data):
        if self.inside is not None:
            self.inside[-1] += data


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("draw", [page, fragment])
def test_hostile_text_is_text(kind, draw):
    text = HOSTILE[kind]
    html = draw([made(text)])
    read = Reader(html)
    assert read.paragraphs, "no text without scripts"
    for paragraph in read.paragraphs:
        assert paragraph == text  # every character, white space too
    assert "img" not in read.tags
    assert not [a for a in read.attributes if a[1].startswith("on") or a[1] == "style"]
    data = [json.loads(s) for s in read.scripts if s.lstrip().startswith("[")]
    assert data[0][0]["segments"] == [text]


def test_the_policy_names_exactly_what_is_inlined():
    html = page([made()])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html).group(1).replace("&#39;", "'")
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    read = Reader(html)
    for content, kind in ((read.styles[0], "style"), (read.scripts[-1], "script")):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_same_input_same_bytes_and_no_network():
    why = [made(), made("another text", method="occlusion", complete=False)]
    assert page(why) == page(why)
    assert fragment(why) == fragment(why)
    assert not re.search(r"https?://|//cdn|@import|url\((?!data:)", page(why))


def test_numbers_and_facts_are_on_the_page():
    html = page([made(scores=[0.0, 1.0, -0.5, 0.375, 0.0])])  # Σ = 0.875 of 1.0 explained: 12.5 % left
    for shown in ("POSITIVE", "75", "12\u00a0%", "17", "zoo/sentiment", "−0.5", "+1", "pad", "integrated gradients"):
        assert shown in html, shown


def test_a_method_that_promises_nothing_shows_no_residual():
    html = page([made(method="saliency", complete=False, unit="")])
    assert "does not promise that scores add up" in html
    assert "left unexplained" not in html


def test_words_are_merged_and_their_sums_shown():
    why = made("bad", tokens=("ba", "d"), offsets=((0, 2), (2, 3)), segment=(0, 0), scores=(0.25, 0.5))
    html = page([why])
    assert "+0.75" in html
    assert "+0.25" in html and "+0.5" in html  # the tokens are there to be switched to


def test_pairs_contrasts_and_special_tokens():
    html = page([made("a premise", pair="a hypothesis", target="POSITIVE-NEGATIVE")])
    read = Reader(html)
    assert {"a premise", "a hypothesis"} <= set(read.paragraphs)
    assert "rather than" in html
    assert "[CLS]" in html


def test_several_methods_share_a_text():
    html = page([made(), made(method="occlusion", complete=False)])
    assert "integrated gradients" in html and "occlusion" in html
    assert html.count("<article") == 1


def test_empty_zero_and_many():
    assert "Nothing explained" in page([])
    assert "nan" not in page([made(scores=[0.0] * 5)]).lower()
    assert page([made(f"text {i}") for i in range(30)]).count("<article") == 30


def test_every_token_can_be_reached_and_read_aloud():
    read = Reader(fragment([made()]))
    spoken = [value for tag, name, value in read.attributes if name == "aria-description"]
    assert len(spoken) >= 5
    assert all(re.search(r"\d", value) for value in spoken)
    assert ("p", "dir", "auto") in read.attributes
