"""Baselines of a text: word vectors that replace its own, with positions and special tokens unchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xai_nlp.errors import InvalidInput

ROWS = 8192  # word vectors at a time, for their mean


@dataclass(frozen=True)
class WordEmbeddings:
    """The token ids of a batch, and the model's word embedding.

    embed: from ids (…) to word vectors (…, D), as the model computes them: some scale the rows of their table.
    """

    ids: Tensor  # (B, L)
    embed: Callable[[Tensor], Tensor]
    count: int  # V, of the ids that there are
    pad: int | None  # ids of the tokenizer's pad and mask tokens, if it has them
    mask: int | None


def _vectors_of(words: WordEmbeddings, token: int | None, name: str) -> Tensor:
    if token is None:
        raise InvalidInput(
            f"the tokenizer has no {name} token, so baseline={name!r} cannot be made. "
            "Use 'zero', 'mean' or a text of your own."
        )
    return words.embed(words.ids.new_tensor([[token]])).expand(*words.ids.shape, -1)


def _mean(words: WordEmbeddings) -> Tensor:
    """The mean of all word vectors, a part of the vocabulary at a time."""
    every = torch.arange(words.count, device=words.ids.device)
    like = words.embed(words.ids[:1, :1])
    wide = torch.promote_types(like.dtype, torch.float32)
    sums = [words.embed(ids[None]).sum(1, keepdim=True, dtype=wide) for ids in every.split(ROWS)]
    return (torch.cat(sums).sum(0, keepdim=True) / words.count).to(like.dtype).expand(*words.ids.shape, -1)


#: name -> the word vectors of a baseline (B, L, D). "pad" and "mask" raise InvalidInput where there is no such token.
BASELINES: dict[str, Callable[[WordEmbeddings], Tensor]] = {
    "pad": lambda words: _vectors_of(words, words.pad, "pad"),
    "mask": lambda words: _vectors_of(words, words.mask, "mask"),
    "zero": lambda words: torch.zeros_like(words.embed(words.ids[:1, :1])).expand(*words.ids.shape, -1),
    "mean": _mean,
}


def text_baseline(words: WordEmbeddings, token_ids: Sequence[int], movable: Tensor) -> Tensor:
    """The word vectors of another text, with its tokens in the places of the example's own: (B, L, D).

    token_ids: of the other text. It is cut where it is longer than the example, and filled up with the pad token, or
        with the example's own tokens if there is none, where it is shorter.
    movable: (B, L) bool, the places whose word may change.
    """
    other = torch.tensor(token_ids, dtype=words.ids.dtype, device=words.ids.device)
    filler = words.ids if words.pad is None else torch.full_like(words.ids, words.pad)
    place = movable.cumsum(1) - 1  # of each movable token among the movable ones
    ids = torch.where(place < len(other), other[place.clamp(0, len(other) - 1)], filler) if len(other) else filler
    return words.embed(torch.where(movable, ids, words.ids))
