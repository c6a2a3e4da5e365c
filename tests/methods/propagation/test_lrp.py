"""Relevance is conserved, and is what the published formulas say."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import xai_nlp
from tests.methods.propagation.problems import TEXT, WORDS_ONCE, of_words, problem_of
from tests.models.tiny import tiny
from xai_nlp.core.problem import Problem
from xai_nlp.hooks.model_state import fingerprint, frozen_model
from xai_nlp.hooks.scope import ModulePoint
from xai_nlp.methods.propagation.deeplift import DeepLiftMethod
from xai_nlp.methods.propagation.lrp import LRPMethod, conservation_error


@pytest.mark.parametrize("attends", ["both", "values"])
@pytest.mark.parametrize("name", WORDS_ONCE)
def test_lrp_conserves_on_every_architecture(name, attends):
    """Whatever is in the way: norms, products, GELU written out, relative positions, rotations, grouped queries."""
    model, problem = of_words(name)
    before = fingerprint(model)
    with frozen_model(model, evaluate=True):
        result = LRPMethod(attends=attends).scores(problem)
    assert result.value is not None
    largest = result.tensors[0].abs().flatten(2).sum(2)
    assert (
        (result.value - result.tensors[0].flatten(2).sum(2)).abs() < 1e-4 * result.value.abs() + 1e-6 * largest
    ).all()
    assert largest.max() < 100 * result.value.abs().max()  # nothing blows up to cancel out again
    assert fingerprint(model) == before


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_the_error_of_each_layer_is_told(name):
    model, problem = of_words(name)
    blocks = model.bert.encoder.layer if name == "bert" else model.transformer.h
    inside = Problem(value=problem.value, x=problem.x, baseline=problem.x, sites=tuple(map(ModulePoint, blocks)))
    with frozen_model(model, evaluate=True):
        assert conservation_error(problem).abs().max() < 1e-4
        error = conservation_error(inside)
        lossy = conservation_error(inside, LRPMethod(biases="absorb"))
    assert error.shape == (2, 2, len(blocks))
    assert error.abs().max() < 1e-4
    assert lossy.abs().max() > 1e-2  # as published, biases absorb


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "bart"])
def test_lrp_of_a_text_adds_up_to_the_logit(name):
    explainer = xai_nlp.load(*tiny(name))
    together = explainer.explain([TEXT, "dull"], method="lrp")
    for text, one in zip([TEXT, "dull"], together, strict=True):
        assert sum(one.scores) == pytest.approx(one.value, rel=1e-4)
        alone = explainer.explain(text, method="lrp")
        assert one.scores == pytest.approx(alone.scores, abs=1e-5)
    assert sum(explainer.explain(TEXT, method="lrp", layer=1).scores) == pytest.approx(together[0].value, rel=1e-4)


@pytest.mark.parametrize("unit", ["logit", "probability", "log-probability"])
def test_whatever_the_unit(unit):
    why = xai_nlp.explain(TEXT, method="lrp", unit=unit)
    assert sum(why.scores) == pytest.approx(why.value, rel=1e-4)
    why = xai_nlp.explain(TEXT, method="deep_lift", unit=unit)
    assert why.residual == pytest.approx(0, abs=2e-3)


def test_lrp_and_deep_lift_explain_answers():
    asked: Any = dict(question="Who wrote the book?", context="Mary wrote the book in 1818, near the lake.")
    why = xai_nlp.explain(**asked, method="lrp")
    assert sum(why.scores) == pytest.approx(why.value, rel=1e-4)
    why = xai_nlp.explain(**asked, method="deep_lift")
    assert abs(why.residual) < 1e-2 * abs(why.value - why.baseline_value)


class ImageAttribution(nn.Module):
    """Everything an image model is made of, with biases everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm, self.conv2 = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, groups=2)
        self.group, self.down, self.out = nn.GroupNorm(2, 4), nn.Conv2d(4, 4, 1), nn.Linear(16, 3)
        for tensor in (self.norm.running_mean, self.norm.bias, self.group.bias):
            nn.init.normal_(tensor)
        nn.init.uniform_(self.norm.running_var, 0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.norm(self.conv1(x))), 2)
        y = F.silu(self.group(self.conv2(x)))
        y += F.adaptive_avg_pool2d(self.down(x), y.shape[2:])
        return self.out(F.avg_pool2d(torch.relu_(y), 2).flatten(1))


@pytest.mark.parametrize("seed", range(5))
def test_lrp_conserves_on_a_convolutional_net(seed):
    torch.manual_seed(seed)
    net = ImageAttribution().eval()
    x = torch.randn(3, 2, 14, 14)
    with frozen_model(net):
        problem = problem_of(net, x, sites=[ModulePoint(net.conv1), ModulePoint(net.norm)])
        assert conservation_error(problem).abs().max() < 1e-4
        assert conservation_error(problem_of(net, x)).abs().max() < 1e-4


def test_lrp_conserves_on_torchs_own_transformer():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
    net = nn.Sequential(
        nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Flatten(), nn.Linear(24, 2)
    ).eval()
    x, x0 = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    with frozen_model(net):
        assert conservation_error(problem_of(net, x)).abs().max() < 1e-4
        result = DeepLiftMethod().scores(problem_of(net, x, x0=(x0,)))
    torch.testing.assert_close(
        result.tensors[0].flatten(2).sum(2), result.value - result.baseline_value, atol=1e-4, rtol=1e-4
    )


class Block(nn.Module):
    """A layer of attention as transformers have it, and a feed-forward layer."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.project, self.norm = nn.Linear(6, 18), nn.Linear(6, 6), nn.LayerNorm(6)
        self.up, self.out = nn.Linear(6, 10), nn.Linear(10, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (t.unflatten(-1, (2, 3)).transpose(1, 2) for t in self.qkv(self.norm(x)).chunk(3, -1))
        weights = torch.softmax(q @ k.transpose(-1, -2) / 3**0.5, -1)
        x = x + self.project((weights @ v).transpose(1, 2).flatten(2))
        return self.out(F.gelu(self.up(x[:, 0])))


def attnlrp_by_hand(net: Block, x: Tensor) -> Tensor:
    """Achtibat et al. 2024, by its equations, with relevance itself handed from sum to sum."""

    def linear(layer: nn.Linear, a: Tensor, relevance: Tensor) -> Tensor:  # eq. 8, ε = 0
        return a * ((relevance / layer(a)) @ layer.weight)

    normed = net.norm(x)
    fused = net.qkv(normed)
    q, k, v = (t.unflatten(-1, (2, 3)).transpose(1, 2) for t in fused.chunk(3, -1))
    logits = q @ k.transpose(-1, -2) / 3**0.5
    weights = logits.softmax(-1)
    mixed = weights @ v
    flat = mixed.transpose(1, 2).flatten(2)
    residual = net.project(flat)
    read = (x + residual)[:, 0]
    hidden = net.up(read)

    of_hidden = linear(net.out, F.gelu(hidden), net.out(F.gelu(hidden)))  # identity through GELU, eq. 9
    of_read = linear(net.up, read, of_hidden)
    of_sum = torch.zeros_like(x)
    of_sum[:, 0] = of_read
    share = of_sum / (x + residual)
    of_x, of_residual = share * x, share * residual
    of_mixed = linear(net.project, flat, of_residual).unflatten(-1, (2, 3)).transpose(1, 2)
    ratio = of_mixed / mixed / 2  # prop. 3.3: half to each factor
    of_weights, of_v = weights * (ratio @ v.transpose(-1, -2)), v * (weights.transpose(-1, -2) @ ratio)
    of_logits = logits * (of_weights - weights * of_weights.sum(-1, keepdim=True))  # prop. 3.1
    ratio = of_logits / logits / 2 / 3**0.5
    of_q, of_k = q * (ratio @ k), k * (ratio.transpose(-1, -2) @ q)
    of_fused = torch.cat([t.transpose(1, 2).flatten(2) for t in (of_q, of_k, of_v)], -1)
    of_normed = linear(net.qkv, normed, of_fused)
    centred = normed - net.norm.bias
    of_centred = of_normed * centred / normed  # the bias absorbs; the deviation is a constant, prop. 3.4
    moved = x - x.mean(-1, keepdim=True)
    ratio = of_centred / moved
    return of_x + x * (ratio - ratio.mean(-1, keepdim=True))


@pytest.mark.parametrize("seed", range(10))
def test_as_published_it_is_attnlrp(seed):
    torch.manual_seed(seed)
    net, x = Block().double(), torch.randn(2, 4, 6).double()
    nn.init.normal_(net.norm.bias)
    with frozen_model(net), torch.no_grad():
        result = LRPMethod(biases="absorb").scores(problem_of(net, x))
        expected = attnlrp_by_hand(net, x)
    torch.testing.assert_close(result.tensors[0][:, 0], expected, atol=1e-9, rtol=1e-6)
