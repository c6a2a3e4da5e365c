"""Shapley values against their definition, their axioms, and games that can be solved by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.methods.games import by_orders, by_subsets, game, worth
from xai_nlp.core.features import NO_FEATURE, FeatureMask
from xai_nlp.errors import InvalidInput
from xai_nlp.methods import find_method

PAIRS = torch.randn(40, 40, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def tangled(z):
    """Every feature meets every other; two targets."""
    return torch.stack([torch.tanh(z).prod(1) + z.sum(1).sin(), torch.exp(-(z**2).sum(1))], 1)


def pairwise(z):
    m = z.shape[1]
    return torch.einsum("ri,ij,rj->r", z, PAIRS[:m, :m], z) + z @ PAIRS[0, :m]


def scores(problem, **options):
    return find_method("shapley", options).scores(problem)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 6])
def test_exact_values_by_all_orders(m):
    problem = game(tangled, m)
    torch.testing.assert_close(scores(problem).tensors[0], by_orders(problem, m), atol=1e-12, rtol=0)


@pytest.mark.parametrize("m", [7, 8])
def test_exact_values_by_all_subsets(m):
    """Eight features are sampled at the default; with more samples, subsets are no dearer than orders."""
    problem = game(tangled, m)
    torch.testing.assert_close(scores(problem, samples=64).tensors[0], by_subsets(problem, m), atol=1e-12, rtol=0)


def test_both_references_agree():
    problem = game(tangled, 5)
    torch.testing.assert_close(by_orders(problem, 5), by_subsets(problem, 5), atol=1e-12, rtol=0)


@pytest.mark.parametrize("m", [4, 30])
def test_of_an_additive_game_each_feature_has_its_own(m):
    weights = PAIRS[1, :m]
    problem = game(lambda z: torch.sin(z) @ weights, m)
    own = (problem.x[0].sin() - problem.baseline[0].sin()) * weights
    torch.testing.assert_close(scores(problem).tensors[0][:, 0], own, atol=1e-12, rtol=0)


def test_of_a_game_of_pairs_sampled_values_are_exact():
    """An order and the same backwards: of each pair, each comes second once. Half of what both do goes to each."""
    m = 24
    problem = game(pairwise, m)
    x, x0 = problem.x[0], problem.baseline[0]
    for samples in (2, 24):
        got = scores(problem, samples=samples).tensors[0][:, 0]
        slopes = [z @ (PAIRS[:m, :m] + PAIRS[:m, :m].T) + PAIRS[0, :m] for z in (x, x0)]
        torch.testing.assert_close(got, (x - x0) * (slopes[0] + slopes[1]) / 2, atol=1e-11, rtol=0)


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_scores_add_up_however_few_the_samples(m, samples, seed):
    problem = game(tangled, m)
    result = scores(problem, samples=samples, seed=seed)
    difference = worth(problem, set(range(m))) - worth(problem, set())
    torch.testing.assert_close(result.tensors[0].sum(2), difference, atol=1e-12, rtol=0)
    torch.testing.assert_close(result.value - result.baseline_value, difference, atol=1e-12, rtol=0)


def test_samples_come_within_three_standard_errors():
    problem = game(tangled, 8, examples=4)
    exact = by_subsets(problem, 8)
    runs = torch.stack([scores(problem, samples=10, seed=seed).tensors[0] for seed in range(80)])
    assert ((runs.mean(0) - exact).abs() <= 3 * runs.std(0) / 80**0.5).double().mean() > 0.95
    wide, narrow = (
        torch.stack([scores(problem, samples=n, seed=s).tensors[0] for s in range(20)]).std(0).mean() for n in (4, 64)
    )
    assert 2 < wide / narrow < 8 or narrow == 0  # 1/√samples: 4, or exact


def test_like_features_are_treated_alike_and_idle_ones_have_nothing():
    problem = game(lambda z: (z[:, 0] + z[:, 1]) * z[:, 2] + 0 * z[:, 3], 4)
    problem.x[0][:, 1], problem.baseline[0][:, 1] = problem.x[0][:, 0], problem.baseline[0][:, 0]
    got = scores(problem).tensors[0][:, 0]
    torch.testing.assert_close(got[:, 0], got[:, 1], atol=1e-13, rtol=0)
    assert (got[:, 3].abs() < 1e-15).all()


def test_features_are_what_the_problem_says():
    """Three groups and an entry in none, which stays as it is; the second example has two groups only."""
    ids = torch.tensor([[0, 1, 1, 2, NO_FEATURE], [0, 1, 1, 0, NO_FEATURE]])
    problem = game(tangled, 5, features=FeatureMask((ids,), 3))
    result = scores(problem)
    by_group = by_orders(problem, 3)
    for b in range(2):
        for i, group in enumerate(ids[b].tolist()):
            expected = by_group[b, :, group] if group >= 0 else torch.zeros(2, dtype=torch.float64)
            torch.testing.assert_close(result.tensors[0][b, :, i], expected, atol=1e-12, rtol=0)


def test_draws_do_not_depend_on_who_else_is_in_the_batch():
    """Sampled: examples with 9 and 12 features, together and alone."""
    ids = torch.stack([torch.where(torch.arange(14) < m, torch.arange(14), NO_FEATURE) for m in (12, 9, 12)])
    together = scores(game(tangled, 14, examples=3, features=FeatureMask((ids,), 14)), samples=5).tensors[0]
    for b in range(3):
        whole = game(tangled, 14, examples=3)
        alone = type(whole)(
            value=whole.value, x=(whole.x[0][b : b + 1, :],), baseline=(whole.baseline[0][b : b + 1],),
            features=FeatureMask((ids[b : b + 1],), 12),
        )  # fmt: skip
        torch.testing.assert_close(scores(alone, samples=5).tensors[0][0], together[b], atol=1e-13, rtol=0)


def test_an_example_without_features():
    ids = torch.tensor([[NO_FEATURE] * 3, [0, 1, NO_FEATURE]])
    for name in ("shapley", "lime", "kernel_shap"):
        problem = game(tangled, 3, features=FeatureMask((ids,), 2))
        result = find_method(name).scores(problem)
        assert (result.tensors[0][0] == 0).all()
        torch.testing.assert_close(result.value[0], result.baseline_value[0])
        torch.testing.assert_close(result.value, problem.value(problem.x, problem.everyone))


def test_passes_are_as_few_as_said():
    rows = 0

    def counted(z):
        nonlocal rows
        rows += len(z)
        return tangled(z)

    scores(game(counted, 7, examples=1))
    assert rows == 2**7
    rows = 0
    scores(game(counted, 20, examples=1), samples=10)
    assert rows <= 10 * 19 + 2


def test_no_samples():
    with pytest.raises(InvalidInput, match="samples"):
        find_method("shapley", {"samples": 0})
