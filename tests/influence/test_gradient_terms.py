"""Dot products of outer products against products of their matrices, whatever is cheaper."""

from __future__ import annotations

import itertools

import pytest
import torch

import xai_nlp.influence.gradient_terms as gradient_terms
from xai_nlp.influence.gradient_terms import Dense, ExampleGradients, Outer, compact, paired, products

M, N = 6, 5


def term(kind: str, count: int, tokens: int):
    if kind == "dense":
        return Dense(torch.randn(count, M, N).double())
    right = torch.randn(count, tokens, N).double()
    if kind == "rows":
        return Outer(torch.randint(0, M, (count, tokens)), right, M)
    return Outer(torch.randn(count, tokens, M).double(), right)


KINDS = list(itertools.product(("dense", "rows", "outer"), repeat=2))


@pytest.mark.parametrize("tokens", [1, 2, 30])
@pytest.mark.parametrize(("first", "second"), KINDS)
@pytest.mark.parametrize("entries", [1, 2**24])
def test_products(first, second, tokens, entries, monkeypatch):
    monkeypatch.setattr(gradient_terms, "ENTRIES", entries)
    torch.manual_seed(0)
    a, b, c = term(first, 3, tokens), term(second, 4, tokens + 1), term(second, 3, tokens + 1)
    torch.testing.assert_close(products(a, b), a.matrix() @ b.matrix().T)
    torch.testing.assert_close(paired(a, c), (a.matrix() * c.matrix()).sum(1))
    weights = torch.rand(3)
    torch.testing.assert_close(a.sum(weights), weights.double() @ a.matrix())


def test_compact_is_the_smaller_one():
    assert isinstance(compact(term("outer", 2, 1)), Outer)
    assert isinstance(compact(term("outer", 2, 30)), Dense)


def test_gradients_of_several_terms():
    torch.manual_seed(0)
    first = ExampleGradients(
        3, {"w": [term("rows", 3, 2), term("outer", 3, 4)], "b": [Dense(torch.randn(3, 2).double())]}
    )
    second = ExampleGradients(2, {"w": [term("outer", 2, 30)], "b": [Dense(torch.randn(2, 2).double())]})
    torch.testing.assert_close(first.products(second), first.matrix() @ second.matrix().T)
    torch.testing.assert_close(first.squares(), first.matrix().square().sum(1))
    torch.testing.assert_close(first.total().matrix(), first.matrix().sum(0, keepdim=True))
    joined = ExampleGradients.concatenated([first, second.compacted()])
    torch.testing.assert_close(joined.matrix(), torch.cat([first.matrix(), second.matrix()]))
    twice = ExampleGradients.concatenated([first, first])
    assert isinstance(twice.terms["w"][0], Outer)
    torch.testing.assert_close(twice.matrix(), torch.cat([first.matrix()] * 2))
