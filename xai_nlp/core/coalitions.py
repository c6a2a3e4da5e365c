"""The masked sweep: what the model says when some features are replaced by the baseline."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from xai_nlp.core.features import NO_FEATURE, FeatureMask, Features
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.registry import Scores


def features_of(problem: Problem) -> Features:
    """The problem's features; without any, every entry is one."""
    return problem.features or FeatureMask.entries(problem.x)


def moving(problem: Problem, owner: Tensor) -> Tensor:
    """Which features change anything when they are removed, as x and x₀ differ there: (R, M) bool."""
    differ = tuple(x[owner] != x0[owner] for x, x0 in zip(problem.x, problem.baseline, strict=True))
    return features_of(problem).touched(owner, differ)


def masked(problem: Problem, owner: Tensor, gone: Tensor) -> Tensors:
    """The points of the examples `owner` (R,) with the features `gone` (R, M) at the baseline: (R, *S) each."""
    masks = features_of(problem).ablation_mask(owner, gone)
    return tuple(
        torch.where(mask, x0[owner], x[owner]) for mask, x, x0 in zip(masks, problem.x, problem.baseline, strict=True)
    )


def masked_values(problem: Problem, owner: Tensor, gone: Callable[[slice], Tensor]) -> Tensor:
    """The T numbers of each row with the features `gone(part)` (r, M) at the baseline: (R, T)."""

    def work(part: slice) -> Tensor:
        with torch.no_grad():
            return problem.value(masked(problem, owner[part], gone(part)), owner[part])

    return torch.cat([values for _, values in problem.chunks(len(owner), work)])


def shared_values(problem: Problem, who: Tensor, places: Tensor, kept: Tensor) -> Tensor:
    """What coalitions are worth to the examples `who` (g,), whose features are at `places` (g, m): (g, N, T).

    A row of `kept` (N, m) bool says which of them stay. Coalitions that occur twice are evaluated once; so are those
    that differ in features alone that are what the baseline is.
    """
    kept = kept | ~moving(problem, who).gather(1, places).any(0)
    distinct, where = (
        kept.unique(dim=0, return_inverse=True) if kept.shape[1] else (kept[:1], kept.new_zeros(len(kept)))
    )
    count = features_of(problem).count
    rows = torch.arange(len(who) * len(distinct), device=who.device)

    def gone(part: slice) -> Tensor:
        mine, coalition = rows[part] // len(distinct), rows[part] % len(distinct)
        nothing = torch.zeros(len(mine), count, dtype=torch.bool, device=who.device)
        return nothing.scatter(1, places[mine], ~distinct[coalition])

    values = masked_values(problem, who.repeat_interleave(len(distinct)), gone)
    return values.view(len(who), len(distinct), -1)[:, where.long()]


def coalition_values(problem: Problem, kept: Tensor) -> Tensor:
    """What each example's own coalitions are worth: `kept` (B, N, M) bool -> (B, N, T)."""
    present = features_of(problem).present(problem.examples)
    places = [here.nonzero().T for here in present]  # (1, m) each
    each = zip(problem.everyone.split(1), places, kept, strict=True)
    return torch.cat([shared_values(problem, who, own, mine[:, own[0]]) for who, own, mine in each])


def from_coalitions(
    problem: Problem, draw: Callable[[int], Tensor], solve: Callable[[Tensor, Tensor], Tensor]
) -> Scores:
    """Scores of the features, made of what coalitions of them are worth.

    An example with m features is asked about everyone, no one and `draw(m)` (n, m) bool, in this order: N = n + 2.
    `solve` turns coalitions (N, m) and their values (g, N, T), of g examples with as many features, into scores
    (g, T, m). As draws depend on m alone, neither the batch nor its padding shows in them.

    f(x₀) of the result is what no one is worth: entries of no feature stay where they are.
    """
    features = features_of(problem)
    present = features.present(problem.examples)
    sizes = present.sum(1)
    found = []
    for m in sizes.unique().tolist():
        who = (sizes == m).nonzero()[:, 0]
        places = present[who].nonzero()[:, 1].view(len(who), m)
        ends = torch.tensor([[True], [False]], device=who.device).expand(2, m)
        kept = torch.cat([ends, draw(m).to(who.device)]) if m else ends
        values = shared_values(problem, who, places, kept)
        values = values.to(torch.promote_types(values.dtype, torch.float32))
        scores = values.new_zeros(*values[:, 0].shape, features.count)
        if m:
            solved = solve(kept, values).to(values)
            scores.scatter_(2, places[:, None].expand_as(solved), solved)
        found.append((who, scores, values[:, 0], values[:, 1]))
    who, scores, whole, nothing = map(torch.cat, zip(*found, strict=True))
    back = who.argsort()
    return Scores(features.to_entries(scores[back]), whole[back], nothing[back])


def without_each(problem: Problem) -> tuple[Tensor, Tensor]:
    """f(x) (B, T), and f with one feature removed at a time (B, T, M); those that change nothing are not tried."""
    features = features_of(problem)
    owner, feature = (features.present(problem.examples) & moving(problem, problem.everyone)).nonzero(as_tuple=True)
    everyone = problem.everyone
    out = torch.cat([torch.full_like(everyone, NO_FEATURE), feature])  # of each row: first nothing, then one

    def gone(part: slice) -> Tensor:
        return out[part, None] == torch.arange(features.count, device=out.device)

    values = masked_values(problem, torch.cat([everyone, owner]), gone)
    whole = values[: problem.examples]
    without = whole[:, :, None].repeat(1, 1, features.count)
    without[owner, :, feature] = values[problem.examples :]
    return whole, without
