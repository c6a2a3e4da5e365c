"""Attention matrices times gradients: at the input, along a path of the inputs, along a path of the matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method, Scores, method
from xai_nlp.core.subject import Subject
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.attention import AttentionPoint
from xai_nlp.methods.attention import STREAMS, by_key, streams_of
from xai_nlp.methods.gradient import InputXGradientMethod
from xai_nlp.methods.path import Conductance, IntegratedGradientsMethod


class _MatrixMethod(Method):
    """A method over tensors, asked of attention matrices; a token's score is the sum over all that drew on it."""

    operates_on: ClassVar[str] = "attention"

    def scores(self, problem: Problem) -> Scores:
        scores = super().scores(problem)
        return replace(scores, sequences=by_key(scores.tensors, streams_of(problem)), points=problem.sites)


@method("attention_x_gradient")
@dataclass(frozen=True, kw_only=True)
class AttentionXGradient(_MatrixMethod, InputXGradientMethod):
    """Gradient × attention, entry by entry; a token's score is the sum over all that drew on it.

    The sum over a head's matrix is the derivative of the target by a factor on that head: its size, averaged over
    examples, is the head's importance.
    Cost: one forward and one backward pass.
    Misleads: where attention is sure: its slope is flat there.
    Source: Michel, Levy & Neubig 2019, eq. 2 (arXiv:1905.10650).
    """


@method("attention_conductance")
@dataclass(frozen=True, kw_only=True)
class AttentionConductance(_MatrixMethod, Conductance):
    """How much of f(x) − f(x₀) flows through each attention probability while the embeddings move.

    Not complete: the values that attention weighs, and the residual connections, carry the rest.
    Cost: a forward and a backward pass at each step, all layers and heads at once.
    Misleads: where it is taken for all that a layer does: values and residual connections carry the rest.
    Source: Dhamdhere, Sundararajan & Yan 2018, eq. 2 (arXiv:1805.12233), at the matrices as in Captum's BERT tutorial.
    """

    complete: ClassVar[bool] = False


def uniform(probabilities: Tensor) -> Tensor:
    """The same share for every key that is not masked."""
    allowed = (probabilities > 0).to(probabilities)
    return allowed / allowed.sum(-1, keepdim=True).clamp_min(1)


#: Where attention starts from.
STARTS: dict[str, Callable[[Tensor], Tensor]] = {"zero": torch.zeros_like, "uniform": uniform}


@method("attention_integrated_gradients")
@dataclass(frozen=True, kw_only=True)
class AttentionIntegratedGradients(IntegratedGradientsMethod):
    """Shares out what the target loses when a layer's attention goes to zero, or to uniform: IG of the matrix itself.

    One layer at a time, the layers above left free, or all together. Each layer's scores add up to F(A) − F(A₀), and
    its residual is reported; a token's score is the sum over all that drew on it, averaged over the layers, so tokens
    add up too.
    Cost: a forward and a backward pass at each step, for each layer.
    Misleads: where a layer without attention is nothing that the model has met; and what the values hold does not
    show.
    Source: Hao, Dong, Wei & Xu 2021, eq. 4 (arXiv:2004.11207), with nested quadrature in place of the sum of eq. 5.
    start: the matrices that the path starts from: all zero, or the same share for every key.
    together: the matrices of all layers move at once.
    """

    operates_on: ClassVar[str] = "attention"
    needs_baseline: ClassVar[bool] = False  # the matrices have a start of their own

    start: Literal["zero", "uniform"] = "zero"
    together: bool = False

    def __post_init__(self) -> None:
        if self.start not in STARTS:
            raise InvalidInput(f"attention starts from 'zero' or 'uniform'; got {self.start!r}.")

    def attribute(self, subject: Subject) -> Scores:
        """Each matrix moves in a problem of its own, or all that look at the text in one; tokens are their mean.

        A decoder's attention to its own outputs is scored where it moves alone, and says nothing of the tokens.
        """
        points = self._read_points(subject)
        groups = [[point] for point in points]
        if self.together:
            groups = [[point for point in points if point.stack != "decoder"]]
        matrices: list[Tensor] = []
        values, starts, residuals, steps = [], [], [], []
        for entered in subject.at_each(groups, STARTS[self.start]):
            problem = entered.problem()
            scores = self.scores(problem).with_ends(problem)
            assert scores.value is not None and scores.baseline_value is not None and scores.steps is not None
            tensors = [tensor.float() for tensor in scores.tensors]
            value, start = scores.value.double(), scores.baseline_value.double()
            residuals.append(value - start - sum(tensor.flatten(2).double().sum(2) for tensor in tensors))
            matrices += tensors
            values.append(value)
            starts.append(start)
            steps.append(scores.steps)
        of_text = [n for n, group in enumerate(groups) if group[0].stack != "decoder"]
        scored = [point for group in groups for point in group]
        sums = by_key([matrix.double() for matrix in matrices], [STREAMS[point.stack] for point in scored])
        return Scores(
            tuple(matrices),
            value=values[0],
            baseline_value=torch.stack([starts[n] for n in of_text]).mean(0),
            steps=torch.stack(steps).amax(0),
            sequences={stream: total / len(of_text) for stream, total in sums.items()},
            points=tuple(scored),
            residuals=torch.stack(residuals, 2),
            baseline=f"{self.start} attention",
        )

    @staticmethod
    def _read_points(subject: Subject) -> tuple[AttentionPoint, ...]:
        """The matrices that the target depends on: the image's own side may compute one that nothing reads."""
        points = subject.attention
        if not {point.stack for point in points} & {"vision", "image", "words"}:
            return points
        slopes = subject.problem(observe=points).slope_at_x().gradients
        return tuple(point for point, slope in zip(points, slopes, strict=True) if slope.any())
