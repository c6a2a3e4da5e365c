"""Models on several devices, as far as a machine with one shows it.

- Offloaded: weights are on "meta", and are brought for the time of a module's forward pass by another parameter, as
  accelerate's `device_map="…offload"` does (accelerate itself is no dependency; `Offloaded` is what its hook does).
- Two logical devices: shapes and devices are real, numbers are not (FakeTensorMode), so tensors that meet on two
  devices raise; where the way through a method depends on numbers it cannot be walked so: those are left out.
- DataParallel: replicas in threads of their own.

What one machine does not show: kernels of an accelerator, copies between two of them, their out-of-memory.
"""

import copy
import threading
from contextlib import contextmanager

import captum.attr as captum
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

import xai_nlp
import xai_nlp.attr as ours
from tests.attr.drawn import Convolutional, Linear
from xai_nlp.hooks.model_state import fingerprint


class Offloaded:
    """A module's forward, with weights that are nowhere before it and after it."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.forward = module, module.forward
        self.weights = {name: p.detach().clone() for name, p in module.named_parameters(recurse=False)}
        self.put(self.weights, "meta")
        module.forward = self

    def put(self, weights: dict[str, Tensor], device: str) -> None:
        for name, weight in weights.items():
            wanted = getattr(self.module, name).requires_grad
            setattr(self.module, name, nn.Parameter(weight.to(device), requires_grad=wanted))

    def __call__(self, *args, **kwargs):
        self.put(self.weights, "cpu")
        try:
            return self.forward(*args, **kwargs)
        finally:
            self.put(self.weights, "meta")


def offloaded(model: nn.Module, names=None) -> nn.Module:
    """A copy whose modules with weights of their own, or those that are named, are offloaded."""
    made = copy.deepcopy(model)
    for name, module in made.named_modules():
        if (names is None or name in names) and next(module.parameters(recurse=False), None) is not None:
            Offloaded(module)
    return made


ASKED = {
    "Saliency": ([], {"target": 1}),
    "IntegratedGradients": ([], {"target": 1}),
    "DeepLift": ([], {"target": 1}),
    "LRP": ([], {"target": 1}),
    "GuidedBackprop": ([], {"target": 1}),
    "FeatureAblation": ([], {"target": 1}),
    "ShapleyValueSampling": ([], {"target": 1, "n_samples": 2}),
    "Lime": ([], {"target": 1, "n_samples": 10}),
    "LayerActivation": (["mid"], {}),
    "LayerIntegratedGradients": (["mid"], {"target": 1}),
    "LayerConductance": (["mid"], {"target": 1}),
    "LayerDeepLift": (["mid"], {"target": 1}),
    "LayerLRP": (["mid"], {"target": 1}),
    "LayerFeatureAblation": (["mid"], {"target": 1}),
    "LayerGradCam": (["mid"], {"target": 1}),
    "GuidedGradCam": (["mid"], {"target": 1}),
    "NeuronGradient": (["last"], {"neuron_selector": 0}),
    "NeuronConductance": (["last"], {"neuron_selector": 0, "target": 1}),
    "NeuronFeatureAblation": (["last"], {"neuron_selector": 0}),
}


def asked(lib, name, net, x, layers_of=None):
    make, how = ASKED[name]
    torch.manual_seed(0)
    return getattr(lib, name)(net, *(getattr(layers_of or net, layer) for layer in make)).attribute(x, **how)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Convolutional()


@pytest.mark.parametrize("names", [None, {"mid"}], ids=["all", "one layer"])
@pytest.mark.parametrize("name", ASKED)
def test_offloaded_models_are_explained_alike(name, names, net):
    x = torch.randn(3, 1, 3, 3)
    away = offloaded(net, names)
    away.left.weight.requires_grad_(False)  # a mixed state
    before = {n: (p.device, p.requires_grad) for n, p in away.named_parameters()}
    torch.testing.assert_close(asked(ours, name, away, x), asked(ours, name, net, x))
    assert {n: (p.device, p.requires_grad) for n, p in away.named_parameters()} == before
    assert before["mid.weight"] == (torch.device("meta"), True)


HOW = [
    {},
    {"baseline": "mean", "steps": 8},
    {"attention": True, "layers": True},
    {"method": "occlusion"},
    {"method": "lrp"},
    {"method": "deep_lift"},
    {"method": "attention_norms"},
    {"method": "attention_integrated_gradients"},
]


@pytest.mark.parametrize("how", HOW, ids=str)
def test_offloaded_models_are_explained_by_tasks(how, sentiment):
    away = offloaded(sentiment.model)
    why = xai_nlp.load(away, sentiment.tokenizer).explain("a gripping film", **how)
    there = sentiment.explain("a gripping film", **how)
    assert why.scores == pytest.approx(there.scores, abs=1e-5)
    assert why.prediction == there.prediction
    assert all(p.is_meta and p.requires_grad for p in away.parameters())


# Two logical devices --------------------------------------------------------------------------------------------------


def layer(wide: int, narrow: int, device: str) -> nn.Linear:
    """A linear layer without the draw of its weights, which has no meaning here."""
    made = nn.Linear(1, 1)
    made.weight, made.bias = (nn.Parameter(torch.empty(*s, device=device)) for s in ((narrow, wide), (narrow,)))
    return made


class Split(nn.Module):
    """A first part on one device, a second on another."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__()
        self.left, self.act = layer(4, 5, one), nn.ReLU()
        self.mid, self.last = layer(5, 5, other), layer(5, 3, other)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.mid(self.act(self.left(x)).to(self.mid.weight.device)))


@contextmanager
def split(one: str, other: str):
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield Split(one, other), torch.ones(3, 4, device=one)


ORDERS = [("cpu", "meta"), ("meta", "cpu")]


@pytest.mark.parametrize("devices", ORDERS)
def test_devices_that_meet_are_noticed(devices):
    with split(*devices) as (net, x), pytest.raises(RuntimeError, match="device"):
        net.last(net.left(x))


#: name -> layers and arguments
WALKED = {
    "Saliency": ([], {}),
    "InputXGradient": ([], {}),
    "IntegratedGradients": ([], {"internal_batch_size": 5, "return_convergence_delta": True}),
    "GuidedBackprop": ([], {}),
    "LRP": ([], {}),
    "LayerActivation": (["mid"], {}),
    "LayerGradientXActivation": (["mid"], {}),
    "LayerIntegratedGradients": (["mid"], {"return_convergence_delta": True}),
    "InternalInfluence": (["mid"], {}),
    "LayerLRP": (["mid"], {}),
    "LayerGradCam": (["mid"], {}),
    "NeuronGradient": (["mid"], {"neuron_selector": 0}),
    "NeuronIntegratedGradients": (["mid"], {"neuron_selector": 0}),
    "NeuronConductance": (["mid"], {"neuron_selector": 0}),
}


@pytest.mark.parametrize("devices", ORDERS)
@pytest.mark.parametrize("name", WALKED)
def test_points_of_a_path_follow_each_modules_device(name, devices):
    layers, how = WALKED[name]
    with split(*devices) as (net, x):
        if name != "LayerActivation" and (not name.startswith("Neuron") or name == "NeuronConductance"):
            how = {**how, "target": torch.tensor([0, 1, 2], device=devices[0])}  # the output is on the second
        scores = getattr(ours, name)(net, *(getattr(net, n) for n in layers)).attribute(x, **how)
        scores = scores[0] if isinstance(scores, tuple) else scores
        assert scores.device.type == devices[bool(layers) and not name.startswith("Neuron")]
        assert len(scores) == 3


@pytest.mark.parametrize("devices", ORDERS)
def test_layers_on_two_devices_at_once(devices):
    with split(*devices) as (net, x):
        ig = ours.LayerIntegratedGradients(net, [net.left, net.mid])
        scores = ig.attribute(x, target=1)
        assert tuple(s.device.type for s in scores) == devices


# DataParallel ---------------------------------------------------------------------------------------------------------


class Threads(nn.DataParallel):
    """DataParallel as it is on two devices: each half of the batch in a thread of its own; here both on the CPU."""

    def forward(self, *inputs: Tensor) -> Tensor:
        found: dict[int, Tensor] = {}
        learning = torch.is_grad_enabled()

        def work(number: int, *half: Tensor) -> None:
            with torch.set_grad_enabled(learning):
                found[number] = self.module(*half)

        halves = zip(*(t.chunk(2) for t in inputs), strict=True)
        threads = [threading.Thread(target=work, args=(n, *half)) for n, half in enumerate(halves)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return torch.cat([found[n] for n in sorted(found)])


@pytest.mark.filterwarnings("ignore::UserWarning")  # Captum's
@pytest.mark.parametrize("name", ASKED)
def test_data_parallel_models_are_explained_as_what_they_run(name, net):
    x = torch.randn(4, 1, 3, 3)
    parallel = Threads(net)
    before = fingerprint(parallel)
    got = asked(ours, name, parallel, x, layers_of=net)
    assert fingerprint(parallel) == before
    torch.testing.assert_close(got, asked(captum, name, net, x).detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", [c for c in ours.__all__ if c.startswith(("Layer", "Neuron")) or c == "GuidedGradCam"])
def test_device_ids_are_taken(kind):
    """Captum's numbers of devices, by which it orders what replicas gave out: here order follows the batch."""
    cls = getattr(ours, kind)
    if "device_ids" in cls.__init__.__annotations__:
        net = Threads(Linear(nn.ReLU))
        assert isinstance(cls(net, net.module.left, device_ids=[0, 1]), cls)
