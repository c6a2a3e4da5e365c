"""What a text is compared with: word vectors in the place of its own, with positions and special tokens kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from xai_nlp.errors import InvalidInput


@dataclass(frozen=True)
class Words:
    """The words of a batch, as the model's word embedding knows them."""

    ids: Tensor  # (B, L)
    table: Tensor  # (V, D): the word embedding's weights
    pad: int | None
    mask: int | None


def _repeated(words: Words, token: int | None, name: str) -> Tensor:
    if token is None:
        raise InvalidInput(
            f"the tokenizer has no {name} token, so baseline={name!r} cannot be made. "
            "Use 'zero', 'mean' or a text of your own."
        )
    return words.table[token].expand(*words.ids.shape, -1)


#: name -> the word vectors of a baseline: (B, L, D), or broadcastable.
BASELINES: dict[str, Callable[[Words], Tensor]] = {
    "pad": lambda words: _repeated(words, words.pad, "pad"),
    "mask": lambda words: _repeated(words, words.mask, "mask"),
    "zero": lambda words: words.table.new_zeros(*words.ids.shape, words.table.shape[1]),
    "mean": lambda words: words.table.mean(0).expand(*words.ids.shape, -1),
}


def text_baseline(words: Words, given: list[int], movable: Tensor) -> Tensor:
    """The vectors of a text of one's own, its tokens in the places of the example's, filled up with pad: (B, L, D).

    movable: (B, L) bool, the places whose word may change.
    """
    ids = words.ids.clone()
    for row, places in zip(ids, movable, strict=True):
        where = places.nonzero()[:, 0]
        filler = row[where] if words.pad is None else torch.full_like(row[where], words.pad)
        filler[: len(given)] = torch.tensor(given[: len(filler)], dtype=ids.dtype, device=ids.device)
        row[where] = filler
    return words.table[ids]
