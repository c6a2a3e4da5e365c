"""The page of an overview: what it shows, what it leaves to the files, and that nothing in it is trusted."""

from dataclasses import replace

import pytest

from tests.viz.html_reader import Reader
from tests.viz.overviews import NUMBERS, heads, overview, words
from xai_nlp.core.overview import OverviewColumn, OverviewTable
from xai_nlp.viz.page.overview import FOLDED, SHOWN, TableView, overview_cell, overview_page


def test_the_first_screen_says_it_in_one_sentence():
    html = overview_page(overview())
    reader = Reader(html)
    assert '<h1 class="say">The model says POSITIVE for words such as “fine”.</h1>' in html
    for told in ("10,000", "About lexicon.", "zoo/sentiment", "How it was computed", "a fine film 3"):
        assert told in reader.text
    assert html == overview_page(overview())
    assert ">What zoo/sentiment relies on</h1>" in overview_page(overview([heads()]))


def test_lines_that_are_not_in_the_page_are_counted():
    view = TableView(words(count=150))
    card, _ = view.cards
    assert [line.name for line in card.lines[:2]] == ["word0", "word1"]
    assert len(card.lines) == SHOWN and card.left == 150 - len(card.lines) - len(card.folded)
    assert [line.kind for line in card.lines] == ["p"] * 8 + ["n"] * 4  # both signs are seen
    names = [line.name for line in (*card.lines, *card.folded)]
    assert len(set(names)) == len(names) and len(names) <= SHOWN + FOLDED + 4
    assert f"{card.left} more in lexicon.csv" in overview_page(overview([words(count=150)]))
    many = overview_page(overview([words(count=2, labels=[f"label {n}" for n in range(40)])]))
    assert "16 more labels in lexicon.csv" in many
    wide = replace(words(count=80), layout="table", by="")
    assert "60 more in lexicon.csv" in overview_page(overview([wide]))


def test_a_line_says_its_number_its_interval_and_its_rows():
    (card, _) = TableView(words()).cards
    line = card.lines[0]
    assert (line.number, line.more) == ("+2.00", "+1.50 to +2.50, 1,000 texts, q\u00a0<0.001")
    assert line.rows == (0, 50) and line.sure
    assert not card.folded[-1].sure
    zero, (x, width) = card.zero, map(float, line.bar.split())
    assert zero == 100 and x == 100 and width == pytest.approx(100 * 2 / 2.5)
    assert [float(end) for end in line.whisker.split()] == [100 + 100 * 1.5 / 2.5, 200]
    html = overview_page(overview([words()]))
    ids = [value for _, name, value in Reader(html).attributes if name == "id"]
    links = [value[1:] for _, name, value in Reader(html).attributes if name == "href" and value.startswith("#")]
    assert len(set(ids)) == len(ids)
    assert {link for link in links if link.startswith("e")} <= set(ids)
    assert 'href="#row-60"' in html and 'id="row-60"' in html and "rows-00000000-00000512.parquet" in html


def test_a_table_for_the_files_alone_is_not_in_the_page():
    found = overview((words(), replace(heads(), in_page=False)))
    assert "head 3" not in overview_page(found) and "heads" in found.tables
    assert "head 3" in overview_page(overview((words(), heads())))


def test_shares_differences_and_maps():
    html = overview_page(overview())
    assert "50\u00a0% to 90\u00a0%, against the rest\u00a0−12.5 points (−25.0 to 0)" in html
    assert "12,345" in html and ">layer 2</th>" in html
    heat = TableView(overview().tables["heads"]).heat
    assert [name for name, _ in heat.lines] == ["layer 2", "layer 1", "layer 0"] and len(heat.heads) == 4
    assert heat.lines[0][1][3].own == 100 and heat.lines[0][1][3].number == "1.20"
    assert TableView(overview().tables["heads"]).largest.lines[0].name == "layer 2 · head 3"


def test_nothing_in_it_is_trusted():
    evil = "</script><img src=x onerror=alert(1)>"
    columns = (OverviewColumn("label"), OverviewColumn("word"), *NUMBERS)
    line = (evil, evil, 1.0, None, 1, 1.0, 1.0, (0,))
    table = OverviewTable(name="lexicon", title=evil, columns=columns, lines=(line,), by="label", unit=evil)
    html = overview_page(overview([table], title=evil, errors={3: evil}, about={evil: (evil,)}))
    assert "<img" not in html and Reader(html).text.count(evil) > 5


def test_empty_states():
    html = overview_page(overview([], examples={}, places={}))
    assert "Examples" not in Reader(html).text and "other examples" not in html
    assert "2 rows could not be explained" in overview_page(overview(errors={1: "a", 2: "b"}))


def test_a_notebook_shows_the_sentences():
    html = overview_cell(overview())
    assert "POSITIVE for words such as" in html and "to_html" in html and "About heads." in html
    assert overview()._repr_html_().count("<main") == 0
