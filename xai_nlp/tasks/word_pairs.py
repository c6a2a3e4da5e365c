"""The matrix of word pairs of a similarity: how much each word of a text and each of the other make them alike.

With g the embedding of length 1, P_x the integrated Jacobian of g at the first text (a column for each token) and P_y
that at the second, the matrix is P_xᵀ P_y. It adds up to f(x, y) − f(x₀, y) − f(x, y₀) + f(x₀, y₀).
Source: Moeller, Nikolaev & Padó 2023, eq. 5 (arXiv:2310.05703), and 2024 (arXiv:2402.02883).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.adaptive_quadrature import MIN_DIFFERENCE
from xai_nlp.core.arrays import Array, AttentionAttribution
from xai_nlp.core.integrated_jacobians import integrated_jacobian, nested_jacobians
from xai_nlp.core.problem import Problem
from xai_nlp.core.quadrature import gauss_legendre
from xai_nlp.core.result import SPECIAL, Explanation, TargetSpec
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.merge_windows import MergedScores, WindowScores, merge_windows

UNIT = "cosine"
LEVELS = (5, 9, 17, 33, 65)  # nodes of the nested rules, the coarsest first
TOLERANCE = 0.01  # the residual at which refinement ends, as a share of the change


def token_pairs(problem: Problem, steps: int | None) -> tuple[np.ndarray, float]:
    """The matrix of token pairs (L, L) of one example whose numbers are two embeddings, and what it leaves unexplained.

    With g the embedding, P_x the integrated Jacobian of g at x and P_y that at y, it is P_xᵀ P_y.
    """
    (x,), (x0,) = problem.x, problem.baseline
    L = x.shape[1] // 2
    moved = (x != x0).any(-1).view(2, L).any(0).nonzero()[:, 0]  # tokens that differ in either text
    parts = torch.zeros(len(moved), 2, L, dtype=torch.bool, device=x.device)
    parts[range(len(moved)), :, moved] = True  # a token of both texts at once: the texts do not see each other
    parts = parts.flatten(1)
    ends, start = (problem.values(z, problem.everyone)[0].double() for z in (problem.x, problem.baseline))
    changes = (ends - start).view(2, 1, -1)
    change = changes.prod(0).sum()
    matrix = x.new_zeros(L, L, dtype=torch.float64)
    rule = None if steps is None else gauss_legendre(steps)
    estimates = [integrated_jacobian(problem, parts, rule)] if rule else nested_jacobians(problem, parts, LEVELS)
    for jacobian in estimates:
        columns = jacobian.unflatten(1, (2, -1)).transpose(0, 1)  # (2, K, E)
        matrix[moved[:, None], moved] = columns[0] @ columns[1].T
        residual = change - matrix.sum()
        missing = (changes - columns.sum(1, keepdim=True)).norm(dim=-1)  # of each text's vector
        if abs(residual) <= _allowed(change) and bool((missing <= _allowed(changes.norm(dim=-1))).all()):
            break
    return matrix.cpu().numpy(), float(residual)


def _allowed(change: Tensor) -> Tensor:
    """The residual that is small enough, where the number or the vector changes by so much."""
    return TOLERANCE * change.abs().clamp_min(MIN_DIFFERENCE)


def word_pairs(
    matrix: np.ndarray, residual: float, window: TokenWindow, segments: Sequence[str]
) -> AttentionAttribution:
    """The matrix (L, L) of tokens as one of words; special tokens that moved count as words."""
    visible, positions, L = window.visible(), np.array(window.positions), len(matrix)
    merged = merge_windows(segments, [WindowScores(visible, np.zeros((1, len(visible))), 0.0, 0.0, None)])
    assert merged.starts is not None  # one window
    ends = [*merged.starts[1:], len(visible)]
    tokens = _without_scores(segments, merged)
    names: tuple[list[str], list[str]] = ([], [])
    groups: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for name, members in zip(tokens.words().tokens, tokens.word_groups(), strict=True):
        places = positions[merged.starts[members[0]] : ends[members[-1]]]
        side, places = int(places[0]) // L, places % L
        moved = (matrix[places] if side == 0 else matrix[:, places]).any()
        if moved or tokens.segment[members[0]] != SPECIAL:
            names[side].append(name)
            groups[side].append(places)
    rows = np.stack([matrix[group].sum(0) for group in groups[0]])
    scores = np.stack([rows[:, group].sum(1) for group in groups[1]], 1)
    return AttentionAttribution(
        scores=Array(scores[None, None]),
        layers=("word pairs",),
        method="integrated_jacobians",
        unit=UNIT,
        residuals=(residual,),
        queries=tuple(names[0]),
        keys=tuple(names[1]),
    )


def _without_scores(segments: Sequence[str], merged: MergedScores) -> Explanation:
    """The tokens as an explanation, which knows their words."""
    return Explanation(
        segments=tuple(segments),
        tokens=merged.tokens,
        offsets=merged.offsets,
        segment=merged.segment,
        scores=(0.0,) * len(merged.tokens),
        unit=UNIT,
        target=TargetSpec(kind="output", label="similarity", unit=UNIT),
        value=0.0,
        baseline_value=0.0,
        outputs={},
        method="",
        baseline="",
        complete=False,
    )
