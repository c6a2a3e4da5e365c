"""The masked sweep: what the model says when some features are replaced by the baseline."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from xai_nlp.core.features import Features, Groups
from xai_nlp.core.problem import Problem


def features_of(problem: Problem) -> Features:
    """The problem's features; without any, every entry is one."""
    return problem.features or Groups.entries(problem.x)


def masked_values(problem: Problem, owner: Tensor, gone: Callable[[slice], Tensor]) -> Tensor:
    """The T numbers of each row with the features `gone(part)` (r, M) at the baseline: (R, T)."""
    features = features_of(problem)

    def work(part: slice) -> Tensor:
        mine = owner[part]
        masks = features.removed(mine, gone(part))
        z = tuple(
            torch.where(mask, x0[mine], x[mine]) for mask, x, x0 in zip(masks, problem.x, problem.baseline, strict=True)
        )
        with torch.no_grad():
            return problem.value(z, mine)

    return torch.cat([values for _, values in problem.chunks(len(owner), work)])


def coalition_values(problem: Problem, kept: Tensor) -> Tensor:
    """What each coalition of features is worth: `kept` (B, N, M) bool -> (B, N, T).

    Coalitions that differ only in features an example does not have are evaluated once.
    """
    B, N, M = kept.shape
    gone = ~kept & features_of(problem).present(B)[:, None]  # (B, N, M)
    who = torch.arange(B, device=kept.device).repeat_interleave(N)
    distinct, where = torch.cat([who[:, None], gone.view(B * N, M)], 1).unique(dim=0, return_inverse=True)
    values = masked_values(problem, distinct[:, 0], lambda part: distinct[part, 1:].bool())
    return values[where].view(B, N, -1)


def without_each(problem: Problem) -> tuple[Tensor, Tensor]:
    """f(x) (B, T), and f with one feature removed at a time (B, T, M); absent features change nothing."""
    features = features_of(problem)
    owner, feature = features.present(problem.examples).nonzero(as_tuple=True)
    whole = problem.values(problem.x, problem.everyone)  # (B, T)

    def gone(part: slice) -> Tensor:
        return torch.nn.functional.one_hot(feature[part], features.count).bool()

    without = whole[:, :, None].repeat(1, 1, features.count)
    if len(owner):
        without[owner, :, feature] = masked_values(problem, owner, gone)
    return whole, without
