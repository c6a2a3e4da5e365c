"""How unusual inputs are: neighbours by a loop, and inputs that lie inside and outside on purpose."""

import pytest
import torch

from tests.metrics.functions import subject_of
from xai_nlp.errors import InvalidInput
from xai_nlp.metrics import out_of_distribution
from xai_nlp.metrics.out_of_distribution import nearest_distance


def test_neighbours_are_those_of_a_loop():
    draws = torch.Generator().manual_seed(0)
    points, natural = (torch.randn(n, 4, generator=draws, dtype=torch.float64) for n in (3, 12))
    for k in (1, 5):
        found = nearest_distance(points, natural, k)
        for point, distance in zip(points, found, strict=True):
            every = sorted(float((point / point.norm() - n / n.norm()).norm()) for n in natural)
            assert float(distance) == pytest.approx(every[k - 1])
        among = nearest_distance(natural, natural, k, themselves=True)
        for i, distance in enumerate(among):
            others = torch.cat([natural[:i], natural[i + 1 :]])
            assert float(distance) == pytest.approx(float(nearest_distance(natural[i : i + 1], others, k)))


def reading(removed_is):
    """A subject of two features that reads its two inputs and an entropy that rises where they are gone."""
    x = torch.tensor([[1.0, 0.9]])
    return subject_of(lambda z: torch.cat([z, 2 - z.abs().sum(1, keepdim=True)], 1), x, torch.full_like(x, removed_is))


def natural_inputs(count=50):
    draws = torch.Generator().manual_seed(1)
    embeddings = 1 + 0.1 * torch.randn(count, 2, generator=draws)
    return torch.cat([embeddings, torch.rand(count, 1, generator=draws)], 1)


def test_what_leaves_the_natural_inputs_is_unusual():
    scores, natural = [[2.0, 1.0]], natural_inputs()
    inside = out_of_distribution(reading(0.95), scores, natural)
    outside = out_of_distribution(reading(-1.0), scores, natural)
    assert inside.unusual.tolist() == [0]
    assert outside.unusual.tolist() == [1]
    assert outside.distance_rank[0].tolist() == [pytest.approx(inside.distance_rank[0, 0].item()), 0, 0]
    assert (inside.distance_rank > 0.05).all()
    gone = out_of_distribution(reading(0.0), scores, natural)
    assert gone.entropy[0].tolist() == pytest.approx([0.1, 1.1, 2])
    assert gone.entropy_rank[0, 1:].tolist() == [0, 0]
    assert gone.entropy_rank[0, 0] == (natural[:, 2] >= gone.entropy[0, 0]).double().mean()


def test_natural_inputs_are_usual():
    natural = natural_inputs(200)
    among = nearest_distance(natural[:, :2], natural[:, :2], 5, themselves=True)
    assert (among > among.quantile(0.95)).double().mean() == pytest.approx(0.05, abs=0.005)


def test_several_orders_and_sizes():
    result = out_of_distribution(reading(-1.0), [[[2.0, 1.0], [1.0, 2.0]]], natural_inputs(), sizes=[0.5, 1])
    assert result.distance.shape == result.entropy_rank.shape == (1, 2, 2)
    assert result.unusual.shape == (1, 2)


def test_wrong_input():
    with pytest.raises(InvalidInput, match="10 natural inputs"):
        out_of_distribution(reading(0.0), [[1.0, 2.0]], natural_inputs(9))
    with pytest.raises(InvalidInput, match="neighbours=10"):
        out_of_distribution(reading(0.0), [[1.0, 2.0]], natural_inputs(10), neighbours=10)
    with pytest.raises(InvalidInput, match="reads, 3; got 2"):
        out_of_distribution(reading(0.0), [[1.0, 2.0]], natural_inputs()[:, :2])
