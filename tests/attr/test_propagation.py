"""Names that change how gradients flow, against Captum; and where Captum leaves its own rules, against the rules."""

from typing import Any

import captum.attr as captum
import captum.attr._utils.lrp_rules as captums_rules
import pytest
import torch
from captum.attr._utils.custom_modules import Addition_Module
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import xai_nlp.attr as ours
from tests.models.tiny import tiny
from xai_nlp.hooks.model_state import fingerprint, frozen_model
from xai_nlp.hooks.scope import attached
from xai_nlp.methods.propagation import GammaRule, IdentityRule, NoRule, ZPlusRule

quick = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Captum's
TOLERANCE = 1e-5
ACTIVATIONS: dict[str, Any] = {
    "relu": nn.ReLU,
    "in place": lambda: nn.ReLU(inplace=True),
    "elu": nn.ELU,
    "leaky": lambda: nn.LeakyReLU(0.2),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
}
RELEVANT = ("relu", "in place", "tanh")  # those that Captum's LRP knows


class Dense(nn.Module):
    """One input or two, that are added."""

    def __init__(self, width: int, classes: int, act: Any, *, softmax: bool) -> None:
        super().__init__()
        self.left, self.right, self.sum = nn.Linear(4, width), nn.Linear(3, width), Addition_Module()
        self.act1, self.mid, self.act2 = act(), nn.Linear(width, width), act()
        self.last = nn.Linear(width, classes)
        self.soft = nn.Softmax(1) if softmax else None

    def forward(self, a: Tensor, b: Tensor | None = None, scale: Tensor | None = None) -> Tensor:
        hidden = self.left(a) if b is None else self.sum(self.left(a), self.right(b))
        out = self.last(self.act2(self.mid(self.act1(hidden))))
        out = out if self.soft is None else self.soft(out)
        return out if scale is None else out * scale[:, None]


class Convolving(nn.Module):
    """Two convolutions; no activation touches the pooling, where Captum's hooks are in each other's way (see below)."""

    def __init__(self, channels: int, classes: int, act: Any, *, flat: bool) -> None:
        super().__init__()
        conv, pool = (nn.Conv1d, nn.MaxPool1d) if flat else (nn.Conv2d, nn.MaxPool2d)
        self.left, self.act1 = conv(2, channels, 3, padding=1), act()
        self.mid, self.pool = conv(channels, channels, 2), pool(2)
        self.wide, self.act2 = nn.Linear(channels * (2 if flat else 4), 4), act()
        self.last = nn.Linear(4, classes)

    def forward(self, a: Tensor, scale: Tensor | None = None) -> Tensor:
        out = self.pool(self.mid(self.act1(self.left(a))))
        out = self.last(self.act2(self.wide(out.flatten(1))))
        return out if scale is None else out * scale[:, None]


class Case:
    """A network, inputs and arguments, drawn once and given to both."""

    def __init__(self, draw: Any, acts: Any = tuple(ACTIVATIONS), kinds: Any = ("dense", "2d", "1d")) -> None:
        torch.manual_seed(draw(st.integers(0, 10_000)))
        kind, act = draw(st.sampled_from(kinds)), ACTIVATIONS[draw(st.sampled_from(acts))]
        self.batch, classes = draw(st.integers(1, 3)), draw(st.integers(1, 4))
        self.tuple_in = draw(st.booleans())
        self.softmax = draw(st.booleans()) and "softmax" in acts
        self.net: Any
        if kind == "dense":
            self.net = Dense(draw(st.integers(2, 5)), classes, act, softmax=self.softmax)
            shapes: list[tuple[int, ...]] = [(4,), (3,)] if self.tuple_in else [(4,)]
        else:
            self.net = Convolving(draw(st.integers(1, 3)), classes, act, flat=kind == "1d")
            shapes = [(2, 5) if kind == "1d" else (2, 5, 5)]
        self.net = self.net.double().eval()
        tensors = tuple(torch.randn(self.batch, *shape).double() for shape in shapes)
        others = tuple(torch.randn(3, *shape).double() for shape in shapes)
        self.inputs = tensors if self.tuple_in else tensors[0]
        self.drawn = others if self.tuple_in else others[0]  # a distribution of baselines
        each = {
            "none": None,
            "number": (0.5, -1.0)[: len(shapes)],
            "tensor": tuple(t.flip(0) * 0.3 for t in tensors),
            "one row": tuple(t[:1] for t in others),
        }[draw(st.sampled_from(["none", "number", "tensor", "one row"]))]
        self.baselines = each if self.tuple_in or each is None else each[0]
        column = draw(st.integers(0, classes - 1))
        columns = [(column + i) % classes for i in range(self.batch)]
        forms = [column, (column,), columns, torch.tensor(columns), torch.tensor(column), [(c,) for c in columns]]
        self.target = draw(st.sampled_from(forms + [None] * (classes == 1)))
        none = (None,) if kind == "dense" and not self.tuple_in else ()
        self.extra = draw(st.sampled_from([None, (*none, torch.rand(self.batch).double() + 0.5)]))

    def layer(self, name: str) -> nn.Module:
        return getattr(self.net, name)


cases = st.composite(lambda draw: Case(draw))()
images = st.composite(lambda draw: Case(draw, kinds=("2d", "1d")))()


def same(got: Any, expected: Any, tolerance: float = TOLERANCE) -> None:
    assert type(got) is type(expected)
    if not isinstance(expected, Tensor):
        assert len(got) == len(expected)
        for mine, theirs in zip(got, expected, strict=True):
            same(mine, theirs, tolerance)
        return
    assert got.shape == expected.shape
    scale = max(1.0, float(expected.detach().abs().max())) if expected.numel() else 1.0
    torch.testing.assert_close(got, expected.detach(), atol=tolerance * scale, rtol=0)


def both(name: str, case: Case, *make: Any, init: dict[str, Any] | None = None, **call: Any) -> None:
    expected = getattr(captum, name)(case.net, *make, **(init or {})).attribute(case.inputs, **call)
    got = getattr(ours, name)(case.net, *make, **(init or {})).attribute(case.inputs, **call)
    same(got, expected)


LAYERS = st.sampled_from(["left", "act1", "mid", "act2", "last"])


def selected(case: Case, layer: str, kind: str) -> Any:
    """A neuron, the sum of two, or a function of the layer."""
    axes = (case.inputs[0] if case.tuple_in else case.inputs).ndim - 1 if layer == "mid" else 1
    index: Any = {"int": 0, "slice": slice(0, 2)}.get(kind)
    return (lambda hidden: hidden.flatten(1).sum(1)) if index is None else (*[0] * (axes - 1), index)


kinds = st.sampled_from(["int", "slice", "function"])


CUSTOM: dict[str, Any] = {
    "none": None,
    "one": lambda multipliers: tuple(m * 2 for m in multipliers),
    "two": lambda multipliers, inputs: tuple(m * x for m, x in zip(multipliers, inputs, strict=True)),
    "three": lambda multipliers, inputs, baselines: tuple(
        m * (x - 2 * b) for m, x, b in zip(multipliers, inputs, baselines, strict=True)
    ),
}
customs = st.sampled_from(["none", "none", "one", "two", "three"])


@given(cases)
@quick
def test_guided_backprop_and_deconvolution(case):
    for name in ("GuidedBackprop", "Deconvolution"):
        both(name, case, target=case.target, additional_forward_args=case.extra)


@given(cases, st.sampled_from(["mid", "last", "act2"]), kinds, st.booleans())
@quick
def test_neuron_guided_backprop_and_deconvolution(case, layer, how, neuron_input):
    module = case.layer(layer)
    for name in ("NeuronGuidedBackprop", "NeuronDeconvolution"):
        both(name, case, module, neuron_selector=selected(case, layer, how),
             additional_forward_args=case.extra, attribute_to_neuron_input=neuron_input)  # fmt: skip


@given(cases, st.booleans(), st.booleans(), customs)
@quick
def test_deep_lift(case, multiply, delta, custom):
    both("DeepLift", case, init={"multiply_by_inputs": multiply}, baselines=case.baselines, target=case.target,
         additional_forward_args=case.extra, return_convergence_delta=delta,
         custom_attribution_func=CUSTOM[custom])  # fmt: skip


@given(cases, st.booleans(), st.booleans(), customs, st.booleans())
@quick
def test_deep_lift_shap(case, multiply, delta, custom, function):
    baselines = (lambda inputs: case.drawn) if function else case.drawn
    both("DeepLiftShap", case, init={"multiply_by_inputs": multiply}, baselines=baselines, target=case.target,
         additional_forward_args=case.extra, return_convergence_delta=delta,
         custom_attribution_func=CUSTOM[custom])  # fmt: skip


@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([1e-10, 1e-3, 0.3]))
@quick
def test_softmax_layers_go_by_captums_rule(seed, batch, eps):
    torch.manual_seed(seed)
    net = Dense(4, 3, nn.ReLU, softmax=True).double()
    x, x0 = torch.randn(batch, 4).double(), torch.randn(batch, 4).double()
    expected = captum.DeepLift(net, eps=eps).attribute(x, x0, target=1, return_convergence_delta=True)
    same(ours.DeepLift(net, eps=eps).attribute(x, x0, target=1, return_convergence_delta=True), expected)


def weighed(case: Case, layer: str, multiply: bool, custom: str) -> tuple[bool, str]:
    """Options under which what does not change scores 0.

    A ReLU that is 0 both times changes nothing, nor does what is made of such zeros alone. Where pooling follows,
    Captum makes up multipliers of it: contributions are compared there, not multipliers.
    """
    if layer not in ("act1", "mid") or not isinstance(case.net, Convolving):
        return multiply, custom
    return True, custom if layer == "act1" and custom in ("two", "three") else "none"


@given(cases, LAYERS, st.booleans(), st.booleans(), st.booleans(), customs)
@quick
def test_layer_deep_lift(case, layer, layer_input, multiply, delta, custom):
    layer_input = layer_input and not layer.startswith("act")  # see below
    multiply, custom = weighed(case, layer, multiply, custom)
    both("LayerDeepLift", case, case.layer(layer), init={"multiply_by_inputs": multiply}, baselines=case.baselines,
         target=case.target, additional_forward_args=case.extra, return_convergence_delta=delta,
         attribute_to_layer_input=layer_input, custom_attribution_func=CUSTOM[custom])  # fmt: skip


@given(cases, LAYERS, st.booleans(), st.booleans(), st.booleans(), customs)
@quick
def test_layer_deep_lift_shap(case, layer, layer_input, multiply, delta, custom):
    layer_input = layer_input and not layer.startswith("act")
    multiply, custom = weighed(case, layer, multiply, custom)
    both("LayerDeepLiftShap", case, case.layer(layer), init={"multiply_by_inputs": multiply}, baselines=case.drawn,
         target=case.target, additional_forward_args=case.extra, return_convergence_delta=delta,
         attribute_to_layer_input=layer_input, custom_attribution_func=CUSTOM[custom])  # fmt: skip


@given(cases, st.sampled_from(["mid", "last", "act2"]), kinds, st.booleans(), customs)
@quick
def test_neuron_deep_lift_and_shap(case, layer, how, multiply, custom):
    module = case.layer(layer)
    shared = dict(
        neuron_selector=selected(case, layer, how),
        additional_forward_args=case.extra, init={"multiply_by_inputs": multiply},
        custom_attribution_func=CUSTOM[custom],
    )  # fmt: skip
    both("NeuronDeepLift", case, module, baselines=case.baselines, **shared)
    both("NeuronDeepLiftShap", case, module, baselines=case.drawn, **shared)


@given(images, st.sampled_from(["left", "act1", "mid", "pool"]), st.booleans(), st.booleans(), st.booleans())
@quick
def test_grad_cam(case, layer, layer_input, positive, summed):
    both("LayerGradCam", case, case.layer(layer), target=case.target, additional_forward_args=case.extra,
         attribute_to_layer_input=layer_input, relu_attributions=positive, attr_dim_summation=summed)  # fmt: skip


@given(images, st.sampled_from(["left", "act1", "mid", "pool"]), st.booleans(), st.sampled_from(["nearest", "linear"]))
@quick
def test_guided_grad_cam(case, layer, layer_input, mode):
    both("GuidedGradCam", case, case.layer(layer), target=case.target, additional_forward_args=case.extra,
         attribute_to_layer_input=layer_input, interpolate_mode=mode)  # fmt: skip


# LRP ------------------------------------------------------------------------------------------------------------------

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
    tolerance = 1e-4 if identity else TOLERANCE
    same(ours.LRP(net).attribute(x, target=1, return_convergence_delta=True), expected, tolerance)


# Where ours is not Captum's -------------------------------------------------------------------------------------------


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


class Adjacent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.pool, self.tanh = nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Tanh()
        self.out = nn.Linear(27, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.tanh(self.pool(self.relu(self.conv(x)))).flatten(1))


@given(st.integers(0, 1000))
@quick
def test_deep_lift_adds_up_where_activations_and_pooling_touch(seed):
    """Captum's hook on what lies between two of them sees what comes back before the second's rule, and windows that
    overlap overwrite each other: there its scores do not add up."""
    torch.manual_seed(seed)
    net, x, x0 = Adjacent().double(), torch.randn(3, 1, 6, 6).double(), torch.randn(3, 1, 6, 6).double()
    _, delta = ours.DeepLift(net).attribute(x, x0, target=1, return_convergence_delta=True)
    assert delta.abs().max() < 1e-10
    _, theirs = captum.DeepLift(net).attribute(x, x0, target=1, return_convergence_delta=True)
    assert theirs.abs().max() > 1e-6


@given(cases)
@quick
def test_deep_lift_adds_up_at_the_input_of_an_activation(case):
    """Captum reads the gradient behind its own hook there, so the activation itself goes by its slope."""
    call: dict[str, Any] = dict(target=case.target, return_convergence_delta=True, attribute_to_layer_input=True)
    _, delta = ours.LayerDeepLift(case.net, case.net.act2).attribute(case.inputs, case.baselines, **call)
    assert delta.abs().max() < 1e-10


def test_there_captums_scores_do_not():
    torch.manual_seed(0)
    net, x = Dense(4, 2, nn.Tanh, softmax=False), torch.randn(3, 4)
    call: dict[str, Any] = dict(target=1, return_convergence_delta=True, attribute_to_layer_input=True)
    assert captum.LayerDeepLift(net, net.act2).attribute(x, **call)[1].abs().max() > 1e-3


class Shared(nn.Module):
    """One ReLU, in place or not, used wherever there is one."""

    def __init__(self, *, copies: int, inplace: bool) -> None:
        super().__init__()
        self.relus = nn.ModuleList([nn.ReLU(inplace=inplace) for _ in range(copies)])
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)])

    def forward(self, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers[:2]):
            x = self.relus[i % len(self.relus)](layer(x))
        return self.layers[2](x)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("name", ["DeepLift", "LRP", "GuidedBackprop", "Deconvolution"])
def test_a_module_used_twice_is_as_two_modules(name, inplace):
    """Captum refuses it for DeepLift, and for LRP where the module has weights; two modules are its answer to ours."""
    for seed in range(15):
        torch.manual_seed(seed)
        once, twice = Shared(copies=2, inplace=inplace), Shared(copies=1, inplace=inplace)
        twice.load_state_dict(once.state_dict())
        x = torch.randn(3, 4)
        expected = getattr(captum, name)(once).attribute(x, target=1)
        same(getattr(ours, name)(twice).attribute(x, target=1), expected)


def test_functions_and_operators_are_covered_as_modules_are():
    torch.manual_seed(0)
    net = Dense(4, 3, nn.ReLU, softmax=False)

    def functional(a: Tensor, b: Tensor) -> Tensor:
        hidden = torch.nn.functional.linear(a, net.left.weight, net.left.bias) + net.right(b)
        hidden = net.mid(hidden.clamp(min=0) if False else torch.relu(hidden))
        return net.last(hidden.relu_())

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return functional(a, b)

    inputs = (torch.randn(2, 4), torch.randn(2, 3))
    for name in ("DeepLift", "LRP", "GuidedBackprop", "Deconvolution"):
        got = getattr(ours, name)(Functional()).attribute(inputs, target=1)
        same(got, getattr(captum, name)(net).attribute(inputs, target=1))


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


# Errors, and what is left behind --------------------------------------------------------------------------------------


def test_errors_are_of_captums_types():
    net, x = Dense(3, 2, nn.ReLU, softmax=False), torch.randn(2, 4)
    for wrong in (0.5, x[:1], None):
        with pytest.raises(AssertionError):
            captum.DeepLiftShap(net).attribute(x, wrong, target=1)
        with pytest.raises(AssertionError, match="several rows"):
            ours.DeepLiftShap(net).attribute(x, wrong, target=1)
    with pytest.raises(AssertionError, match="torch module"):
        ours.GuidedBackprop(lambda x: x)
    with pytest.raises(AssertionError, match="custom_attribution_func"):
        ours.DeepLift(net).attribute(x, target=1, custom_attribution_func=lambda a, b, c, d: a)
    net.mid.rule = "gamma"
    for library in (captum, ours):
        with pytest.raises(TypeError):
            library.LRP(net)
    del net.mid.rule

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(4, 3, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.rnn(x)[0][:, -1]

    for library in (captum, ours):
        with pytest.raises(TypeError):
            library.LRP(Recurrent()).attribute(torch.randn(2, 3, 4), target=1)
    with pytest.raises(NoRule, match="'lstm' in LSTM"):
        ours.LRP(Recurrent()).attribute(torch.randn(2, 3, 4), target=1)
    with pytest.raises(NotImplementedError):
        ours.LRP(net).attribute_future()


ASKED: dict[str, Any] = {
    "GuidedBackprop": lambda net, x: ours.GuidedBackprop(net).attribute(x, 1),
    "Deconvolution": lambda net, x: ours.Deconvolution(net).attribute(x, 1),
    "DeepLift": lambda net, x: ours.DeepLift(net).attribute(x, target=1),
    "DeepLiftShap": lambda net, x: ours.DeepLiftShap(net).attribute(x, x.flip(0), target=1),
    "LRP": lambda net, x: ours.LRP(net).attribute(x, target=1, verbose=True),
    "LayerDeepLift": lambda net, x: ours.LayerDeepLift(net, net.mid).attribute(x, target=1),
    "LayerDeepLiftShap": lambda net, x: ours.LayerDeepLiftShap(net, net.mid).attribute(x, x.flip(0), target=1),
    "LayerLRP": lambda net, x: ours.LayerLRP(net, net.mid).attribute(x, target=1),
    "LayerGradCam": lambda net, x: ours.LayerGradCam(net, net.left).attribute(x, 1),
    "GuidedGradCam": lambda net, x: ours.GuidedGradCam(net, net.left).attribute(x, 1),
    "NeuronDeepLift": lambda net, x: ours.NeuronDeepLift(net, net.last).attribute(x, 1),
    "NeuronDeepLiftShap": lambda net, x: ours.NeuronDeepLiftShap(net, net.last).attribute(x, 1, x.flip(0)),
    "NeuronGuidedBackprop": lambda net, x: ours.NeuronGuidedBackprop(net, net.last).attribute(x, 1),
    "NeuronDeconvolution": lambda net, x: ours.NeuronDeconvolution(net, net.last).attribute(x, 1),
}


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("name", ASKED)
def test_nothing_is_left_behind(name, fails):
    torch.manual_seed(0)
    net, x = Convolving(2, 3, nn.ReLU, flat=False), torch.randn(2, 2, 5, 5)
    net.wide.rule = GammaRule()
    before, kept = fingerprint(net), x.clone()

    def explode(*_: Any) -> None:
        raise ZeroDivisionError

    if fails:
        with attached([lambda: net.wide.register_forward_hook(explode)]), pytest.raises(ZeroDivisionError):
            ASKED[name](net, x)
    else:
        ASKED[name](net, x)
    assert fingerprint(net) == before
    assert torch.equal(x, kept)
    assert not x.requires_grad
    hooks = torch.nn.modules.module
    assert not hooks._global_forward_hooks
    assert not hooks._global_forward_pre_hooks
    with torch.enable_grad(), frozen_model(net):  # gradients flow as they did
        z = x.clone().requires_grad_()
        plain = torch.autograd.grad(net(z)[:, 1].sum(), z)[0]
    torch.testing.assert_close(ours.Saliency(net).attribute(x, 1, abs=False), plain)
