"""Weights drawn anew: the tests as written out by hand on tiny nets, and the model handed back."""

import copy
import gc
import math
import weakref

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from tests.metrics import quantus_case
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.metrics import emprt, mprt, smprt
from xai_nlp.metrics.randomization import histogram_entropy, layers_of, randomize, remembered


class Net(nn.Module):
    """Two layers of six inputs, and an embedding that the head shares its weights with."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.norm = nn.Linear(6, 8), nn.LayerNorm(8)
            self.last = nn.Linear(8, 1)

    def forward(self, x):
        return self.last(self.norm(self.first(x)).tanh())


X = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))


def gradients(model, x=X):
    x = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model(x).sum(), x)
    return slope


def by_hand(net, order, seed):
    """The networks of a test, layer by layer, made from copies."""
    generator = torch.Generator().manual_seed(seed)
    names = {"top_down": ["last", "norm", "first"]}.get(order, ["first", "norm", "last"])
    current = copy.deepcopy(net)
    for name in names:
        if order == "independent":
            current = copy.deepcopy(net)
        for parameter in getattr(current, name).parameters():
            with torch.no_grad():
                mean, spread = parameter.mean(), parameter.std(unbiased=False)
                parameter.copy_(mean + spread * torch.randn(parameter.shape, generator=generator))
        if order != "one_shot" or name == names[-1]:
            yield copy.deepcopy(current)


@pytest.mark.parametrize("order", ["bottom_up", "top_down", "independent", "one_shot"])
def test_mprt_is_the_correlation_with_each_copy(order):
    net = Net()
    found = mprt(net, lambda: gradients(net), order=order, seed=4)
    expected = [
        [scipy.stats.spearmanr(a, b).statistic for a, b in zip(gradients(net), gradients(other), strict=True)]
        for other in by_hand(net, order, 4)
    ]
    np.testing.assert_allclose(found.similarity, expected)
    np.testing.assert_allclose(found.mean, np.mean(expected, 0))
    np.testing.assert_allclose(found.last, expected[-1])
    assert found.layers == {
        "top_down": ("last", "norm", "first"), "one_shot": ("all",)
    }.get(order, ("first", "norm", "last"))  # fmt: skip


def test_smprt_is_that_of_means_over_noisy_inputs():
    net, samples = Net(), 5
    noise = 0.3 * torch.randn(samples, *X.shape, generator=torch.Generator().manual_seed(2))
    noise[-1] = 0
    found = smprt(net, lambda sample: gradients(net, X + noise[sample]), samples=samples, seed=4)

    def smooth(model):
        return sum(gradients(model, X + one) for one in noise) / samples

    expected = [
        [scipy.stats.spearmanr(a, b).statistic for a, b in zip(smooth(net), smooth(other), strict=True)]
        for other in by_hand(net, "bottom_up", 4)
    ]
    np.testing.assert_allclose(found.similarity, expected)
    assert not np.allclose(found.similarity, mprt(net, lambda: gradients(net), seed=4).similarity)


def test_emprt_is_the_relative_rise_of_the_entropy():
    net = Net()
    found = emprt(net, lambda: gradients(net), bins=4, seeds=(4, 5))
    others = [next(iter(by_hand(net, "one_shot", seed))) for seed in (4, 5)]

    def entropy(scores):
        return scipy.stats.entropy(np.histogram(scores.numpy(), bins=4)[0])

    for i in range(3):
        before = entropy(gradients(net)[i])
        after = np.mean([entropy(gradients(other)[i]) for other in others])
        assert found.rise[i] == pytest.approx((after - before) / before)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("order", ["bottom_up", "independent", "one_shot"])
def test_the_model_is_handed_back(order, fails):
    net = Net().train()
    before, values = fingerprint(net), [p.clone() for p in net.parameters()]
    calls = []

    def explain():
        calls.append(1)
        if fails and len(calls) == 2:
            raise ZeroDivisionError
        return gradients(net)

    if fails:
        with pytest.raises(ZeroDivisionError):
            mprt(net, explain, order=order)
    else:
        mprt(net, explain, order=order)
    assert fingerprint(net) == before
    assert all(a.equal(b) for a, b in zip(net.parameters(), values, strict=True))


def test_scores_that_become_no_numbers_have_no_similarity():
    net, calls = Net(), []

    def explain():
        calls.append(1)
        return gradients(net) * (math.nan if len(calls) == 3 else 1)

    found = mprt(net, explain)
    assert np.isnan(found.similarity).tolist() == [[False] * 3, [True] * 3, [False] * 3]
    np.testing.assert_allclose(found.mean, found.similarity[[0, 2]].mean(0))


def test_what_does_not_depend_on_the_weights_is_found_out():
    net = Net()
    assert mprt(net, lambda: X).mean.tolist() == [1, 1, 1]
    assert abs(mprt(net, lambda: gradients(net)).mean).max() < 0.9
    same = emprt(net, lambda: X, bins=4)
    assert same.rise.tolist() == [0, 0, 0]


def test_draws_keep_the_mean_and_the_spread_and_share_what_is_shared():
    big = nn.Linear(300, 300)
    other = nn.Linear(300, 300, bias=False)
    other.weight = big.weight
    before = big.weight.detach().clone()
    randomize([big, other], torch.Generator().manual_seed(0), set())
    assert not big.weight.equal(before)
    assert other.weight is big.weight
    assert float(big.weight.detach().std()) == pytest.approx(float(before.std()), rel=0.02)
    once = big.weight.detach().clone()
    single = nn.Linear(300, 300)
    with torch.no_grad():
        single.weight.copy_(before)
    randomize([single], torch.Generator().manual_seed(0), set())
    torch.testing.assert_close(single.weight.detach(), once)  # drawn once, though two modules have it
    norm = nn.LayerNorm(4)
    randomize([norm], torch.Generator(), set())
    assert norm.weight.tolist() == [1] * 4


def test_layers_may_be_named():
    net = Net()
    found = mprt(net, lambda: gradients(net), layers={"body": [net.first, net.norm], "head": [net.last]}, seed=4)
    assert found.layers == ("body", "head")
    np.testing.assert_allclose(found.similarity[1], mprt(net, lambda: gradients(net), seed=4).similarity[2])
    assert list(layers_of(net)) == ["first", "norm", "last"]


def test_entropy():
    scores = np.random.default_rng(0).random(50)
    assert histogram_entropy(scores, 7) == pytest.approx(scipy.stats.entropy(np.histogram(scores, 7)[0]))
    assert histogram_entropy([2.0, 2.0, 2.0]) == 0
    assert math.isnan(emprt(Net(), lambda: [[1.0, 1.0]]).rise[0])


def test_results_are_remembered_while_the_weights_stay():
    net, calls = Net(), []
    compute = lambda: calls.append(1) or len(calls)  # noqa: E731
    assert [remembered(net, "a", compute), remembered(net, "a", compute), remembered(net, "b", compute)] == [1, 1, 2]
    with torch.no_grad():
        net.first.weight.add_(1)
    assert remembered(net, "a", compute) == 3
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None


def test_wrong_options():
    net = Net()
    with pytest.raises(UnknownName, match="bottom_up"):
        mprt(net, lambda: X, order="bottom-up")
    with pytest.raises(InvalidInput, match="no floating-point weights"):
        mprt(nn.ReLU(), lambda: X)
    with pytest.raises(InvalidInput, match="samples is at least 1"):
        smprt(net, lambda sample: X, samples=0)
    with pytest.raises(InvalidInput, match="bins is at least 2"):
        emprt(net, lambda: X, bins=1)
    with pytest.raises(InvalidInput, match="at least one seed"):
        emprt(net, lambda: X, seeds=())


@pytest.mark.parametrize("bins", quantus_case.ENTROPIES)
def test_complexity_is_that_of_quantus(bins):
    entropies = [histogram_entropy(scores.tolist(), bins) for scores in quantus_case.scores()]
    assert entropies == pytest.approx(quantus_case.ENTROPIES[bins], abs=1e-7)
