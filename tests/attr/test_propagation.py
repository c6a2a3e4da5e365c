"""Gradient rules of all kinds: functions and shared modules, errors, and models that come back as they were."""

from typing import Any

import captum.attr as captum
import pytest
import torch
from torch import Tensor, nn

import xai_nlp.attr as ours
from tests.attr.propagation_cases import Convolving, Dense, same
from xai_nlp.hooks.model_state import fingerprint, frozen_model
from xai_nlp.hooks.scope import attached
from xai_nlp.methods.propagation.rules import GammaRule, NoRule

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Captum's


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
