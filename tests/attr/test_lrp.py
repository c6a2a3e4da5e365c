"""Layer-wise relevance propagation against Captum's, and where Captum's rules do not hold."""

from typing import Any

import captum.attr as captum
import captum.attr._utils.lrp_rules as captums_rules
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import xai_nlp.attr as ours
from tests.attr.networks import IMAGES, TwoPools
from tests.attr.propagation_cases import TOLERANCE, Case, quick, same
from tests.models.tiny import tiny
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.methods.propagation.rules import IdentityRule, ZPlusRule

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Captum's


RELEVANT = ("relu", "in place", "tanh")  # those that Captum's LRP knows


RULES: dict[str, Any] = {
    "none": None,
    "epsilon": lambda: captums_rules.EpsilonRule(0.05),
    "gamma": lambda: captums_rules.GammaRule(0.5),
    "gamma, no bias": lambda: captums_rules.GammaRule(set_bias_to_zero=True),
    "positive": captums_rules.Alpha1_Beta0_Rule,
    "positive, no bias": lambda: captums_rules.Alpha1_Beta0_Rule(set_bias_to_zero=True),
}


per_layer = st.fixed_dictionaries({name: st.sampled_from(list(RULES)) for name in ("left", "mid", "last")})


def ruled(case: Case, rules: dict[str, str]) -> None:
    for name, rule in rules.items():
        if RULES[rule] is not None:
            case.layer(name).rule = RULES[rule]()


def both_lrp(name: str, case: Case, rules: dict[str, str], *make: Any, **call: Any) -> None:
    ruled(case, rules)
    expected = getattr(captum, name)(case.net, *make).attribute(case.inputs, **call)
    ruled(case, rules)  # Captum has taken them off
    before = fingerprint(case.net)
    got = getattr(ours, name)(case.net, *make).attribute(case.inputs, **call)
    assert fingerprint(case.net) == before
    same(got, expected)


LRP_CASES = st.composite(lambda draw: Case(draw, RELEVANT, ("dense", "2d")))()


@given(LRP_CASES, per_layer, st.booleans())
@settings(quick, max_examples=60)
def test_lrp(case, rules, delta):
    both_lrp("LRP", case, rules, target=case.target, return_convergence_delta=delta)


@given(LRP_CASES, per_layer, st.sampled_from(["left", "mid", "last", "list"]), st.booleans(), st.booleans())
@settings(quick, max_examples=60)
def test_layer_lrp(case, rules, layer, layer_input, delta):
    where = [case.net.mid, case.net.last] if layer == "list" else case.layer(layer)
    both_lrp("LayerLRP", case, rules, where, target=case.target, return_convergence_delta=delta,
             attribute_to_layer_input=layer_input)  # fmt: skip


class Normed(nn.Module):
    def __init__(self, act: Any, *, norm_first: bool) -> None:
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), act()
        self.pool, self.drop, self.out = nn.AdaptiveAvgPool2d(2), nn.Dropout(), nn.Linear(12, 3)
        self.norm_first = norm_first
        nn.init.normal_(self.norm.running_mean)
        nn.init.uniform_(self.norm.running_var, 0.5, 2)
        nn.init.normal_(self.norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = self.act(self.norm(x)) if self.norm_first else self.norm(self.act(x))
        return self.out(self.drop(self.pool(x).flatten(1)))


@given(st.integers(0, 10_000), st.booleans(), st.booleans(), st.sampled_from([nn.ReLU, nn.Tanh]))
@example(1295, True, False, nn.ReLU)
@quick
def test_lrp_through_batch_norm_and_mean_pooling(seed, identity, norm_first, act):
    torch.manual_seed(seed)
    net = Normed(act, norm_first=norm_first or identity).double().eval()
    x = torch.randn(2, 2, 5, 5).double()
    assume(net(x)[:, 1].abs().min() > 0.01)  # what comes back is divided by it, and stabilised twice by Captum
    if identity:
        net.norm.rule = captums_rules.IdentityRule()
    expected = captum.LRP(net).attribute(x, target=1, return_convergence_delta=True)
    if identity:
        net.norm.rule = IdentityRule()
    # Captum's identity rule divides by z and stabilises again; where z is small, that shows
    tolerance = 1e-3 if identity else TOLERANCE
    same(ours.LRP(net).attribute(x, target=1, return_convergence_delta=True), expected, tolerance)


def test_the_identity_rule_after_relu_loses_nothing():
    """Captum's hands on r/z there, not r: its hook on the ReLU's output is asked before the rule's."""
    torch.manual_seed(0)
    net = Normed(nn.ReLU, norm_first=False).double().eval()
    net.norm.rule = IdentityRule()
    for layer in (net.conv, net.out):
        nn.init.zeros_(layer.bias)
    x = torch.randn(2, 2, 5, 5).double()
    scores, delta = ours.LRP(net).attribute(x, target=1, return_convergence_delta=True)
    torch.testing.assert_close(scores.flatten(1).sum(1), net(x)[:, 1].detach(), atol=1e-6, rtol=0)
    assert delta.abs().max() < 1e-6


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.relu, self.out = nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x + self.relu(self.inner(x)))


def test_a_residual_connection_shares_relevance():
    """Captum asks for an Addition_Module there, and copies relevance to both without one."""
    torch.manual_seed(0)
    net, x = Residual(), torch.randn(3, 4)
    nn.init.zeros_(net.inner.bias)
    nn.init.zeros_(net.out.bias)
    scores, delta = ours.LRP(net).attribute(x, target=1, return_convergence_delta=True)
    torch.testing.assert_close(scores.sum(1), net(x)[:, 1].detach())
    assert delta.abs().max() < 1e-6


@pytest.mark.parametrize("seed", range(10))
def test_z_plus_shares_positive_contributions_only(seed):
    torch.manual_seed(seed)
    layer, x = nn.Linear(3, 2).double(), torch.randn(1, 3).double()
    layer.rule = ZPlusRule()
    contributions = (layer.weight[1] * x[0]).clamp(min=0).detach()
    expected = contributions / contributions.sum() * layer(x)[0, 1].detach() if contributions.sum() > 0 else 0 * x[0]
    got = ours.LRP(nn.Sequential(layer)).attribute(x, target=1)
    torch.testing.assert_close(got[0], expected, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_lrp_conserves_on_transformers_and_states_the_error_of_each_layer(name):
    model, tokenizer = tiny(name)
    encoded = tokenizer("A gripping, beautifully acted film", return_tensors="pt")
    ids = encoded.pop("input_ids")

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Tensor) -> Tensor:
            return self.model(input_ids=ids, **encoded).logits

    blocks = model.bert.encoder.layer if name == "bert" else model.transformer.h
    layers = [model.get_input_embeddings(), *blocks]
    with torch.no_grad():
        value = Wrapped()(ids)[:, 1]
    found, delta = ours.LayerLRP(Wrapped(), layers).attribute(ids, target=1, return_convergence_delta=True)
    for relevance, error in zip(found, delta, strict=True):
        assert relevance.shape[:2] == ids.shape
        assert (error.abs() / value.abs()).max() < 1e-4
        torch.testing.assert_close(relevance.sum((1, 2)), value, rtol=1e-4, atol=0)


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("ones", [False, True])
def test_lrp_of_the_convolutional_net_of_captums_documentation(image, ones):
    """Each layer, with ties in max pooling; one image alone, and several as each alone."""
    torch.manual_seed(3)
    net, x = TwoPools(ones=ones, biases=not ones).double(), IMAGES[image].double()
    both = torch.cat([x, IMAGES["rising"]])

    def relevance(lib, inputs):
        return lib.LRP(net).attribute(inputs, target=4, return_convergence_delta=True)

    for got, wanted in zip(relevance(ours, x), relevance(captum, x), strict=True):
        torch.testing.assert_close(got, wanted.detach(), atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(relevance(ours, both)[0][:1], relevance(ours, x)[0])
    for name in ("conv1", "pool1", "conv2", "pool2", "fc1", "fc2"):
        of_layer = [lib.LayerLRP(net, getattr(net, name)).attribute(x, target=4) for lib in (ours, captum)]
        torch.testing.assert_close(of_layer[0], of_layer[1].detach(), atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("axes", [1, 3])
def test_layers_of_one_and_three_dimensions_that_captums_main_branch_propagates(axes):
    """Nothing is lost; 0.9.0 refuses them."""
    torch.manual_seed(0)
    convolution, norm, pool, mean = (
        getattr(nn, f"{name}{axes}d") for name in ("Conv", "BatchNorm", "AvgPool", "AdaptiveAvgPool")
    )
    layers = [convolution(1, 3, 2), norm(3), nn.ReLU(), pool(2), mean(1), nn.Flatten(), nn.Linear(3, 2)]
    net, x = nn.Sequential(*layers).double().eval(), torch.randn(2, 1, *[6] * axes).double()
    relevance, delta = ours.LRP(net).attribute(x, target=1, return_convergence_delta=True)
    assert relevance.shape == x.shape and relevance.abs().max() > 1e-3
    torch.testing.assert_close(delta, torch.zeros_like(delta), atol=1e-8, rtol=0)
    with pytest.raises(TypeError, match="no rule"):
        captum.LRP(net).attribute(x, target=1)
