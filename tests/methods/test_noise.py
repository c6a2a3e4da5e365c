"""Noisy copies and random points: closed forms, the same numbers one by one, and Captum's within their errors."""

from dataclasses import replace

import captum.attr as captum
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import xai_nlp
from tests.attr.gradient_cases import quick
from tests.attr.networks import Net
from tests.models.tiny import tiny
from xai_nlp.core.batching import Batching
from xai_nlp.core.features import FeatureMask
from xai_nlp.core.problem import Problem
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.scope import ModulePoint
from xai_nlp.methods import find_method
from xai_nlp.methods.noise import GradientAtPathPoint, SampledMethod

NAMES = ["smoothgrad", "smoothgrad_squared", "vargrad", "gradient_shap"]
seeds = st.integers(0, 10_000)


def problem_of(value, x, x0=None, **more):
    x = x if isinstance(x, tuple) else (x,)
    x0 = tuple(map(torch.zeros_like, x)) if x0 is None else x0 if isinstance(x0, tuple) else (x0,)
    return Problem(value=lambda z, owner: value(*z), x=x, baseline=x0, **more)


def squares(a):
    """f(x) = Σ aᵢ xᵢ², with gradient 2aᵢxᵢ."""
    return lambda x: (a * x**2).sum(1, keepdim=True)


# Closed forms --------------------------------------------------------------------------------------------------------


@given(seeds)
@quick
def test_of_a_linear_function(seed):
    torch.manual_seed(seed)
    w, x, x0 = torch.randn(5).double(), torch.randn(3, 5).double(), torch.randn(3, 5).double()
    problem = problem_of(lambda x: x @ w[:, None], x, x0)
    result = {name: find_method(name, {"samples": 4, "seed": seed}).scores(problem).tensors[0][:, 0] for name in NAMES}
    torch.testing.assert_close(result["smoothgrad"], w.expand(3, 5))
    torch.testing.assert_close(result["smoothgrad_squared"], w.square().expand(3, 5))
    assert not result["vargrad"].any()
    torch.testing.assert_close(result["gradient_shap"], (x - x0) * w)


@given(seeds)
@quick
def test_of_squares_within_three_standard_errors(seed):
    torch.manual_seed(seed)
    a, x = torch.randn(4).double(), torch.randn(2, 4).double()
    n, problem = 400, problem_of(squares(a), x)
    sigma = 0.5 * x.square().mean(1, keepdim=True).sqrt()
    options = {"samples": n, "noise": 0.5, "seed": seed}
    mean, square, variance = (find_method(name, options).scores(problem).tensors[0][:, 0] for name in NAMES[:3])
    spread = 2 * a.abs() * sigma  # of one sample's gradient
    error = 4.5 / n**0.5  # three standard errors of one number, for many of them
    assert ((mean - 2 * a * x).abs() <= error * spread).all()
    assert ((variance - spread**2).abs() <= error * 2**0.5 * spread**2).all()
    assert (
        (square - (2 * a * x) ** 2 - spread**2).abs() <= error * (2**0.5 * spread**2 + 4 * (a * x).abs() * spread)
    ).all()


@given(seeds)
@quick
def test_gradient_shap_of_squares_is_the_midpoint_rule_with_one_point_in_each_part(seed):
    """∫ 2a(x₀ + t·d)·d dt is a(x² − x₀²); a point is off the middle of its part by 1/(n√12) in the root mean square."""
    torch.manual_seed(seed)
    a, x, x0 = torch.randn(4).double(), torch.randn(2, 4).double(), torch.randn(2, 4).double()
    n = 50
    scores = find_method("gradient_shap", {"samples": n, "seed": seed}).scores(problem_of(squares(a), x, x0))
    error = 2 * a.abs() * (x - x0) ** 2 / (12**0.5 * n) / n**0.5
    assert ((scores.tensors[0][:, 0] - a * (x**2 - x0**2)).abs() <= 4.5 * error + 1e-12).all()


def test_without_the_displacement_it_is_the_mean_gradient():
    x = torch.tensor([[3.0, 4.0]])
    whole, mean = (
        find_method("gradient_shap", {"multiply": multiply}).scores(problem_of(squares(torch.ones(2)), x)).tensors[0]
        for multiply in (True, False)
    )
    torch.testing.assert_close(whole, mean * x[:, None])


# One by one ----------------------------------------------------------------------------------------------------------


def deep(**more):
    torch.manual_seed(1)
    net = Net(5, 2, smooth=True).double()
    a, b = torch.randn(3, 4).double(), torch.randn(3, 3).double()
    return net, problem_of(net, (a, b), (a.flip(0), torch.zeros_like(b)), **more)


def draws(problem, method):
    """Each noisy copy, as a problem of its own, with the features of the whole."""
    return [replace(problem, x=method.copies(problem, range(k, k + 1)).x) for k in range(method.samples)]


@pytest.mark.parametrize("of", ["saliency", "input_x_gradient", "integrated_gradients", "occlusion", "conductance"])
@pytest.mark.parametrize("limit", [None, 1, 4, 7])
def test_copies_together_are_copies_one_by_one(of, limit):
    features = FeatureMask.of((torch.arange(12).view(3, 4) % 3, torch.tensor([[3, 0, -1]])))
    net, problem = deep(features=features, rows=Batching(limit=limit))
    if of == "conductance":
        problem = replace(problem, sites=(ModulePoint(net.pair),))
    options = {"samples": 5, "of": of, "of_options": {"steps": 4} if "steps" in vars(find_method(of)) else {}}
    scorer = find_method(of, options["of_options"])
    method = find_method("smoothgrad", options)
    each = [scorer.scores(copy).tensors for copy in draws(problem, method)]
    expected = [torch.stack(samples) for samples in zip(*each, strict=True)]
    combined = {
        "smoothgrad": lambda samples: samples.mean(0),
        "smoothgrad_squared": lambda samples: samples.square().mean(0),
        "vargrad": lambda samples: samples.var(0, correction=0),
    }
    for name, combine in combined.items():
        result = find_method(name, options).scores(problem).tensors
        for ours, samples in zip(result, expected, strict=True):
            torch.testing.assert_close(ours, combine(samples), atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("inside", [False, True])
def test_gradient_shap_is_the_gradient_at_its_points(inside):
    """At a layer the displacement is how far its own values go."""
    net, problem = deep()
    net.requires_grad_(False)
    where = torch.tensor([0.1, 0.6, 0.9]).double()
    sites = (ModulePoint(net.first), ModulePoint(net.pair)) if inside else ()
    result = GradientAtPathPoint(t=where).scores(replace(problem, sites=sites)).tensors

    def values(t):
        at = [x0 + t[:, None] * (x - x0) for x, x0 in zip(problem.x, problem.baseline, strict=True)]
        a, b = (tensor.requires_grad_() for tensor in at)
        first = net.first(a)
        left, right = net.pair(torch.tanh(first + net.second(b)))
        return ([first, left, right] if inside else [a, b]), net.out(left * right + left)

    nodes, outputs = values(where)
    ends = [values(torch.full((3,), t).double())[0] for t in (1.0, 0.0)]
    for k in range(2):
        gradients = torch.autograd.grad(outputs[:, k].sum(), nodes, retain_graph=True)
        for ours, gradient, end, start in zip(result, gradients, *ends, strict=True):
            torch.testing.assert_close(ours[:, k], (gradient * (end - start)).detach(), atol=1e-12, rtol=1e-9)


def test_there_is_one_point_in_each_part_of_the_way(monkeypatch):
    observed = []
    monkeypatch.setattr(GradientAtPathPoint, "scores", spied(GradientAtPathPoint.scores, observed))
    _, problem = deep()
    find_method("gradient_shap", {"samples": 8}).scores(problem)
    where = torch.cat(observed).view(8, 3)
    assert (where == where[:, :1]).all()
    assert (where[:, 0] * 8).floor().tolist() == list(range(8))


def spied(scores, observed):
    def scores_and_tell(self, problem):
        observed.append(self.t)
        return scores(self, problem)

    return scores_and_tell


# Draws ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides(name):
    _, problem = deep()
    result = [find_method(name, {"seed": seed}).scores(problem).tensors[0] for seed in (3, 3, 4)]
    assert torch.equal(result[0], result[1])
    assert not torch.allclose(result[0], result[2])


def test_noise_of_a_place_does_not_depend_on_what_follows():
    x = torch.randn(2, 9, 5)
    x[:, 6:] = 0  # padding: where the baseline is
    longer, shorter = (find_method("smoothgrad").copies(problem_of(squares(1), t), range(4)) for t in (x, x[:, :6]))
    torch.testing.assert_close(longer.x[0][:, :6], shorter.x[0])


def test_noise_is_a_share_of_the_way_from_the_baseline():
    x0 = torch.full((2, 4000), 5.0)
    x = x0 + torch.tensor([[2.0], [30.0]])
    noise = find_method("smoothgrad", {"noise": 0.25}).copies(problem_of(squares(1), x, x0), range(1)).x[0] - x
    assert noise.std(1).tolist() == pytest.approx([0.5, 7.5], rel=0.05)
    assert torch.equal(find_method("gradient_shap").copies(problem_of(squares(1), x, x0), range(1)).x[0], x)


def test_tensors_have_noise_of_their_own():
    x = torch.ones(1, 50)
    copies = find_method("smoothgrad").copies(problem_of(lambda a, b: a + b, (x, x)), range(2))
    drawn = torch.stack([t[k] for t in copies.x for k in range(2)])
    assert np.abs(np.corrcoef(drawn.numpy()) - np.eye(4)).max() < 0.5


@given(seeds)
@quick
def test_gradient_shap_is_captums_within_three_standard_errors(seed):
    torch.manual_seed(seed)
    np.random.seed(seed)
    net, n = Net(4, 2, smooth=True), 300
    x, x0 = torch.randn(1, 4), torch.randn(1, 4)
    ours = find_method("gradient_shap", {"samples": n, "seed": seed}).scores(problem_of(lambda x: net(x)[:, 1:], x, x0))
    # each row a sample of its own
    reference = captum.GradientShap(net).attribute(x.repeat(n, 1), x0, n_samples=1, target=1).detach()
    error = reference.std(0) / n**0.5
    assert ((ours.tensors[0][0, 0] - reference.mean(0)).abs() <= 3 * 2**0.5 * error + 1e-6).all()


def test_copies_and_points_from_outside():
    """Baselines, noise and points drawn by the caller, in chunks of samples: the mean of the samples one by one."""
    _, problem = deep(rows=Batching(limit=7))
    generator = torch.Generator().manual_seed(5)
    noise = [torch.randn(5, *x.shape, generator=generator).double() for x in problem.x]
    starts = [torch.randn(5, *x.shape, generator=generator).double() for x in problem.x]
    points = torch.rand(5, 3, generator=generator).double()

    class FromOutside(SampledMethod):
        def copies(self, problem, numbers):
            part, repeated = slice(numbers.start, numbers.stop), problem.part(problem.everyone.repeat(len(numbers)))
            moved = tuple(x + n[part].flatten(0, 1) for x, n in zip(repeated.x, noise, strict=True))
            return replace(repeated, x=moved, baseline=tuple(x0[part].flatten(0, 1) for x0 in starts))

    method = FromOutside(samples=5)

    def scorer(numbers):
        return GradientAtPathPoint(t=points[numbers.start : numbers.stop].flatten())

    means = [moments.mean for moments in method.moments(problem, scorer)]
    for k in range(2):
        each = (range(s, s + 1) for s in range(5))
        samples = [scorer(number).scores(method.copies(problem, number)).tensors[k] for number in each]
        torch.testing.assert_close(means[k], torch.stack(samples).mean(0), atol=1e-12, rtol=1e-9)


# Options, and by name ------------------------------------------------------------------------------------------------


def test_smoothgrad_is_read_as_the_method_that_it_smooths():
    result = find_method("smoothgrad", {"of": "integrated_gradients"})
    assert (result.reduction, result.unit, result.supports_layers) == ("sum", "f", False)
    assert (find_method("smoothgrad").reduction, find_method("smoothgrad").unit) == ("l2", "")
    assert find_method("vargrad", {"of": "integrated_gradients"}).unit == ""


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"samples": 0}, InvalidInput),
        ({"noise": -0.1}, InvalidInput),
        ({"of": "salience"}, UnknownName),
        ({"of_options": {"steps": 3}}, UnknownName),
        ({"of": "attention_rollout"}, InvalidInput),
    ],
)
def test_refuses(options, error):
    with pytest.raises(error):
        find_method("smoothgrad", options)


@pytest.mark.parametrize("name", NAMES)
def test_by_name(name):
    why = xai_nlp.load(*tiny("bert")).explain("a great film", method=name, samples=3, seed=5)
    assert (why.method, why.seed, why.complete) == (name, 5, False)
    assert why.params["samples"] == 3


def test_smoothed_integrated_gradients_by_name():
    explainer = xai_nlp.load(*tiny("bert"))
    plain = explainer.explain("a great film", method="integrated_gradients", steps=6)
    options = {"of": "integrated_gradients", "of_options": {"steps": 6}, "samples": 2}
    smoothed = explainer.explain("a great film", method="smoothgrad", noise=0.0, **options)
    torch.testing.assert_close(torch.tensor(smoothed.scores), torch.tensor(plain.scores), atol=1e-5, rtol=1e-4)
    assert smoothed.unit == plain.unit
    assert Explanation.from_json(smoothed.to_json()) == smoothed


def test_progress_counts_samples_once():
    reports = []
    _, problem = deep(rows=Batching(limit=2, progress=lambda done, total: reports.append((done, total))))
    find_method("smoothgrad", {"samples": 4}).scores(problem)
    assert reports == [(1, 4), (2, 4), (3, 4), (4, 4)]
