"""Files of a run: their schema, their names, and that an explanation comes back equal."""

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

import xai_nlp
from tests.viz.images import asked
from tests.viz.samples import answered, made
from xai_nlp import Explanation
from xai_nlp.core.serialization import FORMAT, to_data
from xai_nlp.errors import UnreadableFile
from xai_nlp.runs.shards import FORMAT_KEY, SCHEMA, explanation_of, finished, parquet, table_of, write_shard

CONTEXT = "Frankenstein was written by Mary Shelley in 1818."


def round_trip(table):
    return pyarrow.parquet.read_table(io.BytesIO(parquet(table)))


def rich():
    return xai_nlp.explain(
        question="Who wrote it?", context=CONTEXT, layers=True, attention=True, trust=True, progress=False
    )


@pytest.mark.parametrize("make", [lambda: made("a fine film 😀"), answered, asked, rich])
def test_an_explanation_comes_back_equal(make):
    item = make()
    table = round_trip(table_of([(7, item)], {9: "no text"}))
    assert table.schema.equals(SCHEMA, check_metadata=True)
    explained, failed = table.to_pylist()
    assert explanation_of(explained) == item
    assert (explained["row"], explained["error"]) == (7, None)
    assert {name: cell for name, cell in failed.items() if cell is not None} == {"row": 9, "error": "no text"}


def test_the_columns_are_the_fields_of_an_explanation():
    assert SCHEMA.names == ["row", "error", *(name for name in to_data(made("a film")) if name != "format")]
    assert SCHEMA.names[2:] == list(Explanation.__dataclass_fields__)
    assert SCHEMA.metadata == {FORMAT_KEY: str(FORMAT).encode()}


def test_lists_are_lists_for_other_readers():
    item = made("a fine film")
    frame = round_trip(table_of([(0, item)], {})).to_pandas()
    assert tuple(frame.tokens[0]) == item.tokens
    assert np.array(frame.scores[0]).tolist() == list(item.scores)
    assert [tuple(pair) for pair in frame.offsets[0]] == list(item.offsets)


def test_files_are_named_by_their_places(tmp_path):
    table = table_of([(0, made("a film"))], {})
    write_shard(tmp_path, range(8, 12), [table, table])
    write_shard(tmp_path, range(8), [table])
    (tmp_path / "rows-1.parquet").touch()
    assert {part: file.name for part, file in finished(tmp_path).items()} == {
        range(8): "rows-00000000-00000008.parquet",
        range(8, 12): "rows-00000008-00000012.parquet",
    }
    write_shard(tmp_path, range(10, 14), [table])
    with pytest.raises(UnreadableFile, match="another file of the run holds too"):
        finished(tmp_path)


def test_the_tutorial_lists_the_columns():
    page = Path(__file__).parents[2] / "tutorials" / "runs.md"
    text = page.read_text(encoding="utf-8")
    for name in SCHEMA.names:
        assert f"`{name}`" in text, name
