"""The values of coalitions: f where some features are present and the others are at the baseline."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from xai_nlp.core.features import NO_FEATURE, FeatureMask, Features
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.registry import Scores
from xai_nlp.errors import InvalidInput


def features_of(problem: Problem) -> Features:
    """The problem's features; each entry of the inputs is one if it names none."""
    return problem.features or FeatureMask.entries(problem.x)


def ablate(problem: Problem, owner: Tensor, removed: Tensor) -> Tensors:
    """The inputs of the examples `owner` (R,) with the features `removed` (R, M) bool at the baseline: (R, *S) each."""
    masks = features_of(problem).ablation_mask(owner, removed)
    return tuple(
        torch.where(mask, x0[owner], x[owner]) for mask, x, x0 in zip(masks, problem.x, problem.baseline, strict=True)
    )


def ablated_values(problem: Problem, owner: Tensor, removed: Callable[[slice], Tensor]) -> Tensor:
    """f without the features `removed(part)` (r, M), a chunk of the rows `owner` (R,) at a time: (R, T)."""

    def work(part: slice) -> Tensor:
        with torch.no_grad():
            return problem.value(ablate(problem, owner[part], removed(part)), owner[part])

    return torch.cat([values for _, values in problem.chunks(len(owner), work)])


def changing_features(problem: Problem, owner: Tensor) -> Tensor:
    """Which features of the examples `owner` (R,) have an entry where x and x₀ differ: (R, M) bool."""
    differ = tuple(x[owner] != x0[owner] for x, x0 in zip(problem.x, problem.baseline, strict=True))
    return features_of(problem).touched(owner, differ)


def removable_features(problem: Problem) -> Tensor:
    """Which features each example has, and whose removal changes an input: (B, M) bool.

    Raises InvalidInput if there is no feature at all.
    """
    if not features_of(problem).count:
        raise InvalidInput("nothing can be removed: the inputs have no feature.")
    return features_of(problem).present(problem.examples) & changing_features(problem, problem.everyone)


def values_without(problem: Problem, removed: Tensor) -> Tensor:
    """f of each example without several sets of features: (B, N, T), in float32 or wider.

    Sets of one example that are equal, or differ in features that change nothing, are evaluated once.

    removed: (B, N, M) bool.

    >>> x = torch.tensor([[1.0, 2.0]])
    >>> product = Problem(value=lambda z, owner: z[0].prod(1, keepdim=True), x=(x,), baseline=(0 * x,))
    >>> values_without(product, torch.tensor([[[False, False], [True, False]]]))[..., 0]
    tensor([[2., 0.]])
    """
    distinct, index, count = [], [], 0
    for sets in removed & removable_features(problem)[:, None]:
        own, inverse = sets.unique(dim=0, return_inverse=True)
        distinct.append(own)
        index.append(inverse + count)
        count += len(own)
    owner = torch.cat([torch.full((len(own),), b, device=removed.device) for b, own in enumerate(distinct)])
    rows = torch.cat(distinct)
    values = ablated_values(problem, owner, lambda part: rows[part])
    return values.to(torch.promote_types(values.dtype, torch.float32))[torch.stack(index)]


def coalition_values(problem: Problem, examples: Tensor, features: Tensor, coalitions: Tensor) -> Tensor:
    """The values of the same coalitions for several examples: (g, N, T).

    A coalition that occurs twice is evaluated once. So are coalitions that differ only in features that no example
    changes when it loses them.

    examples: (g,) their numbers.
    features: (g, m) the numbers of the features that each example has.
    coalitions: (N, m) bool, which of these features are present; the others of these are at the baseline.
    """
    coalitions = coalitions | ~changing_features(problem, examples).gather(1, features).any(0)
    if coalitions.shape[1]:
        distinct, index = coalitions.unique(dim=0, return_inverse=True)
    else:
        distinct, index = coalitions[:1], torch.zeros(len(coalitions), dtype=torch.long, device=examples.device)
    count = features_of(problem).count
    rows = torch.arange(len(examples) * len(distinct), device=examples.device)

    def removed(part: slice) -> Tensor:
        example, coalition = rows[part] // len(distinct), rows[part] % len(distinct)
        none = torch.zeros(len(example), count, dtype=torch.bool, device=examples.device)
        return none.scatter(1, features[example], ~distinct[coalition])

    values = ablated_values(problem, examples.repeat_interleave(len(distinct)), removed)
    return values.view(len(examples), len(distinct), -1)[:, index]


def from_coalitions(
    problem: Problem, draw: Callable[[int], Tensor], solve: Callable[[Tensor, Tensor], Tensor]
) -> Scores:
    """Scores of features, computed from the values of coalitions.

    Draws depend on the number of features alone, so that scores depend on neither the batch nor its padding. Entries
    that belong to no feature are never at the baseline.

    draw: m features -> coalitions (n, m) bool.
    solve: coalitions (2 + n, m) and their values (g, 2 + n, T), of g examples with as many features -> scores
        (g, T, m). The coalitions of all features and of none come first; their values are also f(x) and f(x₀).

    >>> x = torch.tensor([[1.0, 2.0]])
    >>> product = Problem(value=lambda z, owner: z[0].prod(1, keepdim=True), x=(x,), baseline=(0 * x,))
    >>> leave_one_out = lambda coalitions, values: (values[:, :1] - values[:, 2:]).mT
    >>> from_coalitions(product, lambda m: ~torch.eye(m).bool(), leave_one_out).tensors
    (tensor([[[2., 2.]]]),)
    """
    features = features_of(problem)
    present = features.present(problem.examples)
    sizes = present.sum(1)
    groups: list[tuple[Tensor, ...]] = []
    for m in sizes.unique().tolist():
        examples = (sizes == m).nonzero()[:, 0]
        numbers = present[examples].nonzero()[:, 1].view(len(examples), m)
        ends = torch.tensor([[True], [False]], device=examples.device).expand(2, m)
        coalitions = torch.cat([ends, draw(m).to(ends.device)]) if m else ends
        values = coalition_values(problem, examples, numbers, coalitions)
        values = values.to(torch.promote_types(values.dtype, torch.float32))
        scores = values.new_zeros(len(examples), values.shape[2], features.count)
        if m:
            solved = solve(coalitions, values).to(values)
            scores.scatter_(2, numbers[:, None].expand_as(solved), solved)
        groups.append((examples, scores, values[:, 0], values[:, 1]))
    examples, *results = map(torch.cat, zip(*groups, strict=True))
    scores, value, baseline_value = (result[examples.argsort()] for result in results)
    return Scores(features.to_entries(scores), value, baseline_value)


def leave_one_out(problem: Problem, value: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """f(x), and f without each feature in turn: (B, T) and (B, T, M). Features that change nothing are not tried.

    value: f(x) (B, T), if it is known.
    """
    features, everyone = features_of(problem), problem.everyone
    owner, feature = (features.present(problem.examples) & changing_features(problem, everyone)).nonzero(as_tuple=True)
    first = everyone if value is None else everyone[:0]  # the rows that f(x) takes
    removed = torch.cat([torch.full_like(first, NO_FEATURE), feature])  # of each row: first none, then one

    def removed_in(part: slice) -> Tensor:
        return removed[part, None] == torch.arange(features.count, device=removed.device)

    if value is not None and not len(owner):
        return value, value[:, :, None].repeat(1, 1, features.count)
    values = ablated_values(problem, torch.cat([first, owner]), removed_in)
    value = values[: len(first)] if value is None else value
    without = value[:, :, None].repeat(1, 1, features.count).to(torch.promote_types(value.dtype, values.dtype))
    without[owner, :, feature] = values[len(first) :].to(without)
    return value, without
