"""One table type: every source gives the same rows, and broken files are refused by line."""

import io
import json
import os
import re
import subprocess
import sys

import datasets
import numpy as np
import pandas
import pytest
from PIL import Image

from xai_nlp.core.fields import InputField
from xai_nlp.data.table import DataTable, is_table, match_label, read_table
from xai_nlp.errors import InvalidInput, UnknownName, UnreadableFile

TEXT = InputField(name="text", kind="long text", help="The text.", columns=("sentence", "review", "premise"))
PAIR = InputField(name="pair", kind="text", help="The second text.", columns=("hypothesis",), required=False)
QUESTION = InputField(name="question", kind="text", help="The question.", columns=())
CONTEXT = InputField(name="context", kind="text", help="The context.", columns=("passage",))
PICTURE = InputField(name="image", kind="image", help="The image.", columns=("img",))
LABELS = ("NEGATIVE", "POSITIVE")
ROWS = [{"text": "a fine film", "label": "POSITIVE"}, {"text": "ein schöner, alter “Film”\n2", "label": "NEGATIVE"}]
FRAME = pandas.DataFrame(ROWS)


def write(folder, name, content):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def texts(table, **options):
    return [record.inputs["text"] for record in table.records([TEXT], **options)]


def golds(cells, labels=(), **features):
    """The right answers read from a column."""
    columns = {"text": ["a"] * len(cells), "label": cells}
    source = datasets.Dataset.from_dict(columns, features=datasets.Features(**features)) if features else columns
    return [record.gold for record in read_table(source).records([TEXT], ["label"], labels=labels)]


SOURCES = {
    "csv": lambda folder: write(folder, "a.csv", FRAME.to_csv(index=False)),
    "csv with a byte order mark": lambda folder: write(folder, "a.CSV", "\ufeff" + FRAME.to_csv(index=False)),
    "csv of Windows": lambda folder: write(folder, "a.csv", FRAME.to_csv(index=False, lineterminator="\r\n")),
    "tsv": lambda folder: write(folder, "a.tsv", FRAME.to_csv(index=False, sep="\t")),
    "json lines": lambda folder: write(folder, "a.jsonl", FRAME.to_json(orient="records", lines=True)),
    "json lines of Windows": lambda folder: write(
        folder, "a.jsonl", "\r\n\r\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)
    ),
    "json": lambda folder: write(folder, "a.json", json.dumps(ROWS, indent=1)),
    "parquet": lambda folder: FRAME.to_parquet(folder / "a.parquet") or folder / "a.parquet",
    "a path as text": lambda folder: str(write(folder, "a.json", json.dumps(ROWS))),
    "a data set": lambda folder: datasets.Dataset.from_list(ROWS),
    "a formatted data set": lambda folder: datasets.Dataset.from_list(ROWS).with_format("numpy"),
    "a frame": lambda folder: FRAME.set_index(pandas.Index([7, 8])),
    "categories": lambda folder: FRAME.astype({"label": "category"}),
    "mappings": lambda folder: ROWS,
    "columns": lambda folder: {name: FRAME[name] for name in FRAME},
    "a generator": lambda folder: (row for row in ROWS),
    "a streamed data set": lambda folder: datasets.Dataset.from_list(ROWS).to_iterable_dataset(),
    "a table": lambda folder: read_table(ROWS),
}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_every_source_gives_the_same_rows(tmp_path, source):
    table = read_table(source(tmp_path))
    assert isinstance(table, DataTable)
    assert (len(table), table.columns) == (2, ["text", "label"])
    assert list(table) == ROWS == [table[0], table[-1]]
    records = list(table.records([TEXT], ["label"]))
    assert [record.index for record in records] == [0, 1]
    assert [record.inputs for record in records] == [{"text": row["text"]} for row in ROWS]
    assert [record.gold for record in records] == [("POSITIVE",), ("NEGATIVE",)]
    with pytest.raises(IndexError):
        _ = table[2]


def test_rows_without_names_stand_in_the_order_of_the_inputs(tmp_path):
    pairs = [("q", "c"), ("r", "d")]
    assert [one.inputs for one in read_table(pairs).records([QUESTION, CONTEXT])] == [
        {"question": q, "context": c} for q, c in pairs
    ]
    mixed = read_table(["a", ("b", "c")]).records([TEXT, PAIR])
    assert [one.inputs for one in mixed] == [{"text": "a"}, {"text": "b", "pair": "c"}]
    named = read_table([{"text": "a", "label": "x"}, ("b", "c"), "d"]).records([TEXT, PAIR], ["label"])
    assert [(one.inputs, one.gold) for one in named] == [
        ({"text": "a"}, ("x",)),
        ({"text": "b", "pair": "c"}, ()),
        ({"text": "d"}, ()),
    ]
    assert texts(read_table(write(tmp_path, "a.txt", "one\n\n  two \r\n"))) == ["one", "two"]
    with pytest.raises(InvalidInput, match="rows of 2 values; the inputs are text"):
        read_table(pairs).records([TEXT])
    with pytest.raises(InvalidInput, match="no column for context"):
        read_table(["q"]).records([QUESTION, CONTEXT])


@pytest.mark.parametrize("word", ["NA", "None", "null", "nan", "N/A", "", "0", "007", "1.50", "True", " spaces "])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_cells_of_text_files_stay_as_written(tmp_path, word, suffix):
    comma = "," if suffix == "csv" else "\t"
    table = read_table(write(tmp_path, f"a.{suffix}", f'text{comma}label\n"{word}"{comma}{word}\n'))
    assert table[0] == {"text": word, "label": word}


def test_numbers_stay_numbers_where_the_file_says_so(tmp_path):
    rows = [{"text": "a", "n": 1, "x": 0.5}, {"text": "None", "n": None, "x": 2.0}]
    pandas.DataFrame({"n": [1, 2]}).to_parquet(tmp_path / "a.parquet")
    assert list(read_table(write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows))))) == rows
    assert list(read_table(tmp_path / "a.parquet")) == [{"n": 1}, {"n": 2}]


def test_cells_of_several_kinds_and_rows_of_several_keys(tmp_path):
    rows = [{"a": {"text": ["x"]}, "b": 1}, {"a": ["y"], "b": "two"}, {"a": "z", "c": []}]
    lines = read_table(write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows))))
    assert list(lines) == [{"a": None, "b": None, "c": None, **row} for row in rows]


# Columns --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "used"),
    [
        (["review", "sentence", "text"], "text"),
        (["review", "Sentence"], "Sentence"),
        (["TEXT", "sentence"], "TEXT"),
        (["TEXT", "text"], "text"),
        (["PREMISE"], "PREMISE"),
    ],
)
def test_columns_are_matched_by_our_name_then_by_the_usual_ones_in_any_case(columns, used):
    assert texts(read_table([{name: name for name in columns}])) == [used]


def test_columns_can_be_named():
    table = read_table([{"text": "id 3", "Body": "a film", "stars": 1, "label": "x"}])
    (record,) = table.records([TEXT, PAIR], ["label"], {"text": "body", "gold": "stars"}, LABELS)
    assert (record.inputs, record.gold) == ({"text": "a film"}, ("POSITIVE",))
    (record,) = table.records([TEXT, PAIR], ["label"], {"label": "stars", "pair": "Body"})
    assert (record.inputs, record.gold) == ({"text": "id 3", "pair": "a film"}, ("1",))
    with pytest.raises(UnknownName, match=r"unknown input 'txt'\. Did you mean 'text'"):
        table.records([TEXT], ["label"], {"txt": "Body"})
    for name in ("text", "gold"):
        with pytest.raises(UnknownName, match=r"unknown column of the data 'Bode'\. Did you mean 'Body'"):
            table.records([TEXT], ["label"], {name: "Bode"})


def test_a_missing_column_is_one_message_that_lists_those_there_are(tmp_path):
    table = read_table(write(tmp_path, "reviews.csv", "words,stars\na,1\n"))
    expected = (
        "reviews.csv has no column for question; for context, passage. Its columns: 'words', 'stars'. "
        "Rename one, or say which it is: column={'question': …}, --column question=…"
    )
    with pytest.raises(InvalidInput, match=f"^{re.escape(expected)}$"):
        table.records([QUESTION, CONTEXT])


def test_an_optional_input_is_left_out_where_it_is_empty():
    table = read_table({"premise": ["a", "b", None], "hypothesis": ["", None, "c"]})
    inputs = [record.inputs for record in table.records([TEXT, PAIR])]
    assert inputs == [{"text": "a"}, {"text": "b"}, {"text": "", "pair": "c"}]


def test_cells_that_are_no_texts():
    assert texts(read_table({"text": [1, 2.5, None, float("nan")]})) == ["1.0", "2.5", "", ""]
    assert texts(read_table({"text": [True, False]})) == ["True", "False"]
    records = read_table([{"text": "a"}, {"text": ["a", "b"]}]).records([TEXT])
    assert next(records).inputs == {"text": "a"}
    with pytest.raises(InvalidInput, match="record 1: text is a list; give a text"):
        next(records)


# What is right --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["POSITIVE", "", None], [("POSITIVE",), (), ()]),
        ([1, 0, None], [("1",), ("0",), ()]),
        ([["a", "b"], [], ["c", "c"]], [("a", "b"), ("",), ("c",)]),
        (
            [{"text": ["x", "y", "x"], "answer_start": [1, 2, 1]}, {"text": [], "answer_start": []}],
            [("x", "y"), ("",)],
        ),
        ([{"text": "x"}, None], [("x",), ()]),
        ([[{"answer": "yes", "answer_id": 1}, {"answer": "no", "answer_id": 2}]], [("yes", "no")]),
        ([{"text": ["x"]}, ["y"], "z", 3, None], [("x",), ("y",), ("z",), ("3",), ()]),
        ([float("nan"), 1.0], [(), ("1.0",)]),
    ],
)
def test_gold(cells, expected):
    assert golds(cells) == expected


def test_gold_of_class_labels_is_their_names():
    names = datasets.ClassLabel(names=["bad", "good"])
    text = datasets.Value("string")
    assert golds([1, 0, -1, None], text=text, label=names) == [("good",), ("bad",), (), ()]
    assert golds([[0, 1], []], text=text, label=datasets.List(names)) == [("bad", "good"), ("",)]


def test_class_labels_survive_parquet(tmp_path):
    features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["bad", "good"]))
    datasets.Dataset.from_dict({"text": ["a"], "label": [1]}, features=features).to_parquet(tmp_path / "a.parquet")
    (record,) = read_table(tmp_path / "a.parquet").records([TEXT], ["label"])
    assert record.gold == ("good",)


def test_gold_is_written_as_the_model_writes_it():
    negative, positive = [(label,) for label in LABELS]
    assert golds(["1", "negative", "pos", "0.0"], LABELS) == [positive, negative, positive, negative]


@pytest.mark.parametrize("text", ["7", "-1", "²", "", "po", "sports", "POSITIVES"])
def test_labels_that_the_model_does_not_have_stay(text):
    assert match_label(text, LABELS) == text


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [("1", ("5", "1", "3"), "1"), ("ent", ("entail", "entity"), "ent"), ("Fine", ("fine", "fine print"), "fine")],
)  # fmt: skip
def test_a_label_is_matched_by_name_before_index_and_beginning(text, labels, expected):
    assert match_label(text, labels) == expected


# Images ---------------------------------------------------------------------------------------------------------------


def test_images_are_paths_beside_the_table_or_bytes(tmp_path):
    picture = Image.new("RGB", (3, 2), "red")
    picture.save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    lines = write(tmp_path, "a.csv", f"img\na.png\n{tmp_path / 'b.png'}\n")
    paths = [record.inputs["image"] for record in read_table(lines).records([PICTURE])]
    assert paths == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]

    (record,) = read_table([{"image": picture}]).records([PICTURE])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(record.inputs["image"]))), np.asarray(picture))
    (record,) = read_table([(np.asarray(picture), "what?")]).records([PICTURE, QUESTION])
    assert np.array_equal(record.inputs["image"], np.asarray(picture))
    (record,) = read_table([(tmp_path / "a.png", "what?")]).records([PICTURE, QUESTION])
    assert record.inputs == {"image": str(tmp_path / "a.png"), "question": "what?"}

    features = datasets.Features(image=datasets.Image())
    stored = datasets.Dataset.from_dict({"image": [{"bytes": content, "path": None}]}, features=features)
    stored.to_parquet(tmp_path / "a.parquet")
    pandas.DataFrame({"image": [{"bytes": content, "path": "a.png"}]}).to_parquet(tmp_path / "b.parquet")
    for source in (stored, tmp_path / "a.parquet", tmp_path / "b.parquet", [{"image": content}]):
        (record,) = read_table(source).records([PICTURE])
        assert record.inputs == {"image": content}


def test_a_broken_image_that_is_not_used_is_not_read():
    features = datasets.Features(image=datasets.Image(), text=datasets.Value("string"))
    source = datasets.Dataset.from_dict({"image": [{"bytes": b"no image", "path": None}], "text": ["a"]}, features)
    assert texts(read_table(source)) == ["a"]


# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("x.csv", b"", UnreadableFile, "^x.csv is empty"),
        ("x.jsonl", b"\xef\xbb\xbf \n", UnreadableFile, "^x.jsonl is empty"),
        ("x.csv", b"text,label\n", InvalidInput, "^x.csv has no rows"),
        ("x.json", b"[]", InvalidInput, "^x.json has no rows"),
        ("x.csv", b"text\n\xe4\n", UnreadableFile, "^x.csv, line 2: not UTF-8"),
        ("x.csv", "text\na".encode("utf-16"), UnreadableFile, "^x.csv, line 1: not UTF-8"),
        ("x.csv", b"text,label\na,1\nb\n", UnreadableFile, "^x.csv, line 3: 1 cells, where the header has 2"),
        ("x.csv", b"text,label\n\"a\nb\",1\nc,1,2\n", UnreadableFile, "^x.csv, line 4: 3 cells"),
        ("x.tsv", b"text\tlabel\na\n", UnreadableFile, "^x.tsv, line 2: .* a tab "),
        ("x.csv", b"text,a,text\na,1,2\n", UnreadableFile, "^x.csv, line 1: two columns are called 'text'"),
        ("x.csv", b'text\n"a" b\n', UnreadableFile, "^x.csv, line 2: .*quote"),
        ("x.csv", b'text\na\n"b\n', UnreadableFile, "^x.csv, line 3: .*quote"),
        ("x.jsonl", b'{"text": "a"}\n\n{"text": \n', UnreadableFile, "^x.jsonl, line 3: no valid JSON"),
        ("x.jsonl", b'{"text": "a"}\n["b"]\n', UnreadableFile, "^x.jsonl, line 2: an object is needed"),
        ("x.jsonl", b'{"text": "a"}\n"\\ud800"', UnreadableFile, "^x.jsonl, line 2: no valid JSON: .*surrogate"),
        ("x.jsonl", b"[" * 100_000, UnreadableFile, "^x.jsonl, line 1: no valid JSON: .*recursion"),
        ("x.jsonl", b'{"text": ' + b"9" * 5_000 + b"}", UnreadableFile, "^x.jsonl, line 1: no valid JSON: .*digits"),
        ("x.jsonl", b'{"text": 99999999999999999999999}', InvalidInput, "^x.jsonl cannot be read as a table"),
        ("x.json", b'[{"text": "a"},\n{"text"}]', UnreadableFile, "^x.json, line 2: no valid JSON"),
        ("x.json", b'{"text": ["a"]}', UnreadableFile, "^x.json: a list of objects is needed; got a dict"),
        ("x.json", b'[{"text": "a"}, "b"]', UnreadableFile, "^x.json, entry 2: an object is needed"),
        ("x.parquet", b"no parquet", UnreadableFile, "^x.parquet is no Parquet file"),
        ("x.parquet", b"", UnreadableFile, "^x.parquet is no Parquet file"),
        ("x.pkl", b"a", InvalidInput, "^x.pkl is no table: give a file that ends in .csv, .tsv"),
        ("x", b"a", InvalidInput, "^x is no table: "),
    ],
)  # fmt: skip
def test_broken_files_are_refused_in_one_line_that_names_the_place(tmp_path, name, content, error, message):
    with pytest.raises(error, match=message) as refused:
        read_table(write(tmp_path, name, content))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.csv", "there is no file nowhere.csv"),
        ([], "the data has no rows"),
        ({}, "the data has no rows"),
        (3, "a table is a path, .*; got int"),
        (b"text", "got bytes"),
        ([1, 2], "a row is a text, a tuple or a mapping; row 0 is a int"),
        (["a", None], "row 1 is a NoneType"),
        ({"text": "a film"}, "'text' is a str"),
        ({"text": ["a", "b"], "label": [1]}, "cannot be read as a table"),
        (["\ud800"], "cannot be read as a table: .*surrogates"),
        (pandas.DataFrame({"a": pandas.Series(["\ud800"], dtype=object)}), "the frame cannot be read as a table"),
        (pandas.DataFrame([[1, 2]], columns=["a", "a"]), "Duplicate column names"),
        (datasets.DatasetDict(train=datasets.Dataset.from_dict({"text": ["a"]})), "choose one of 'train'"),
    ],
)
def test_other_sources_are_refused(source, message):
    with pytest.raises(InvalidInput, match=message):
        read_table(source)


@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_more_rows_than_the_limit(tmp_path, source):
    assert len(read_table(source(tmp_path), limit=2)) == 2
    with pytest.raises(InvalidInput, match="has more than 1 rows, which is the limit"):
        read_table(source(tmp_path), limit=1)


def test_endless_generators_end_at_the_limit():
    with pytest.raises(InvalidInput, match="more than 1,000 rows"):
        read_table(iter(lambda: "a text", ""), limit=1_000)


def test_reading_leaves_no_file_prints_nothing_and_needs_no_torch(tmp_path):
    files = [SOURCES[name](tmp_path) for name in ("csv", "json lines", "parquet", "json")]
    code = (
        "import sys; from xai_nlp.data.table import read_table; from xai_nlp.tasks.table import find_task\n"
        "task = find_task('classify')\n"
        "for file in sys.argv[1:]: assert len(list(read_table(file).records(task.inputs, task.gold))) == 2\n"
        "assert 'torch' not in sys.modules, 'torch'"
    )
    home = tmp_path / "home"
    env = {**os.environ, "HOME": str(home), "HF_HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": str(home)}
    home.mkdir()
    done = subprocess.run([sys.executable, "-c", code, *map(str, files)], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(home.rglob("*")) == []


def test_importing_the_package_does_not_import_the_readers():
    code = "import sys, xai_nlp, xai_nlp.data.table; print({'datasets', 'pandas', 'pyarrow'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_large_tables_are_read_at_once(tmp_path):
    """100,000 rows take about a second: nothing is done row by row that datasets or csv do in C."""
    file = write(tmp_path, "a.csv", "text,label\n" + "".join(f"film number {n},{n % 2}\n" for n in range(100_000)))
    table = read_table(file, limit=100_000)
    assert sum(record.gold == ("POSITIVE",) for record in table.records([TEXT], ["label"], labels=LABELS)) == 50_000


def test_a_frame_may_hold_cells_of_several_kinds():
    table = read_table(pandas.DataFrame({"text": ["a", "b"], "label": ["x", 1]}))
    assert list(table) == [{"text": "a", "label": "x"}, {"text": "b", "label": 1}]


def test_what_is_a_table():
    dataset = datasets.Dataset.from_dict({"text": ["a"]})
    tables = [pandas.DataFrame(), dataset, {}, read_table(dataset), dataset.to_iterable_dataset()]
    assert all(map(is_table, tables))
    assert not any(map(is_table, ["a", ["a"], ("a", "b"), pandas.Series(["a"]), None, 3]))


def test_ctrl_c_is_not_swallowed(monkeypatch):
    """`datasets` hashes rows that are selected, in a `try` whose `except` is bare; so nothing is hashed."""
    table = read_table([{"text": "a fine film", "label": "1"}] * 3)

    def hashed(*_):
        raise AssertionError

    monkeypatch.setattr("datasets.fingerprint.Hasher.hash", hashed)
    monkeypatch.setattr("datasets.fingerprint.Hasher.update", hashed)
    part = table.part(range(1, 3))
    text = InputField(name="text", kind="text", help="The text.", columns=("text",))
    assert [record.index for record in part.records([text], ["label"])] == [1, 2]
