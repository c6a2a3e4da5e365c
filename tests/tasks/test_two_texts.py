"""Two texts as rows of one pass: their tokens side by side, and hook points that show both as one row."""

import numpy as np
import pytest
import torch
from torch import nn

from xai_nlp.hooks.scope import ModulePoint, captured, replaced
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.two_texts import TextPair, TwoTextPoint


def window(*tokens):
    size = len(tokens)
    segment = [-1, *[0] * (size - 2), -1]
    return TokenWindow(0, {"input_ids": list(range(7, 7 + size))}, tokens, [(i, i + 1) for i in range(size)], segment)


def test_tokens_stand_side_by_side_and_padding_is_not_listed():
    pair = TextPair.of(window("[", "a", "b", "]"), window("[", "c", "]"), None)
    padded = pair.padded(5, 3)
    assert padded.inputs["input_ids"] == [7, 8, 9, 10, 3, 7, 8, 9, 3, 3]
    assert padded.segment.tolist() == [-1, 0, 0, -1, -1, -1, 1, -1, -1, -1]
    visible = padded.visible()
    assert visible.tokens == tuple(pair.tokens) and np.array_equal(visible.offsets, pair.offsets)
    assert np.array_equal(visible.segment, pair.segment)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_point_shows_both_texts_as_one_row(rows):
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    x = torch.randn(2 * rows, 4, 2)
    point = TwoTextPoint.of(ModulePoint(model[0]))
    with torch.no_grad(), captured([point]) as seen:
        out = model(x)
    (both,) = seen.tensors()[0]
    assert both.shape == (rows, 8, 2)
    assert torch.equal(both.tanh(), out.view(rows, 8, 2))
    with torch.no_grad(), replaced([(point, [2 * both])]):
        assert torch.equal(model(x), (2 * both).tanh().view(2 * rows, 4, 2))


def test_a_row_that_all_texts_share_stands_twice():
    table = nn.Embedding(4, 2)
    point = TwoTextPoint.of(ModulePoint(table))
    with torch.no_grad(), captured([point], differentiable=True, rows=3) as seen:
        again = table(torch.arange(4)[None])
    assert seen.tensors()[0][0].shape == (3, 8, 2) and again.shape == (6, 4, 2)
    assert torch.equal(again[5], table.weight)
