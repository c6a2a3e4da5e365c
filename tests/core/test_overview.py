"""Tables of an overview, and the files they become."""

import csv
import io

import pytest

from xai_nlp.core.overview import Overview, OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.errors import InvalidInput

TABLE = OverviewTable(
    name="words",
    title="Words",
    columns=(
        OverviewColumn("label"), OverviewColumn("word"), OverviewColumn("mean score", "score"),
        OverviewColumn("interval", "interval"), OverviewColumn("texts", "count"), OverviewColumn("rows", "rows"),
    ),
    lines=(
        ("A", 'say "hi", all', 0.1 + 0.2, (-1.0, 2.5), 3, (7, 1)),
        ("B", "ü\n", -1.0, None, 1, ()),
        ("A", "third", None, None, 0, (2,)),
    ),
    by="label",
)  # fmt: skip
SECTION = OverviewSection(name="s", title="S", sentence="So.", note="N.", tables=(TABLE,))
OVERVIEW = Overview(title="T", about={}, facts=(), sections=(SECTION,), examples={}, places={})


def test_a_table_is_read_back_from_its_file():
    head, *lines = csv.reader(io.StringIO(TABLE.csv_text()))
    assert head == ["label", "word", "mean score", "mean score, low", "mean score, high", "texts", "rows"]
    assert lines[0] == ["A", 'say "hi", all', "0.30000000000000004", "-1.0", "2.5", "3", "7 1"]
    assert lines[1] == ["B", "ü\n", "-1.0", "", "", "1", ""] and lines[2][2] == ""


def test_columns_and_cards():
    assert TABLE.measure == 2 and TABLE.names == [1] and TABLE.interval_of(2) == 3 and TABLE.interval_of(4) is None
    assert {heading: len(lines) for heading, lines in TABLE.cards().items()} == {"A": 2, "B": 1}
    assert TABLE.place("texts") == 4 and TABLE.places("score", "rows") == [2, 5]


def test_folders_and_formats(tmp_path):
    OVERVIEW.save_csv(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "words.csv").read_text(encoding="utf-8") == TABLE.csv_text()
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="is a file; name a folder"):
        OVERVIEW.save_csv(tmp_path / "file")
    with pytest.raises(InvalidInput, match="png or svg; got 'pdf'"):
        OVERVIEW.save_figures(tmp_path / "figures", "pdf")
    assert not (tmp_path / "figures").exists()


def test_the_first_headline_is_the_sentence():
    assert OVERVIEW.sentence == "" and list(OVERVIEW.tables) == ["words"]
