"""LIME and Kernel SHAP where the answer is known."""

from dataclasses import replace

import pytest
import torch
from sklearn.linear_model import LinearRegression

import xai_nlp
from tests.methods.games import by_subsets, game, worth
from tests.methods.test_shapley import PAIRS, pairwise, tangled
from tests.models.tiny import tiny
from xai_nlp.core.coalitions import from_coalitions
from xai_nlp.core.features import NO_FEATURE, FeatureMask
from xai_nlp.errors import InvalidInput, NotFinite
from xai_nlp.methods import find_method
from xai_nlp.methods.surrogate import coefficients


def scores(name, problem, **options):
    return find_method(name, options).scores(problem)


@pytest.mark.parametrize("m", [1, 2, 6, 40])
def test_lime_recovers_a_linear_model(m):
    weights = torch.stack([PAIRS[2, :m], PAIRS[3, :m]], 1)
    problem = game(lambda z: z @ weights, m)
    expected = (problem.x[0] - problem.baseline[0])[:, None] * weights.T
    got = scores("lime", problem, alpha=0.0).tensors[0]
    torch.testing.assert_close(got, expected, atol=1e-9, rtol=0)
    if m > 1:
        held = scores("lime", problem).tensors[0]  # as it comes: a little held down
        assert float((held - expected).norm() / expected.norm()) < 0.2


def test_lime_is_the_weighted_ridge_regression_it_says():
    """The normal equations by hand, for the subsets that the method draws."""
    m = 6
    problem = game(tangled, m, examples=1)
    method = find_method("lime", {"samples": 50, "alpha": 0.7, "width": 0.4})
    kept = torch.cat([torch.ones(1, m), torch.zeros(1, m), method.draw(m)]).double()
    values = torch.cat([worth(problem, set(row.nonzero().flatten().tolist())) for row in kept])
    cosine = kept.sum(1) / (kept.norm(dim=1) * m**0.5).clamp_min(1e-300)
    w = torch.exp(-((1 - cosine) ** 2) / 0.4**2)
    X, y = (t - (w[:, None] * t).sum(0) / w.sum() for t in (kept, values))
    expected = torch.linalg.solve(X.T @ (w[:, None] * X) + 0.7 * torch.eye(m).double(), X.T @ (w[:, None] * y))
    torch.testing.assert_close(method.scores(problem).tensors[0][0], expected.T, atol=1e-10, rtol=0)


def test_lime_takes_away_something_every_time_and_every_size_equally_often():
    sizes = find_method("lime", {"samples": 6000}).draw(6).sum(1)
    assert int(sizes.max()) == 5
    assert (sizes.bincount(minlength=6) - 1000).abs().max() < 120  # four standard deviations


@pytest.mark.parametrize("m", [1, 2, 3, 5, 8, 9])
def test_kernel_shap_of_few_features_is_exact(m):
    problem = game(tangled, m)
    torch.testing.assert_close(scores("kernel_shap", problem).tensors[0], by_subsets(problem, m), atol=1e-10, rtol=0)


@pytest.mark.parametrize("samples", [1, 20, 100])
def test_kernel_shap_adds_up_however_few_the_samples(samples):
    problem = game(tangled, 12)
    got = scores("kernel_shap", problem, samples=samples).tensors[0].sum(2)
    torch.testing.assert_close(got, worth(problem, set(range(12))) - worth(problem, set()), atol=1e-10, rtol=0)


def test_kernel_shap_of_an_additive_game_is_exact_with_enough_samples():
    problem = game(lambda z: torch.sin(z) @ PAIRS[1, :20], 20)
    own = (problem.x[0].sin() - problem.baseline[0].sin()) * PAIRS[1, :20]
    torch.testing.assert_close(scores("kernel_shap", problem).tensors[0][:, 0], own, atol=1e-10, rtol=0)


def test_kernel_shap_of_a_game_of_pairs_is_exact_too():
    """A subset and its complement: what pairs do together cancels."""
    problem = game(pairwise, 16)
    exact = scores("shapley", problem).tensors[0]
    torch.testing.assert_close(scores("kernel_shap", problem, samples=128).tensors[0], exact, atol=1e-10, rtol=0)


def test_kernel_shap_comes_close_with_samples():
    problem = game(tangled, 11)
    exact = by_subsets(problem, 11)
    far, near = (
        torch.stack([scores("kernel_shap", problem, samples=n, seed=s).tensors[0] - exact for s in range(12)])
        for n in (64, 1024)
    )
    assert near.norm() < far.norm() / 2
    assert (near.mean(0).abs() <= 4 * near.std(0) / 12**0.5).double().mean() > 0.9


def test_a_feature_of_one_example_has_no_part_in_another():
    ids = torch.tensor([[0, 1, 2, 3], [0, 1, NO_FEATURE, NO_FEATURE]])
    problem = game(tangled, 4, features=FeatureMask((ids,), 4))
    for name in ("lime", "kernel_shap"):
        result = scores(name, problem).tensors[0]
        assert (result[1, :, 2:] == 0).all()
        assert (result[0] != 0).all()


@pytest.mark.parametrize("name", ["lime", "kernel_shap"])
def test_seeds(name):
    problem = game(tangled, 12)
    first, again, other = (scores(name, problem, samples=100, seed=seed).tensors[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_draws_weights_and_model_from_outside():
    """The normal equations by hand; a subset that is drawn twice is evaluated once and counts twice."""
    problem, rows = game(tangled, 3, examples=1), []
    valued = problem.value
    problem = replace(problem, value=lambda z, owner: rows.append(len(owner)) or valued(z, owner))
    samples = torch.tensor([[1, 0, 1], [0, 1, 1], [1, 0, 1], [0, 0, 0], [1, 1, 0], [0, 0, 1]]).bool()

    def weights(coalitions):
        return 1.0 + coalitions.sum(1)

    def solve(coalitions, values):
        assert torch.equal(coalitions[2:], samples)
        return coefficients(LinearRegression(), coalitions[2:], values[:, 2:], weights(coalitions[2:]))

    surrogate = from_coalitions(problem, lambda m: samples[:, :m], solve)
    assert sum(rows) == 6  # five distinct subsets, of which one has no feature; and that of all features
    torch.testing.assert_close(surrogate.value, worth(problem, {0, 1, 2}))
    torch.testing.assert_close(surrogate.baseline_value, worth(problem, set()))
    w, X = weights(samples).double(), torch.cat([samples, torch.ones(6, 1)], 1).double()
    y = torch.cat([worth(problem, set(row.nonzero().flatten().tolist())) for row in samples])
    expected = torch.linalg.solve(X.T @ (w[:, None] * X), X.T @ (w[:, None] * y))[:3]
    torch.testing.assert_close(surrogate.tensors[0][0], expected.T, atol=1e-10, rtol=0)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_fit_to_what_is_no_number_is_refused(value):
    values = torch.tensor([[[0.0], [1.0], [value]]])
    with pytest.raises(NotFinite, match="not finite"):
        coefficients(LinearRegression(), torch.eye(3), values, torch.ones(3))


@pytest.mark.parametrize("options", [{"samples": 0}, {"width": 0.0}, {"alpha": -1.0}])
def test_options_that_make_no_sense(options):
    with pytest.raises(InvalidInput):
        find_method("lime", options)


@pytest.mark.parametrize("method", ["lime", "kernel_shap", "shapley"])
def test_a_text_is_taken_apart_into_words(method):
    explainer = xai_nlp.load(*tiny("bert"))
    why = explainer.explain("a dull film", method=method)
    assert all((score != 0) == (segment >= 0) for score, segment in zip(why.scores, why.segment, strict=True))
    assert why.seed == 0
    if method != "lime":
        assert abs(why.residual) < 1e-5
