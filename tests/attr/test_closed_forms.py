"""The attribution names against what can be worked out by hand or by going through everything, without Captum."""

import pytest
import torch

import xai_nlp.attr as ours
from tests.methods.games import by_subsets, game

X0 = torch.tensor([[0.5, -1.0, 0.0]], dtype=torch.float64)
X = torch.tensor([[2.0, 1.0, -3.0]], dtype=torch.float64)


def tangled(z):
    return torch.tanh(z).prod(1) + z.sum(1).sin()


@pytest.mark.parametrize("degree", [1, 2, 3, 6])
def test_integrated_gradients_of_a_polynomial(degree):
    """Σ xᵢᵈ is a sum of functions of one entry, so each has its own difference; n nodes are exact to degree 2n − 1."""
    ig = ours.IntegratedGradients(lambda x: (x**degree).sum(1))
    scores, delta = ig.attribute(X, X0, n_steps=(degree + 1) // 2, return_convergence_delta=True)
    torch.testing.assert_close(scores, X**degree - X0**degree, atol=1e-10, rtol=0)
    assert delta.abs().max() < 1e-10


def test_integrated_gradients_of_a_product():
    """∇(ab) along the line from 0 to (a, b) is t·(b, a), of which the mean is half: each factor gets ab/2."""
    scores = ours.IntegratedGradients(lambda x: x.prod(1)).attribute(X[:, :2], n_steps=1)
    assert scores.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("m", [2, 5, 8])
def test_shapley_values_by_all_subsets(m):
    problem = game(tangled, m, examples=1)
    scores = ours.ShapleyValues(tangled).attribute(*problem.x, *problem.baseline)
    torch.testing.assert_close(scores, by_subsets(problem, m)[:, 0], atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["FeatureAblation", "ShapleyValueSampling", "ShapleyValues"])
def test_of_an_additive_game_each_feature_has_its_own(name):
    weights = torch.tensor([3.0, -2.0, 0.25], dtype=torch.float64)
    scores = getattr(ours, name)(lambda z: torch.sin(z) @ weights).attribute(X, X0)
    torch.testing.assert_close(scores, (X.sin() - X0.sin()) * weights, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["Lime", "KernelShap"])
def test_surrogates_recover_a_linear_model(name):
    """What a feature's coming back adds is its weight times how far it goes."""
    weights = torch.tensor([3.0, -2.0, 0.25], dtype=torch.float64)
    torch.manual_seed(0)
    scores = getattr(ours, name)(lambda z: z @ weights).attribute(X, X0, n_samples=200)
    tolerance = 0.2 if name == "Lime" else 1e-4  # its lasso holds coefficients down
    torch.testing.assert_close(scores, (X - X0) * weights, atol=tolerance, rtol=0, check_dtype=False)


def test_differences_add_up():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)).double()
    scores, delta = ours.DeepLift(net).attribute(X, X0, target=1, return_convergence_delta=True)
    difference = (net(X) - net(X0))[:, 1]
    torch.testing.assert_close(scores.sum(1), difference.detach(), atol=1e-12, rtol=0)
    assert delta.abs().max() < 1e-12
