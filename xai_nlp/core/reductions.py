"""Reductions of the scores of a token's entries to one score for the token."""

from collections.abc import Callable

from torch import Tensor

#: name -> scores (B, T, L, *S) of entries to scores (B, T, L) of tokens. Only the signed sum keeps Σ scores.
REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": lambda scores: scores.flatten(3).sum(-1),
    "l2": lambda scores: scores.flatten(3).norm(dim=-1),
    "l1": lambda scores: scores.flatten(3).abs().sum(-1),
    "max": lambda scores: scores.flatten(3).abs().amax(-1),
}
