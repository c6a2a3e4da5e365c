"""Word vectors that stand for nothing, or for another text."""

import pytest
import torch

from xai_nlp.core import baselines
from xai_nlp.core.baselines import BASELINES, WordEmbeddings, text_baseline
from xai_nlp.errors import InvalidInput

TABLE = torch.arange(20.0).view(10, 2)
IDS = torch.tensor([[1, 5, 6, 7, 2], [1, 8, 2, 0, 0]])
MOVABLE = torch.tensor([[False, True, True, True, False], [False, True, False, False, False]])


def words(pad=0, mask=3):
    return WordEmbeddings(ids=IDS, embed=TABLE.__getitem__, count=10, pad=pad, mask=mask)


def test_named_baselines():
    vectors = {name: make(words()).expand(2, 5, 2) for name, make in BASELINES.items()}
    assert (vectors["pad"] == TABLE[0]).all() and (vectors["mask"] == TABLE[3]).all()
    assert not vectors["zero"].any() and (vectors["mean"] == TABLE.mean(0)).all()


def test_the_mean_is_over_every_part_of_the_vocabulary(monkeypatch):
    monkeypatch.setattr(baselines, "ROWS", 3)  # ten vectors in four parts
    assert torch.equal(BASELINES["mean"](words()), TABLE.mean(0).expand(2, 5, 2))


@pytest.mark.parametrize("name", ["pad", "mask"])
def test_a_token_that_the_tokenizer_does_not_have(name):
    with pytest.raises(InvalidInput, match=f"no {name} token"):
        BASELINES[name](words(pad=None, mask=None))


@pytest.mark.parametrize(
    ("token_ids", "pad", "expected"),
    [
        ([4, 9], 0, [[1, 4, 9, 0, 2], [1, 4, 2, 0, 0]]),  # filled up with pad, and cut
        ([4, 9], None, [[1, 4, 9, 7, 2], [1, 4, 2, 0, 0]]),  # or with the example's own
        ([4, 9, 3, 3, 3], 0, [[1, 4, 9, 3, 2], [1, 4, 2, 0, 0]]),
        ([9], 0, [[1, 9, 0, 0, 2], [1, 9, 2, 0, 0]]),
        ([], 0, [[1, 0, 0, 0, 2], [1, 0, 2, 0, 0]]),
    ],
)
def test_another_text_stands_where_words_may_change(token_ids, pad, expected):
    assert torch.equal(text_baseline(words(pad=pad), token_ids, MOVABLE), TABLE[torch.tensor(expected)])
