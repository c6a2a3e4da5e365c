"""Batches as a model takes them, and a vector for each example."""

import pytest
import torch
from torch import nn
from transformers import BatchEncoding

from tests.models.tiny import tiny
from xai_nlp.concept.examples import Examples, check_pooling
from xai_nlp.core.captum_types import CaptumAssertion, UnknownChoice


class Two(nn.Module):
    def forward(self, a, b=1.0, c=None):
        return a * b if c is None else a * b + c


def test_tensors_tuples_lists_and_dicts_run_the_model():
    a, b = torch.rand(3, 2), torch.rand(3, 2)
    for batch in ((a, b), [a, b], {"a": a, "b": b}, BatchEncoding({"a": a, "b": b})):
        examples = Examples.of(Two(), batch)
        assert torch.equal(examples.func(*examples.tensors), a * b)
    assert torch.equal(Examples.of(Two(), a).func(a), a)


def test_what_has_no_row_for_each_example_stays_as_it_is():
    a, b = torch.rand(3, 2), torch.rand(1, 2)
    examples = Examples.of(Two(), {"a": a, "b": b, "c": 2.0})
    assert len(examples.tensors) == 1
    torch.testing.assert_close(examples.func(a[:2]), a[:2] * b + 2)


def test_other_batches_are_refused():
    tokenizer = tiny("bert")[1]
    for batch in (3, "text", [], (), [1, 2], [torch.rand(2), "a"]):
        with pytest.raises(CaptumAssertion, match="return_tensors"):
            Examples.of(Two(), batch)
    for batch in ({}, {"a": 3}, tokenizer(["a film"])):
        with pytest.raises(CaptumAssertion, match="return_tensors"):
            Examples.of(Two(), batch)


TOKENS = torch.arange(12.0).view(2, 3, 2)
MASK = torch.tensor([[1, 1, 1], [0, 1, 0]])


@pytest.mark.parametrize(
    ("pooling", "slopes", "expected"),
    [
        (None, False, TOKENS.flatten(1)),
        ("mean", False, torch.tensor([[2.0, 3.0], [8.0, 9.0]])),
        ("mean", True, torch.tensor([[6.0, 9.0], [8.0, 9.0]])),
        ("first", False, torch.tensor([[0.0, 1.0], [8.0, 9.0]])),
        ("first", True, torch.tensor([[0.0, 1.0], [8.0, 9.0]])),
        ("tokens", True, torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [8.0, 9.0]])),
    ],
)
def test_vectors_by_hand(pooling, slopes, expected):
    examples = Examples(nn.Identity(), (TOKENS,), MASK)
    assert torch.equal(examples.vectors((TOKENS,), pooling, slopes=slopes), expected)
    assert examples.vectors((TOKENS.half(),), pooling).dtype == torch.float32
    assert examples.vectors((TOKENS.double(),), pooling).dtype == torch.float64
    twice = examples.vectors((TOKENS, TOKENS), pooling)
    assert twice.shape[1] == 2 * examples.vectors((TOKENS,), pooling).shape[1]


def test_without_a_mask_every_token_is_read():
    assert torch.equal(Examples(nn.Identity(), (TOKENS,)).vectors((TOKENS,), "mean"), TOKENS.mean(1))


def test_what_cannot_be_pooled_is_refused():
    examples = Examples(nn.Identity(), (TOKENS,), MASK)
    with pytest.raises(CaptumAssertion, match="examples, tokens, numbers"):
        examples.vectors((TOKENS[:, 0],), "mean")
    with pytest.raises(CaptumAssertion, match="attention mask"):
        examples.vectors((TOKENS[:, :2],), "mean")
    with pytest.raises(UnknownChoice, match="tokens"):
        check_pooling("token")
    for one in (None, "mean", "first", "tokens"):
        check_pooling(one)
