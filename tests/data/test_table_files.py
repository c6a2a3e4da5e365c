"""Files of examples, row by row: against the writers of the standard library and of pyarrow."""

import csv
import io
import json

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_nlp.data.table_files import SUFFIXES, check_limit, first_line, json_rows, read_file
from xai_nlp.errors import InvalidInput, UnreadableFile

CELL = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=8)


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t")])
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_cells_come_back_as_the_standard_writer_wrote_them(tmp_path_factory, suffix, delimiter, rows):
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("text", "label"), *rows])
    file = tmp_path_factory.mktemp("tables") / f"a{suffix}"
    file.write_bytes(written.getvalue().encode())
    assert list(read_file(file)) == [{"text": text, "label": label} for text, label in rows]


@given(
    rows=st.lists(
        st.dictionaries(CELL, CELL | st.integers() | st.none() | st.lists(st.booleans(), max_size=2), max_size=3)
    )
)
@settings(max_examples=40, deadline=None)
def test_objects_come_back_from_json_and_from_json_lines(rows):
    assert list(json_rows(json.dumps(rows), "a.json", lines=False)) == rows
    assert list(json_rows("\n\n".join(map(json.dumps, rows)), "a.jsonl")) == rows


def test_a_text_file_has_one_text_a_line(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes("\ufeffone\r\n\n  two  \n".encode())
    assert list(read_file(file)) == ["one", "two"]


def test_parquet_is_a_data_set_and_its_limit_is_known_before_it_is_read(tmp_path):
    file = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"], "n": [1, None]}), file)
    assert list(read_file(file)) == [{"text": "a", "n": 1}, {"text": "b", "n": None}]
    with pytest.raises(InvalidInput, match="more than 1 rows"):
        read_file(file, limit=1)


@pytest.mark.parametrize(
    ("content", "columns", "rows"),
    [
        ("text,label\na film,1\na book,0\n", ["text", "label"], 2),
        ("a film,1\na book,0\n", ["1", "2"], 2),  # a number is no name
        ("a film,GOOD\na book,BAD\na tale,GOOD\n", ["1", "2"], 3),  # nor is one of the values below
        ("0,1\na film,1\na book,0\n", ["0", "1"], 2),  # as pandas writes columns without names
        ("2019\n", ["2019"], 0),
        ("a film\na book\n", ["a film"], 1),  # nothing tells
        ("text,nan is no number\na film,b\n", ["text", "nan is no number"], 1),
    ],
)
def test_a_header_is_recognised(tmp_path, content, columns, rows):
    file = tmp_path / "a.csv"
    file.write_text(content)
    found = list(read_file(file))
    assert len(found) == rows and all(list(row) == columns for row in found)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"text,text\na,b\n", "a.csv, line 1: two columns are called 'text'"),
        ("a.csv", b"text,label\na,b\nc\n", "a.csv, line 3: 1 cells, where the header has 2"),
        ("a.csv", b'text\n"a\n', r"a.csv, line 2: .*quote"),
        ("a.tsv", b"text\tlabel\na\n", "a tab or a line break"),
        ("a.jsonl", b'{"text": "a"}\n[1]\n', r"a.jsonl, line 2: an object is needed.*got a list"),
        ("a.jsonl", b'{"text": "a"}\n{"text"\n', "a.jsonl, line 2: no valid JSON"),
        ("a.jsonl", b'{"text": "\\ud800"}\n', "a.jsonl, line 1: no valid JSON"),
        ("a.json", b'{"text": "a"}', "a.json: a list of objects is needed; got a dict"),
        ("a.json", b'["a"]', r"a.json, entry 1: an object is needed"),
        ("a.txt", b"one\ntwo \xff\n", "a.txt, line 2: not UTF-8"),
        ("a.csv", b" \n", "a.csv is empty"),
        ("a.parquet", b"PAR1", "a.parquet is no Parquet file"),
    ],
)
def test_a_broken_file_names_the_line(tmp_path, name, content, said):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(UnreadableFile, match=said):
        list(read_file(file))


def test_files_that_are_not_there_or_no_tables(tmp_path):
    with pytest.raises(InvalidInput, match="there is no file"):
        read_file(tmp_path / "a.csv")
    (tmp_path / "a.xlsx").touch()
    with pytest.raises(InvalidInput, match=r"a\.xlsx is no table") as error:
        read_file(tmp_path / "a.xlsx")
    assert all(suffix in str(error.value) for suffix in SUFFIXES)


def test_limits_and_first_lines():
    check_limit(3, None, "a")
    check_limit(3, 3, "a")
    with pytest.raises(InvalidInput, match="a has more than 1,000 rows"):
        check_limit(1001, 1000, "a")
    assert first_line(ValueError("said.\nand more")) == "said"
    assert first_line(KeyError()) == "KeyError"
