"""Pages of influence: safe, complete without scripts, the same bytes each time, bounded in a notebook."""

import re
from dataclasses import replace

import pytest

from tests.viz.html_reader import Reader
from tests.viz.influences import suspects, traced
from tests.viz.samples import HOSTILE
from xai_nlp.core.training_influence import METHODS
from xai_nlp.viz.page import notebook
from xai_nlp.viz.page.influence import (
    IN_CELL,
    MOST,
    UNFOLDED,
    influence_cell,
    influence_page,
    suspects_cell,
    suspects_page,
)

DRAWN = [
    pytest.param(lambda text: influence_page(traced([text], ["b"], query=text)), id="influence page"),
    pytest.param(lambda text: influence_cell(traced([text], ["b"], query=text), assets=True), id="influence cell"),
    pytest.param(lambda text: suspects_page(suspects([text])), id="suspects page"),
    pytest.param(lambda text: suspects_cell(suspects([text]), assets=True), id="suspects cell"),
]


@pytest.fixture(autouse=True)
def new_notebook(monkeypatch):
    monkeypatch.setattr(notebook, "_sent", [])


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("draw", DRAWN)
def test_hostile_text_is_text(kind, draw):
    text = HOSTILE[kind]
    html = draw(text)
    read = Reader(html)
    assert text in read.text  # every character, white space too
    assert all(one in (text, "b") for one in read.paragraphs)
    assert "img" not in [tag for tag, _ in read.tags]
    assert not [a for a in read.attributes if a[1].startswith("on") or a[1] in ("style", "srcdoc")]


@pytest.mark.parametrize("field", ["label", "model", "method"])
def test_hostile_names_are_text_too(field):
    evil = HOSTILE["markup"]
    other = {"examples": (replace(suspects()[0], label=evil),)} if field == "label" else {field: evil}
    for html in (influence_page(replace(traced(), **{field: evil})), suspects_page(replace(suspects(), **other))):
        read = Reader(html)
        assert evil in read.text
        assert "img" not in [tag for tag, _ in read.tags]
        assert [tag for tag, _ in read.tags].count("script") == 1
    named = replace(traced(), proponents=(replace(traced().proponents[0], label=evil),))
    assert evil in Reader(influence_page(named)).text


@pytest.mark.parametrize("draw", [lambda: influence_page(traced()), lambda: suspects_page(suspects())])
def test_same_input_same_bytes_no_network_and_the_policy(draw):
    html = draw()
    assert html == draw()
    assert not re.search(r"https?:|//cdn|@import|url\((?!data:)", html)
    assert "default-src 'none'; style-src 'sha256-" in Reader(html).tags[3][1]["content"]
    assert html.index("Content-Security-Policy") < html.index("<style") < html.index("<script")


def test_both_texts_have_the_colours_of_the_words_that_they_share():
    read = Reader(influence_page(traced(["film film fine"], (), query="a film")))
    assert read.paragraphs == ["a film", "film film fine", "a film"]  # the text, the training text, the text again
    found = [(m["class"].split()[1:3], m["data-n"]) for m in read.marks() if "chip" not in m["class"]]
    # Both copies of the training text's word have half of what the query's one has: one scale for both texts.
    half, whole, none = (["p", "a50"], "+0.250"), (["p", "a100"], "+0.500"), (["z", "a0"], "0")
    assert found == [half, half, none, none, whole]


def test_each_card_says_label_influence_and_row():
    text = Reader(influence_page(traced())).text
    for shown in (
        "POSITIVE", "+1.00\u00a0nat", "+0.500\u00a0nat", "−0.500\u00a0nat", "Training text, row 100",
        "2\u00a0proponents and 1\u00a0opponent of 200\u00a0training texts", "zoo/sentiment",
        "Training on “a fine film” speaks for POSITIVE most; “a dull film” speaks against it most.",
    ):  # fmt: skip
        assert shown in text, shown
    assert text.count("no word in common") == 1  # “so fine” and “a film”


@pytest.mark.parametrize("method", [name for name in METHODS if name != "word_embeddings"])
def test_other_kinds_of_influence_have_no_colours(method):
    read = Reader(influence_page(traced(method=method)))
    assert read.paragraphs == ["a film", "a fine film", "so fine", "a dull film"]
    assert not read.marks() and "ramp" not in {value for _, name, value in read.attributes if name == "class"}
    assert ("does not split over words" in read.text) == (method != "similarity")
    assert ("cosine" in read.text) == (method == "similarity")


def test_pairs_of_texts_have_their_parts():
    pair = ("who wrote it", "she did")
    read = Reader(influence_page(traced([pair], (), query=pair)))
    assert read.paragraphs == [*pair] * 3


def test_empty_results_say_so():
    read = Reader(influence_page(traced((), ())))
    assert read.text.count("No training text is named here.") == 2
    assert "No training text speaks for or against POSITIVE." in read.text
    assert "This list of training texts is empty." in Reader(suspects_page(suspects([]))).text
    assert "This list of training texts is empty." in Reader(suspects_cell(suspects([]), assets=True)).text


def test_fifty_are_all_on_the_page_and_few_in_a_cell():
    result = traced([f"film {n}" for n in range(50)], [f"dull {n}" for n in range(50)])
    html = influence_page(result)
    assert html.count("<article") == 100
    assert f"<summary>{50 - UNFOLDED} more</summary>" in html
    cell = influence_cell(result, assets=False)
    assert cell.count("<article") == 2 * MOST
    assert f"<summary>{MOST - IN_CELL} more</summary>" in cell and f"{50 - MOST} more are not drawn here" in cell
    table = suspects([f"film {n}" for n in range(50)])
    assert suspects_page(table).count("<tr>") == 51
    cell = suspects_cell(table, assets=False)
    assert cell.count("<tr>") == 1 + MOST and f"{50 - MOST} more are not drawn here" in cell


def test_a_notebook_has_style_and_script_once():
    for draw in (lambda **how: influence_cell(traced(), **how), lambda **how: suspects_cell(suspects(), **how)):
        assert "<style>" in draw() and "<style>" not in draw(assets=False)


def test_suspects_are_a_table():
    text = Reader(suspects_page(suspects())).text
    for shown in ("a fine film", "labelled NEGATIVE row 1", "10.0", "5.0", "self-influence, nat"):
        assert shown in text, shown
    similar = Reader(suspects_page(suspects(method="similarity"))).text
    assert "disagreement" in similar and "ten most similar" in similar
