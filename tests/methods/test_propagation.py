"""Relevance is conserved, differences add up, and both are what the published formulas say."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import NewGELUActivation

import xai_nlp
from tests.models.tiny import ARCHITECTURES, tiny
from xai_nlp.core.problem import Problem
from xai_nlp.hooks.model_state import fingerprint, frozen_model
from xai_nlp.hooks.scope import ModulePoint, replaced
from xai_nlp.methods import find_method
from xai_nlp.methods.propagation import (
    DeconvolutionMethod,
    DeepLiftMethod,
    GuidedBackpropMethod,
    LRPMethod,
    NoRule,
    conservation_error,
)

TEXT = "A gripping, beautifully acted film"


def problem_of(model: nn.Module, *x: Tensor, sites: Any = (), x0: Any = None) -> Problem:
    x0 = tuple(map(torch.zeros_like, x)) if x0 is None else x0
    return Problem(value=lambda z, owner: model(*z), x=x, baseline=x0, sites=tuple(sites))


def of_words(name: str) -> tuple[nn.Module, Problem]:
    """The logits of a tiny model, of its word embeddings."""
    model, tokenizer = tiny(name)
    encoded = tokenizer([TEXT, "dull"], return_tensors="pt", padding=True)
    words = model.get_input_embeddings()
    with torch.no_grad():
        x = words(encoded["input_ids"])

    def value(z: tuple[Tensor, ...], owner: Tensor) -> Tensor:
        with replaced([(ModulePoint(words), [z[0]])]):
            return model(**{key: value[owner] for key, value in encoded.items()}).logits

    return model, Problem(value=value, x=(x,), baseline=(x.roll(1, 1),))


WORDS_ONCE = [name for name in ARCHITECTURES if name not in ("bart", "t5")]  # those look words up twice


# LRP ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attends", ["both", "values"])
@pytest.mark.parametrize("name", WORDS_ONCE)
def test_lrp_conserves_on_every_architecture(name, attends):
    """Whatever is in the way: norms, products, GELU written out, relative positions, rotations, grouped queries."""
    model, problem = of_words(name)
    before = fingerprint(model)
    with frozen_model(model, evaluate=True):
        found = LRPMethod(attends=attends).scores(problem)
    assert found.value is not None
    largest = found.tensors[0].abs().flatten(2).sum(2)
    assert ((found.value - found.tensors[0].flatten(2).sum(2)).abs() < 1e-4 * found.value.abs() + 1e-6 * largest).all()
    assert largest.max() < 100 * found.value.abs().max()  # nothing blows up to cancel out again
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
        found = DeepLiftMethod().scores(problem_of(net, x, x0=(x0,)))
    torch.testing.assert_close(
        found.tensors[0].flatten(2).sum(2), found.value - found.baseline_value, atol=1e-4, rtol=1e-4
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
        found = LRPMethod(biases="absorb").scores(problem_of(net, x))
        expected = attnlrp_by_hand(net, x)
    torch.testing.assert_close(found.tensors[0][:, 0], expected, atol=1e-9, rtol=1e-6)


@pytest.mark.parametrize("method", [LRPMethod(), LRPMethod(biases="absorb"), DeepLiftMethod()])
def test_an_activation_that_is_written_out_is_one_operation(method):
    torch.manual_seed(0)
    first, last = nn.Linear(3, 4), nn.Linear(4, 1)
    x = (torch.randn(2, 3),)
    formula, built_in = (nn.Sequential(first, act, last) for act in (NewGELUActivation(), nn.GELU("tanh")))
    with frozen_model(formula):
        got, expected = (method.scores(problem_of(net, *x)).tensors for net in (formula, built_in))
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("lowest", [-torch.inf, torch.finfo(torch.float32).min])
def test_a_mask_that_is_added_is_no_bias(lowest):
    torch.manual_seed(0)
    x, mask = torch.randn(2, 4), torch.tensor([0, 0, 0, lowest])
    problem = Problem(value=lambda z, owner: torch.softmax(z[0] + mask, -1) @ torch.ones(4, 1), x=(x,), baseline=(x,))
    scores = LRPMethod().scores(problem).tensors[0]
    assert (scores[..., 3] == 0).all()
    torch.testing.assert_close(scores.sum(2), torch.ones(2, 1))


def test_shared_biases_by_hand():
    """z = 1·2 + 1·(−3) + 4 = 3: of the bias, inputs of sizes 2 and 3 get 2/5 and 3/5."""
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight[:], layer.bias[:] = torch.tensor([[2.0, -3.0]]), 4.0
    with frozen_model(layer):
        found = LRPMethod().scores(problem_of(layer, torch.ones(1, 2)))
    torch.testing.assert_close(found.tensors[0], torch.tensor([[[2 + 1.6, -3 + 2.4]]]))


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: torch.baddbmm(a[:, None], a[:, None], b[:, :, None] * torch.ones(4)).flatten(1),
        lambda a, b: torch.baddbmm(torch.ones(1, 1, 1), a[:, None], b[:, :, None]).flatten(1),
        lambda a, b: torch.addmm(a, a, torch.ones(4, 4)),
    ],
)
def test_products_in_whatever_operation(function):
    torch.manual_seed(0)
    x, x0 = (tuple(torch.randn(2, 4) for _ in range(2)) for _ in range(2))
    problem = Problem(value=lambda z, owner: function(*z).sum(1, keepdim=True), x=x, baseline=x0)
    found = LRPMethod().scores(problem)
    torch.testing.assert_close(sum(t.sum(2) for t in found.tensors), found.value)
    found = DeepLiftMethod().scores(problem)
    total = sum(t.sum(2) for t in found.tensors)
    torch.testing.assert_close(total, found.value - found.baseline_value, atol=1e-5, rtol=1e-5)


def test_torchs_attention_with_a_mask_and_its_weights():
    torch.manual_seed(0)
    layer, mask = nn.MultiheadAttention(8, 2, batch_first=True), torch.zeros(3, 3)
    mask[0, 2] = -torch.inf

    class Masked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return layer(x, x, x, attn_mask=mask)[0].flatten(1)[:, :1]

    x, x0 = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    with frozen_model(layer):
        assert conservation_error(problem_of(Masked(), x)).abs().max() < 1e-4
        found = DeepLiftMethod().scores(problem_of(Masked(), x, x0=(x0,)))
    total = found.tensors[0].flatten(2).sum(2)
    torch.testing.assert_close(total, found.value - found.baseline_value, atol=1e-5, rtol=1e-4)


def test_operations_without_a_rule_are_refused():
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.i0(x)

    with pytest.raises(NoRule, match="'special_i0' in Odd"):
        LRPMethod().scores(problem_of(Odd(), torch.ones(1, 2)))
    with pytest.raises(TypeError):
        LRPMethod().scores(problem_of(Odd(), torch.ones(1, 2)))

    class Beside(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            self.loss = torch.special.i0(x).sum()  # that no relevance comes to
            return x * 2

    assert LRPMethod().scores(problem_of(Beside(), torch.ones(1, 2))).tensors[0].sum() == 4


# DeepLIFT -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WORDS_ONCE)
def test_differences_add_up_on_every_architecture(name):
    model, problem = of_words(name)
    with frozen_model(model, evaluate=True):
        found = DeepLiftMethod().scores(problem)
    assert found.value is not None and found.baseline_value is not None
    total, size = found.tensors[0].flatten(2).sum(2), found.tensors[0].abs().flatten(2).sum(2)
    assert ((total - (found.value - found.baseline_value)).abs() < 1e-5 * size + 1e-5).all()


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: a * b,
        lambda a, b: a / (b * b + 1),
        lambda a, b: torch.softmax(a * b, 1),
        lambda a, b: torch.log_softmax(a + b, 1) * a,
        lambda a, b: torch.einsum("bi,bi->b", a, b)[:, None] * a,
        lambda a, b: (a[:, None] @ torch.tanh(b)[:, :, None]).flatten(1),
        lambda a, b: F.layer_norm(a, (4,)) * b.exp(),
        lambda a, b: F.max_pool1d(F.relu(a * b)[:, None], 3, 1).flatten(1),
        lambda a, b: F.rms_norm(a - b, (4,)),
        lambda a, b: (a + b) ** 3,
    ],
)
def test_differences_add_up_through_functions(function):
    torch.manual_seed(0)
    x, x0 = (tuple(torch.randn(5, 4).double() for _ in range(2)) for _ in range(2))
    problem = Problem(value=lambda z, owner: function(*z).sum(1, keepdim=True), x=x, baseline=x0)
    found = DeepLiftMethod().scores(problem)
    total = sum(t.flatten(2).sum(2) for t in found.tensors)
    torch.testing.assert_close(total, found.value - found.baseline_value, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(found.value, function(*x).sum(1, keepdim=True), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("function", [torch.softmax, torch.log_softmax])
def test_a_shift_of_all_logits_changes_nothing(function):
    """Multipliers are the slope then, and small; exponentials and their sum apart would be e⁹ times as large."""
    torch.manual_seed(0)
    x, weights = torch.randn(3, 5).double(), torch.randn(5).double()
    x[0, 2] = -torch.inf  # masked

    def value(z: tuple[Tensor, ...], owner: Tensor) -> Tensor:
        return (function(z[0], -1).nan_to_num(neginf=0) * weights).sum(1, keepdim=True)

    shifted = Problem(value=value, x=(x + 9,), baseline=(x,))
    slope = find_method("saliency").scores(shifted).tensors[0]
    torch.testing.assert_close(DeepLiftMethod(multiply=False).scores(shifted).tensors[0], slope, atol=1e-12, rtol=1e-9)


def test_a_product_goes_by_its_shapley_value():
    a, b, a0, b0 = 3.0, 5.0, 1.0, -1.0
    x, x0 = (tuple(torch.tensor([[t]]) for t in pair) for pair in ((a, b), (a0, b0)))
    found = DeepLiftMethod().scores(Problem(value=lambda z, owner: z[0] * z[1], x=x, baseline=x0))
    shapley = ((a * b0 - a0 * b0 + a * b - a0 * b) / 2, (a0 * b - a0 * b0 + a * b - a * b0) / 2)
    assert [t.item() for t in found.tensors] == pytest.approx(shapley)


def test_what_does_not_change_goes_by_its_slope():
    x = torch.tensor([[0.5, -0.5]])
    found = DeepLiftMethod(multiply=False).scores(
        Problem(value=lambda z, owner: torch.tanh(z[0]), x=(x,), baseline=(x,))
    )
    slope = torch.diag_embed(1 - torch.tanh(x) ** 2)
    torch.testing.assert_close(found.tensors[0], slope)


# ReLU -----------------------------------------------------------------------------------------------------------------


def test_guided_and_deconvolved_by_hand():
    """f = 2·relu(x₁) − 3·relu(x₂) + 5·relu(x₃) at (1, 1, −1)."""
    weights, x = torch.tensor([2.0, -3.0, 5.0]), torch.tensor([[1.0, 1.0, -1.0]])
    problem = Problem(value=lambda z, owner: (torch.relu(z[0]) * weights).sum(1, keepdim=True), x=(x,), baseline=(x,))
    assert GuidedBackpropMethod().scores(problem).tensors[0].flatten().tolist() == [2, 0, 0]
    assert DeconvolutionMethod().scores(problem).tensors[0].flatten().tolist() == [2, 0, 5]


def test_only_what_passes_through_the_relu_is_rectified():
    """Captum's hook is on the tensor that goes in, and rectifies what comes back past the ReLU too."""
    x = torch.tensor([[1.0]])
    problem = Problem(value=lambda z, owner: torch.relu(z[0] * 1) - 3 * (z[0] * 1), x=(x,), baseline=(x,))
    assert GuidedBackpropMethod().scores(problem).tensors[0].item() == 1 - 3

    def joined(z: tuple[Tensor, ...], owner: Tensor) -> Tensor:
        inner = z[0] * 1
        return torch.relu(inner) - 3 * inner

    problem = Problem(value=joined, x=(x,), baseline=(x,))
    assert GuidedBackpropMethod().scores(problem).tensors[0].item() == 1 - 3


@pytest.mark.parametrize("name", ["guided_backprop", "deconvolution"])
def test_registered_methods_explain_texts(name):
    why = xai_nlp.load(*tiny("distilbert")).explain(TEXT, method=name)  # ReLU in its head
    assert len(why.scores) == len(why.tokens)
    assert any(score > 0 for score in why.scores)
    assert find_method(name).needs_baseline is False
