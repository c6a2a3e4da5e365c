"""Rows of a run: read, fingerprinted, and put in order, in batches and in files."""

from itertools import pairwise

import numpy as np
import pytest

import xai_nlp
from xai_nlp.data.table import read_table
from xai_nlp.errors import InvalidInput
from xai_nlp.runs import rows
from xai_nlp.runs.rows import RunRows, Survey

TEXTS = ["a film", "a fine film that never ends", "so"]


@pytest.fixture(scope="module")
def sentiment():
    return xai_nlp.load("sentiment")


def of(explainer, data, columns=None, shared=()):
    return RunRows(read_table(data), explainer, columns or {}, shared)


def test_tokens_are_those_of_the_tokenizer(sentiment):
    lengths = of(sentiment, TEXTS).survey().lengths
    assert lengths.tolist() == [len(sentiment.tokenizer(text)["input_ids"]) for text in TEXTS]


def test_tokens_of_all_texts_count(sentiment):
    pairs = of(sentiment, {"text": TEXTS, "pair": TEXTS}).survey().lengths
    assert pairs.tolist() == [2 * length for length in of(sentiment, TEXTS).survey().lengths]


def test_the_fingerprint_is_of_what_is_explained(sentiment, tmp_path):
    file = tmp_path / "moved.csv"
    file.write_text("review,id\n" + "".join(f"{text},{n}\n" for n, text in enumerate(TEXTS)))
    one = of(sentiment, {"text": TEXTS}).survey().fingerprint
    assert of(sentiment, file).survey().fingerprint == one  # other names, a further column
    assert of(sentiment, TEXTS[::-1]).survey().fingerprint != one
    assert of(sentiment, {"text": TEXTS, "label": ["0", "1", "1"]}).survey().fingerprint != one


def test_an_image_counts_by_its_bytes(tmp_path):
    from PIL import Image

    def drawn(colour):
        Image.new("RGB", (32, 32), colour).save(tmp_path / "a.png")
        return of(xai_nlp.load("image"), {"image": [str(tmp_path / "a.png")]}).survey()

    red, blue = drawn("red"), drawn("blue")
    assert red.fingerprint != blue.fingerprint and red.lengths.tolist() == [1]


def test_one_bad_cell_is_one_error(sentiment):
    data = [{"text": text} for text in TEXTS] + [{"text": ["a", "list"]}]
    read = of(sentiment, data).read(range(4))
    assert [row.error != "" for row in read] == [False, False, False, True]
    assert [row.record.index for row in read] == [0, 1, 2, 3]
    with pytest.raises(InvalidInput, match="no column for text"):
        of(sentiment, {"colour": ["red"]})


def test_windows_are_read_as_they_are_needed(sentiment, monkeypatch):
    monkeypatch.setattr(rows, "WINDOW", 2)
    read = of(sentiment, TEXTS).batch([2, 0, 1])
    assert [row.record.inputs["text"] for row in read] == [TEXTS[2], TEXTS[0], TEXTS[1]]


def survey_of(lengths):
    return Survey("", np.array(lengths))


def test_rows_are_sorted_inside_of_windows(monkeypatch):
    monkeypatch.setattr(rows, "WINDOW", 4)
    assert survey_of([9, 2, 5, 2, 1, 8]).order.tolist() == [1, 3, 2, 0, 4, 5]


@pytest.mark.parametrize("seed", range(20))
def test_batches_and_files_hold_each_place_once(seed, monkeypatch):
    random = np.random.default_rng(seed)
    monkeypatch.setattr(rows, "WINDOW", int(random.integers(3, 40)))
    monkeypatch.setattr(rows, "BATCH_TOKENS", int(random.integers(1, 300)))
    monkeypatch.setattr(rows, "SHARD_ROWS", int(random.integers(1, 30)))
    monkeypatch.setattr(rows, "SHARD_TOKENS", int(random.integers(1, 2000)))
    survey = survey_of(random.integers(1, 100, int(random.integers(1, 120))))
    places = range(len(survey.lengths))
    assert [place for batch in survey.batches for place in batch] == list(places)
    assert sorted(survey.order.tolist()) == list(places)
    for batch in survey.batches:
        assert batch.start // rows.WINDOW == batch[-1] // rows.WINDOW
        longest = max(survey.lengths[survey.order[place]] for place in batch)
        assert survey.tokens(batch) == longest * len(batch)
        assert len(batch) == 1 or survey.tokens(batch) <= rows.BATCH_TOKENS
    done = [batch for batch in survey.batches if random.random() < 0.4]
    shards = list(survey.shards(done))
    assert [batch for shard in shards for batch in shard] == [one for one in survey.batches if one not in done]
    for shard in shards:
        assert all(before.stop == after.start for before, after in pairwise(shard))
        assert shard[:-1] == [] or shard[-2].stop - shard[0].start < rows.SHARD_ROWS


def test_the_same_rows_in_any_form_are_the_same_data(sentiment, tmp_path):
    import pandas
    from datasets import Dataset, IterableDataset

    columns = {"text": TEXTS, "label": [1, 0, 1]}
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    frame = pandas.DataFrame(columns)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    frame.to_parquet(tmp_path / "a.parquet")
    forms = [
        columns, records, frame, Dataset.from_dict(columns), IterableDataset.from_generator(lambda: iter(records)),
        *(tmp_path / f"a.{suffix}" for suffix in ("csv", "tsv", "jsonl", "parquet")),
    ]  # fmt: skip
    assert len({of(sentiment, form).survey().fingerprint for form in forms}) == 1
