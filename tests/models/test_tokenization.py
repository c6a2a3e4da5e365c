"""Texts into rows: offsets, windows, batches, clear refusals."""

import itertools

import pytest
import torch

from tests.models.tiny import ARCHITECTURES, MAX_POSITIONS, tiny
from xai_nlp.core.result import SPECIAL
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.models.loading import load_model
from xai_nlp.models.tokenization import batches, encode, pad_batch

NAMES = ["input_ids", "attention_mask", "token_type_ids"]
TEXT = "A gripping,  naïve film — wonderful!"


def rows_of(name, texts, max_length=MAX_POSITIONS, stride=8):
    return encode(tiny(name)[1], texts, max_length=max_length, stride=stride, names=NAMES)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_tokens_cover_the_text_and_nothing_but_the_text(name):
    (row,) = rows_of(name, [TEXT])
    covered = set()
    for segment, (start, end) in zip(row.segment, row.offsets, strict=True):
        if segment != SPECIAL:
            covered |= set(range(start, end))
    assert covered == {i for i, c in enumerate(TEXT) if not c.isspace()}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_pairs_are_told_apart(name):
    (row,) = rows_of(name, [("great film", "dull plot")])
    assert [s for s in row.segment if s != SPECIAL] == sorted(s for s in row.segment if s != SPECIAL)
    assert set(row.segment) - {SPECIAL} == {0, 1}


@pytest.mark.parametrize("texts", ["word " * 100, ("great film", "word " * 100), ("word " * 100, "great film")])
def test_windows_overlap_and_cover(texts):
    rows = rows_of("bert", [texts])
    assert len(rows) > 1
    assert all(len(row) <= MAX_POSITIONS for row in rows)
    longer = 0 if isinstance(texts, str) else max((0, 1), key=lambda k: len(texts[k]))
    places = [{o for s, o in zip(row.segment, row.offsets, strict=True) if s == longer} for row in rows]
    for left, right in itertools.pairwise(places):
        assert len(left & right) == 8
    assert len(set().union(*places)) == len(rows_of("bert", [texts], 10_000)[0].segment) - (
        sum(s != longer for s in rows[0].segment)
    )


@pytest.mark.parametrize("text", ["", "   \n\t", ("", " ")])
def test_nothing_to_read(text):
    with pytest.raises(InvalidInput, match="nothing to explain"):
        rows_of("bert", [text])


@pytest.mark.parametrize("text", [None, 3, ["a", "b", "c"], ("a", "b", "c"), ("a", 1), b"bytes"])
def test_not_a_text(text):
    with pytest.raises(InvalidInput, match="a text is a string or a pair"):
        rows_of("bert", [text])


def test_lone_surrogates_and_refused_lengths():
    with pytest.raises(InvalidInput, match="lone surrogate at character 2"):
        rows_of("bert", ["ab\ud800"])
    with pytest.raises(InvalidInput, match="the model takes 64"):
        rows_of("bert", ["word " * 100], stride=None)
    with pytest.raises(InvalidInput, match="leave no room"):
        rows_of("bert", [("word " * 70, "word " * 80)])


def test_padding_fills_and_masks():
    rows = rows_of("bert", ["great", "a dull dull film"])
    batch = pad_batch(rows, 7, torch.device("cpu"))
    short = len(rows[0])
    assert batch["input_ids"][0, short:].tolist() == [7] * (len(rows[1]) - short)
    assert batch["attention_mask"].sum(1).tolist() == [short, len(rows[1])]
    with pytest.raises(InvalidInput, match="pad token"):
        pad_batch(rows, None, torch.device("cpu"))


def test_batches_are_sorted_bounded_and_whole():
    rows = rows_of("bert", ["word " * n for n in (1, 9, 2, 9, 30, 8, 1)])
    groups = batches(rows, 40, even=False)
    assert sorted(i for g in groups for i in g) == list(range(len(rows)))
    for group in groups:
        lengths = [len(rows[i]) for i in group]
        assert len(group) * max(lengths) <= 40 or len(group) == 1
        assert min(lengths) >= max(lengths) * 7 / 8 - 1
    assert all(len({len(rows[i]) for i in g}) == 1 for g in batches(rows, 400, even=True))


def test_loading(tmp_path):
    model, tokenizer = tiny("bert")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.name == tmp_path.name
    assert not loaded.model.training
    assert load_model("zoo/sentiment").name == load_model().name == "zoo/sentiment"
    with pytest.raises(InvalidInput, match="needs its tokenizer"):
        load_model(model)
    with pytest.raises(Unsupported, match="fast tokenizer"):
        load_model(model, object())


def test_an_unknown_model_is_named(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UnknownName, match="Did you mean 'sentiment'"):
        load_model("sentimnt")
