"""A run read back: a lazy sequence that keeps files where they are."""

import copy

import pytest

import xai_nlp
from xai_nlp import Explanations
from xai_nlp.errors import InvalidInput, UnreadableFile
from xai_nlp.runs import read, rows
from xai_nlp.runs.read import ShardReader, read_run
from xai_nlp.runs.shards import finished

TEXTS = [f"a {'fine' if n % 3 else 'dull'} film {'and so on ' * (n % 5)}" for n in range(40)] + [""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of several files."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "BATCH_TOKENS", 64)
        patch.setattr(rows, "SHARD_ROWS", 8)
        xai_nlp.run(TEXTS, "sentiment", directory=folder, method="saliency", progress=False)
    assert len(finished(folder)) > 3
    return folder


def test_it_is_a_sequence_in_the_order_of_the_data(folder):
    found = read_run(folder)
    assert isinstance(found, Explanations) and len(found) == 40
    assert [item.segments for item in found] == [(text,) for text in TEXTS[:40]]
    assert found[-1] == found[39] and found[3:9][2] == found[5] and len(found[::7]) == 6
    assert found == read_run(folder) and found != found[1:]
    assert list(found.errors) == [40]
    assert "40 explanations" in repr(found) and "1 failed" in repr(found)
    assert copy.deepcopy(found[2:4]) == found[2:4]
    with pytest.raises(IndexError):
        found[40]


def test_it_reads_a_file_when_it_is_used_and_forgets_it(folder, monkeypatch):
    opened = []

    def table(self, number):
        opened.append(number)
        return ShardReader_table(self, number)

    ShardReader_table = ShardReader.table
    monkeypatch.setattr(ShardReader, "table", table)
    found = read_run(folder)
    assert opened == []
    _ = found[0]
    assert len(opened) == 1
    monkeypatch.setattr(read, "CACHE", 0)
    for _ in found:
        assert len(found._reader._tables) == 1


def test_filter_keeps_rows_and_plan(folder):
    found = read_run(folder)
    dull = found.filter(lambda item: "dull" in item.segments[0])
    assert dull.inputs == tuple(range(0, 40, 3))
    assert dull.plan == found.plan and all("dull" in item.segments[0] for item in dull)
    assert len(dull.filter(lambda item: False)) == 0


def test_tables(folder):
    found = read_run(folder)
    frame = found[:2].to_pandas()
    assert frame.equals(Explanations(list(found[:2])).to_pandas())
    data = found[5:9].to_dataset()
    assert data["row"][:] == [5, 6, 7, 8] and data[0]["segments"] == [TEXTS[5]]
    assert tuple(data[0]["scores"]) == found[5].scores
    assert found.summary().columns.tolist()[:2] == ["label", "word"]


def test_it_is_saved_line_by_line_whole_or_not_at_all(folder, tmp_path, monkeypatch):
    found, file = read_run(folder), tmp_path / "all.jsonl"
    found.save(file)
    assert Explanations.load(file) == found
    assert file.read_text(encoding="utf-8") == found.to_json()
    found.filter(lambda item: False).save(tmp_path / "none.jsonl")
    assert (tmp_path / "none.jsonl").read_bytes() == b""
    before = file.read_bytes()

    def explanation(self, number, place):
        raise UnreadableFile("gone")

    monkeypatch.setattr(ShardReader, "explanation", explanation)
    with pytest.raises(UnreadableFile, match="gone"):
        found.save(file)
    assert file.read_bytes() == before and [one.name for one in tmp_path.iterdir() if "part" in one.name] == []


def test_its_page_is_the_overview(folder, tmp_path):
    found = read_run(folder)
    found.to_html(tmp_path / "run.html")
    found.overview().to_html(tmp_path / "overview.html")
    assert (tmp_path / "run.html").read_bytes() == (tmp_path / "overview.html").read_bytes()
    found[:4].to_html(tmp_path / "part.html")
    assert "4</bdi></b> explanations" in (tmp_path / "part.html").read_text(encoding="utf-8")


def test_what_is_no_run_is_refused(folder, tmp_path):
    with pytest.raises(InvalidInput, match="holds no run"):
        read_run(tmp_path)
    (tmp_path / "plan.json").write_bytes((folder / "plan.json").read_bytes())
    assert len(read_run(tmp_path)) == 0 and len(read_run(tmp_path).to_dataset()) == 0
    broken = tmp_path / "rows-00000000-00000008.parquet"
    broken.write_bytes(b"PAR1 and no more")
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_run(tmp_path)
    import pandas

    pandas.DataFrame({"row": [1], "error": [None]}).to_parquet(broken)
    with pytest.raises(UnreadableFile, match="no file of a run"):
        read_run(tmp_path)


def test_a_column_is_read_alone_in_the_order_of_the_explanations(folder, monkeypatch):
    found = read_run(folder)
    asked, read_parquet = [], read.read_parquet
    monkeypatch.setattr(
        read, "read_parquet", lambda file, columns: asked.append(columns) or read_parquet(file, columns)
    )
    assert list(found[3:9].column("segments")) == [[text] for text in TEXTS[3:9]]
    assert asked and all(columns == ["segments"] for columns in asked)
