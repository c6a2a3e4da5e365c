"""How unusual inputs are, to the model, once features are removed: beside natural inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xai_nlp.core.statistics import CONFIDENCE
from xai_nlp.core.subject import Subject
from xai_nlp.errors import InvalidInput
from xai_nlp.metrics.deletion import deletion_curve

LEAST_NATURAL = 10  # natural inputs: fewer say nothing about what is usual


@dataclass(frozen=True, kw_only=True, eq=False)
class OutOfDistribution:
    """Inputs at K sizes of removal beside N natural ones: the axis O is there if `scores` had it."""

    distance: Tensor  # (B, [O,] K) to the n-th nearest natural embedding, from 0 to 2
    natural_distance: Tensor  # (N,) that of natural inputs among each other
    entropy: Tensor  # (B, [O,] K) of the output, in nats
    natural_entropy: Tensor  # (N,)
    weights: Tensor  # (B, K) of each size in means

    @property
    def distance_rank(self) -> Tensor:
        """The share of natural inputs that lie at least as far out: (B, [O,] K). Near 0 is unusual."""
        return (self.natural_distance >= self.distance[..., None]).double().mean(-1)

    @property
    def entropy_rank(self) -> Tensor:
        """The share of natural inputs whose output is at least as undecided: (B, [O,] K). Near 0 is unusual."""
        return (self.natural_entropy >= self.entropy[..., None]).double().mean(-1)

    @property
    def unusual(self) -> Tensor:
        """The share of the removals that leave an input further out than 95 % of natural ones: (B, [O]).

        0.05 is what natural inputs reach themselves.
        """
        far = self.distance > self.natural_distance.quantile(CONFIDENCE)
        weights = self.weights if far.ndim == 2 else self.weights[:, None]
        return (far * weights).sum(-1)


def nearest_distance(points: Tensor, natural: Tensor, neighbours: int, *, themselves: bool = False) -> Tensor:
    """The distance of each point (R, D) to its n-th nearest natural point (N, D), all at length 1: (R,), from 0 to 2.

    themselves: the points are the natural ones, and none is its own neighbour.
    Source: Sun et al. 2022, section 3 (arXiv:2204.06507).

    >>> east, north = torch.tensor([[5.0, 0.0]]), torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    >>> nearest_distance(east, north, 1), nearest_distance(east, north, 2)
    (tensor([0.]), tensor([1.4142]))
    """
    points, natural = (torch.nn.functional.normalize(t, dim=1) for t in (points, natural))
    distances = torch.cdist(points, natural, compute_mode="donot_use_mm_for_euclid_dist")
    if themselves:
        distances.fill_diagonal_(torch.inf)
    return distances.kthvalue(neighbours, dim=1).values


def out_of_distribution(
    subject: Subject, scores: Any, natural: Tensor, *, sizes: Sequence[float] | None = None, neighbours: int = 5
) -> OutOfDistribution:
    """How unusual the inputs of a deletion curve are, by their embeddings and the entropy of the output.

    It says whether the removal takes the model where it has not been: then f may change for that reason alone, and
    deletion, insertion and what is made of them say less. It cannot say that f's change is right or wrong. The
    embedding is the model's own, so what the model does not see is not unusual; a short text is unusual where natural
    ones are long; and an undecided output is what a removal should lead to, so that a high entropy alone is no flaw.

    subject: reads an embedding of each input, and as its last number the entropy of the output
        (`tasks.input_embeddings`): T = D + 1.
    scores, sizes: as in `xai_nlp.metrics.deletion_curve`.
    natural: the same T numbers of natural inputs, best those of the data set: (N, T).
    neighbours: which of the nearest natural inputs is measured to.

    Raises InvalidInput for fewer than ten natural inputs, or not more than neighbours, and for another T.
    Source of the distance: Sun et al. 2022 (arXiv:2204.06507); of the question: Hase, Xie & Bansal 2021
    (arXiv:2106.00786).
    """
    if len(natural) < max(LEAST_NATURAL, neighbours + 1) or neighbours < 1:
        raise InvalidInput(
            f"what is usual is known from {LEAST_NATURAL} natural inputs or more, and from more than neighbours; got "
            f"{len(natural)} of them and neighbours={neighbours}."
        )
    curve = deletion_curve(subject, scores, sizes=sizes)
    numbers = curve.values.mT.to(torch.promote_types(curve.values.dtype, natural.dtype))  # (B, [O,] K, T)
    if numbers.shape[-1] != natural.shape[-1]:
        raise InvalidInput(
            f"natural inputs have the numbers that the subject reads, {numbers.shape[-1]}; got {natural.shape[-1]}."
        )
    usual = natural.to(numbers)
    distance = nearest_distance(numbers[..., :-1].flatten(0, -2), usual[:, :-1], neighbours)
    return OutOfDistribution(
        distance=distance.view(numbers.shape[:-1]),
        natural_distance=nearest_distance(usual[:, :-1], usual[:, :-1], neighbours, themselves=True),
        entropy=numbers[..., -1],
        natural_entropy=usual[:, -1],
        weights=curve.weights,
    )
