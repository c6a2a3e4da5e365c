"""Texts into windows: offsets, one call for a list, batches, clear refusals."""

import itertools

import numpy as np
import pytest
import torch
from tokenizers import processors

from tests.models.tiny import ARCHITECTURES, MAX_POSITIONS, tiny
from xai_nlp.core.result import SPECIAL
from xai_nlp.errors import InvalidInput
from xai_nlp.models.tokenization import TokenWindow, batches, encode, pad_batch, segments_of

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
    places = [set(map(tuple, row.offsets[row.segment == longer].tolist())) for row in rows]
    for left, right in itertools.pairwise(places):
        assert len(left & right) == 8
    assert len(set().union(*places)) == len(rows_of("bert", [texts], 10_000)[0].segment) - (
        sum(s != longer for s in rows[0].segment)
    )


MIXED = ["great", "word " * 90, ("great film", "dull \U0001f600  plot"), "  A \u3000 naïve\tfilm ", ("a " * 80, "b"),
         "\U0001f469\u200d\U0001f467 x"]  # fmt: skip


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_list_gives_the_windows_of_its_texts_one_by_one(name):
    together = rows_of(name, MIXED)
    alone = [(e, row) for e, text in enumerate(MIXED) for row in rows_of(name, [text])]
    assert [row.example for row in together] == [e for e, _ in alone]
    for row, (_, other) in zip(together, alone, strict=True):
        assert dict(row.inputs) == dict(other.inputs)
        assert list(row.tokens) == list(other.tokens)
        assert np.array_equal(row.offsets, other.offsets) and np.array_equal(row.segment, other.segment)


@pytest.mark.parametrize("name", ["gpt2", "bert", "roberta", "t5"])
def test_offsets_are_the_tokenizers_without_white_space(name):
    """Token by token, by str.strip; a token of white space only keeps its offsets. As published, GPT-2 includes it."""
    tokenizer = tiny(name, fresh=True)[1]
    if name == "gpt2":
        tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        spans = tokenizer("a film", return_offsets_mapping=True)["offset_mapping"]
        assert any("a film"[slice(*span)].startswith(" ") for span in spans)
    for row in encode(tokenizer, MIXED, max_length=10_000, stride=8, names=NAMES):
        segments = segments_of(MIXED[row.example])
        plain = tokenizer(*segments, return_offsets_mapping=True)
        assert plain["input_ids"] == row.inputs["input_ids"]
        for owner, (start, end), segment, span in zip(
            plain.sequence_ids(), plain["offset_mapping"], row.segment.tolist(), row.offsets.tolist(), strict=True
        ):
            if owner is None:
                assert (segment, span) == (SPECIAL, [0, 0])
                continue
            piece = segments[owner][start:end]
            blank = len(piece) - len(piece.lstrip()) if piece.strip() else 0
            assert (segment, span) == (owner, [start + blank, start + blank + len(piece.strip() or piece)])


def test_the_tokenizer_is_called_once_for_a_list(monkeypatch):
    tokenizer, calls = tiny("bert")[1], []

    class Counted:
        def __call__(self, *args, **kwargs):
            calls.append(len(args[0]))
            return tokenizer(*args, **kwargs)

    texts = ["great film"] * 50
    assert len(encode(Counted(), texts, max_length=64, stride=8, names=NAMES)) == 50
    assert calls == [50]
    encode(Counted(), [*texts, "word " * 100, "word " * 200], max_length=64, stride=8, names=NAMES)
    assert calls == [50, 52, 2]  # all long texts in one more call
    assert encode(Counted(), [], max_length=64, stride=8, names=NAMES) == []


def test_the_tokens_that_an_explanation_lists():
    ids = list(range(5))
    window = TokenWindow(0, {"input_ids": ids}, "abcde", [(i, i + 1) for i in ids], (-1, 0, 0, 1, -1), (1, 3))
    assert window.positions == [1, 3] and len(window) == 5
    listed = window.visible()
    assert (listed.tokens, listed.offsets.tolist(), listed.segment.tolist()) == (("b", "d"), [[1, 2], [3, 4]], [0, 1])
    assert listed.visible() is listed and listed.positions == [0, 1] and listed.inputs["input_ids"] == ids


@pytest.mark.parametrize("text", ["", "   \n\t", ("", " ")])
def test_nothing_to_read(text):
    with pytest.raises(InvalidInput, match="nothing to explain"):
        rows_of("bert", [text])


@pytest.mark.parametrize("text", [None, 3, ["a", "b", "c"], ("a", "b", "c"), ("a", 1), b"bytes"])
def test_not_a_text(text):
    with pytest.raises(InvalidInput, match="a text is a string or a pair"):
        rows_of("bert", [text])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" ", "text 3 is empty"),
        ("\u200b\x00", "no token in text 3"),
        (None, "text 3 has the wrong type: .* got NoneType"),
        ("a\udfff", "text 3 is not valid Unicode"),
        ("word " * 100, "text 3 has 402 tokens"),
    ],
)
def test_a_fault_in_a_list_is_named_with_its_index(text, message):
    texts = ["great", "a film", "dull", text, "fine"]
    with pytest.raises(InvalidInput, match=message):
        rows_of("bert", texts, stride=None)
    with pytest.raises(InvalidInput) as error:
        rows_of("bert", [text], stride=None)
    assert "3" not in str(error.value)


def test_lone_surrogates_and_refused_lengths():
    with pytest.raises(InvalidInput, match="lone surrogate at character 2"):
        rows_of("bert", ["ab\ud800"])
    with pytest.raises(InvalidInput, match="the model takes 64"):
        rows_of("bert", ["word " * 100], stride=None)
    with pytest.raises(InvalidInput, match="leave no room"):
        rows_of("bert", [("word " * 70, "word " * 80)])


def test_padding_fills_and_masks():
    rows = rows_of("bert", ["great", "a dull dull film"])
    batch, mask = pad_batch(rows, 7, torch.device("cpu"))
    short = len(rows[0])
    assert batch["input_ids"][0, short:].tolist() == [7] * (len(rows[1]) - short)
    assert batch["attention_mask"].sum(1).tolist() == [short, len(rows[1])]
    assert batch["token_type_ids"].shape == batch["input_ids"].shape and not batch["token_type_ids"].any()
    assert mask.dtype == torch.bool and mask[0].nonzero()[:, 0].tolist() == list(range(1, short - 1))
    with pytest.raises(InvalidInput, match="pad token"):
        pad_batch(rows, None, torch.device("cpu"))
    assert pad_batch(rows[:1], None, "cpu")[0]["input_ids"].tolist() == [rows[0].inputs["input_ids"]]


def test_batches_are_sorted_bounded_and_whole():
    rows = rows_of("bert", ["word " * n for n in (1, 9, 2, 9, 30, 8, 1)])
    groups = batches(rows, 40, even=False)
    assert sorted(i for g in groups for i in g) == list(range(len(rows)))
    for group in groups:
        lengths = [len(rows[i]) for i in group]
        assert len(group) * max(lengths) <= 40 or len(group) == 1
        assert min(lengths) >= max(lengths) * 7 / 8 - 1
    assert all(len({len(rows[i]) for i in g}) == 1 for g in batches(rows, 400, even=True))


def test_a_large_batch_ends_with_its_length():
    rows = rows_of("bert", ["word " * n for n in [12] * 3 + [13] * 20 + [14] * 3])
    counts = [[len(rows[i].segment) for i in group] for group in batches(rows, 10**4, even=False)]
    assert [len(set(of_group)) for of_group in counts] == [2, 1] and [len(of_group) for of_group in counts] == [23, 3]
