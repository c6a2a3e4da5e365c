"""From the scores of a token's entries to one score."""

import pytest
import torch

from xai_nlp.core.reductions import REDUCTIONS


@pytest.mark.parametrize(("name", "score"), [("sum", -1.0), ("l1", 7.0), ("l2", 5.0), ("max", 4.0)])
def test_by_hand(name, score):
    scores = torch.zeros(2, 1, 3, 2, 2)  # (B, T, L, *S)
    scores[1, 0, 2, 0] = torch.tensor([3.0, -4.0])
    reduced = REDUCTIONS[name](scores)
    assert reduced.shape == (2, 1, 3)
    assert reduced[1, 0, 2].item() == score
    assert reduced.count_nonzero() == 1
