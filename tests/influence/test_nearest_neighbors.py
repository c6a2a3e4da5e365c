"""The largest dot products, against all of them."""

from __future__ import annotations

import torch

from xai_nlp.influence.nearest_neighbors import DotProductNeighbors


def test_are_the_largest_dot_products():
    torch.manual_seed(0)
    data, queries = torch.randn(50, 2, 3) * torch.rand(50, 1, 1) * 9, torch.randn(7, 2, 3)
    index = DotProductNeighbors()
    index.setup(data)
    scores = queries.flatten(1) @ data.flatten(1).T
    for k in (1, 5, 99):
        indices, values = index.get_nearest_neighbors(queries, k)
        expected = scores.topk(min(k, 50), dim=1)
        assert torch.equal(indices, expected.indices)
        torch.testing.assert_close(values, expected.values)
