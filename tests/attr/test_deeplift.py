"""DeepLIFT against Captum's, and where Captum's scores do not add up."""

from typing import Any

import captum.attr as captum
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import xai_nlp.attr as ours
from tests.attr.networks import IMAGES, TwoPools
from tests.attr.propagation_cases import Case, Convolving, Dense, both, cases, kinds, quick, same, selected

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Captum's


LAYERS = st.sampled_from(["left", "act1", "mid", "act2", "last"])


CUSTOM: dict[str, Any] = {
    "none": None,
    "one": lambda multipliers: tuple(m * 2 for m in multipliers),
    "two": lambda multipliers, inputs: tuple(m * x for m, x in zip(multipliers, inputs, strict=True)),
    "three": lambda multipliers, inputs, baselines: tuple(
        m * (x - 2 * b) for m, x, b in zip(multipliers, inputs, baselines, strict=True)
    ),
}


customs = st.sampled_from(["none", "none", "one", "two", "three"])


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
    _, reference = captum.DeepLift(net).attribute(x, x0, target=1, return_convergence_delta=True)
    assert reference.abs().max() > 1e-6


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


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("ones", [False, True])
def test_the_convolutional_net_of_captums_documentation(image, ones):
    """With ties in max pooling, against no image. In a batch ours are those of each image alone, and add up."""
    torch.manual_seed(3)
    net, x = TwoPools(ones=ones).double(), IMAGES[image].double()
    got, wanted = (lib.DeepLift(net).attribute(x, target=4, return_convergence_delta=True) for lib in (ours, captum))
    for own, reference in zip(got, wanted, strict=True):
        torch.testing.assert_close(own, reference.detach(), atol=1e-8, rtol=1e-8)
    both = torch.cat([x, torch.zeros_like(x), IMAGES["rising"]])
    scores, delta = ours.DeepLift(net).attribute(both, target=4, return_convergence_delta=True)
    torch.testing.assert_close(scores[:1], got[0])
    torch.testing.assert_close(delta, torch.zeros_like(delta), atol=1e-10, rtol=0)
    with_biases, flipped = TwoPools(ones=ones, biases=True).double(), both.flip(3)
    _, delta = ours.DeepLift(with_biases).attribute(both, flipped, target=4, return_convergence_delta=True)
    torch.testing.assert_close(delta, torch.zeros_like(delta), atol=1e-10, rtol=0)
    for name in ("conv1", "pool1", "conv2", "fc1"):
        of_layer = [lib.LayerDeepLift(net, getattr(net, name)).attribute(x, target=4) for lib in (ours, captum)]
        torch.testing.assert_close(of_layer[0], of_layer[1].detach(), atol=1e-8, rtol=1e-8)


class Functions(nn.Module):
    """What Captum's main branch has rules for, and 0.9.0 has not."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.selu, self.gelu, self.last = nn.Linear(4, 6), nn.SELU(), nn.GELU(), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.selu(self.left(x))
        hidden = hidden.exp() * self.gelu(hidden) / (1 + hidden.square())
        hidden = torch.softmax(hidden, 1) + (hidden[:, :, None] @ torch.relu(hidden)[:, None]).sum(2)
        return self.last(hidden) @ torch.ones(3, 2).to(x)


def test_functions_that_captums_main_branch_has_rules_for_add_up():
    torch.manual_seed(0)
    net, x, start = Functions().double(), torch.randn(3, 4).double(), torch.randn(3, 4).double()
    _, delta = ours.DeepLift(net).attribute(x, start, target=1, return_convergence_delta=True)
    torch.testing.assert_close(delta, torch.zeros_like(delta), atol=1e-9, rtol=0)
