"""Kinds of attribution, convergence deltas, and refusals that all methods by gradients share."""

import inspect
import warnings
from typing import Any

import captum.attr as captum
import numpy as np
import pytest
import torch
from hypothesis import given

import xai_nlp.attr as ours
from tests.attr.gradient_cases import cases, quick, same
from tests.attr.helper_cases import BOTH, drawn, seeds
from tests.attr.networks import Net, NumberNet


@given(cases)
@quick
def test_convergence_delta(case):
    scores = torch.randn_like(case.inputs[0] if case.tuple_in else case.inputs)
    scores = (scores, torch.randn_like(case.inputs[1])) if case.tuple_in else scores
    found = [
        lib.GradientAttribution(case.net).compute_convergence_delta(
            scores, case.baselines, case.inputs, case.target, case.extra
        )
        for lib in BOTH
    ]
    same(found[1], found[0], case.dtype)


@given(seeds)
@quick
def test_interpolate(seed):
    dice = drawn(seed)
    dims = dice.choice([1, 2, 3])
    scores = torch.randn(2, 3, *(dice.randint(1, 5) for _ in range(dims)))
    size = dice.choice([dice.randint(1, 9), tuple(dice.randint(1, 9) for _ in range(dims))])
    mode = dice.choice(["nearest", "area", {1: "linear", 2: "bilinear", 3: "trilinear"}[dims]])
    found = [lib.LayerAttribution.interpolate(scores, size, mode) for lib in BOTH]
    assert torch.equal(*found)


KINDS = sorted(
    name
    for name in set(captum.__all__) & set(ours.__all__)
    if inspect.isclass(getattr(captum, name)) and issubclass(getattr(captum, name), captum.Attribution)
)


ABOVE = ["Attribution", "GradientAttribution", "PerturbationAttribution", "LayerAttribution", "NeuronAttribution"]


@pytest.mark.parametrize("name", KINDS)
def test_kinds(name):
    own, reference = getattr(ours, name), getattr(captum, name)
    assert own.get_name() == reference.get_name()
    for kind in ABOVE:
        if issubclass(reference, getattr(captum, kind)):
            assert issubclass(own, getattr(ours, kind)), kind


def made(lib: Any, name: str, net: Net) -> Any:
    """An attribution of that name."""
    if name in ("NoiseTunnel", "DataLoaderAttribution"):
        return getattr(lib, name)(lib.FeatureAblation(net))
    layer = "layer" in inspect.signature(getattr(lib, name).__init__).parameters
    return getattr(lib, name)(net, net.first) if layer else getattr(lib, name)(net)


@pytest.mark.parametrize("name", [n for n in KINDS if "Grad" in n or "Conductance" in n or n.endswith("Attribution")])
def test_kinds_say_what_captums_say(name):
    if name == "GuidedGradCam" or name.startswith(("LLM", "RemoteLLM")):
        return  # need more than a layer
    net = Net(3, 2, smooth=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference, own = (made(lib, name, net) for lib in BOTH)
    assert own.has_convergence_delta() == reference.has_convergence_delta()
    assert own.multiplies_by_inputs == reference.multiplies_by_inputs


@pytest.mark.parametrize("name", ["Saliency", "InputXGradient", "IntegratedGradients", "GradientShap", "NoiseTunnel"])
def test_there_is_no_future(name):
    for lib in BOTH:
        with pytest.raises(NotImplementedError):
            made(lib, name, Net(3, 2, smooth=True)).attribute_future()


X, Y = torch.ones(2, 4), torch.ones(2, 3)


REFUSED_ARGUMENTS = {
    "integration": lambda lib, net: lib.IntegratedGradients(net).attribute(X, target=0, method="simpson"),
    "rows of baselines": lambda lib, net: lib.IntegratedGradients(net).attribute(X, torch.ones(3, 4), target=0),
    "number of baselines": lambda lib, net: lib.IntegratedGradients(net).attribute((X, Y), X, target=0),
    "list of inputs": lambda lib, net: lib.Saliency(net).attribute([X], target=0),
    "targets": lambda lib, net: lib.Saliency(net).attribute(X, target=[0, 1, 0]),
    "no target": lambda lib, net: lib.InputXGradient(net).attribute(X),
    "target of too many axes": lambda lib, net: lib.Saliency(net).attribute(X, target=(0, 0)),
    "kind of target": lambda lib, net: lib.Saliency(net).attribute(X, target="0"),
    "neuron of several tensors": lambda lib, net: lib.NeuronGradient(net, net.pair).attribute(X, 0),
    "axes of a neuron": lambda lib, net: lib.NeuronGradient(net, net.first).attribute(X, (0, 0)),
    "rows of scores": lambda lib, net: lib.IntegratedGradients(net).compute_convergence_delta(X[:1], X, X, 0),
    "layer's integration": lambda lib, net: lib.LayerConductance(net, net.first).attribute(X, target=0, method="?"),
    "layer's baselines": lambda lib, net: lib.LayerIntegratedGradients(net, net.first).attribute(X, Y, target=0),
}


@pytest.mark.filterwarnings("ignore:Input Tensor")
@pytest.mark.parametrize("why", sorted(REFUSED_ARGUMENTS))
def test_gradients_refuse_what_captum_refuses_with_an_error_of_its_type(why):
    net = Net(3, 2, smooth=True)
    for lib in BOTH:
        with pytest.raises(AssertionError):
            REFUSED_ARGUMENTS[why](lib, net)


def test_internal_batch_size_bounds_the_rows_of_a_convergence_delta_too():
    rows = []

    def forward(x):
        rows.append(len(x))
        return (x**3).sum(1)

    x = torch.randn(5, 4).double()
    options = {"n_steps": 3, "internal_batch_size": 2, "return_convergence_delta": True}
    scores, delta = ours.IntegratedGradients(forward).attribute(x, **options)
    assert max(rows) <= 2
    torch.testing.assert_close(delta, scores.sum(1) - (x**3).sum(1))


# Inputs of one number for each example --------------------------------------------------------------------------------

NUMBERS, START = torch.linspace(-1, 2, 4).double(), torch.tensor([0.3, -0.2, 0.1, 0.5]).double()
MANY = torch.tensor([0.2, -0.4, 1.0, 0.7, -1.0]).double()

OF_GRADIENTS = [
    name for name in KINDS if issubclass(getattr(captum, name), captum.GradientAttribution) and name != "LayerLRP"
]
OF_NUMBERS = [n for n in OF_GRADIENTS if not n.endswith("Attribution") and "Cam" not in n]
#: Under noise without those that take a distribution and LRP, which Captum refuses there.
TUNNELLED = [
    (n, t) for n in OF_NUMBERS for t in (None, "smoothgrad", "vargrad") if t is None or not n.endswith(("Shap", "LRP"))
]


def of_numbers(lib: Any, name: str, layer: str | None, tunnel: str | None, **options: Any) -> Any:
    """Scores of four numbers, and their delta where there is one; from the same seeds."""
    torch.manual_seed(2)
    np.random.seed(2)
    net = NumberNet().double()
    method = getattr(lib, name)(net, *([] if layer is None else [getattr(net, layer)]))
    if name.startswith("Neuron"):
        options["neuron_selector"] = 0
    if method.has_convergence_delta() and "return_convergence_delta" in inspect.signature(method.attribute).parameters:
        options["return_convergence_delta"] = True
    if tunnel is not None:
        method, options = lib.NoiseTunnel(method), {**options, "nt_type": tunnel, "nt_samples": 3, "stdevs": 0.2}
    return method.attribute(NUMBERS, **options)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Captum's
@pytest.mark.parametrize(("name", "tunnel"), TUNNELLED)
def test_inputs_of_one_number_for_each_example(name, tunnel):
    cls = getattr(captum, name)
    layers = ["left", "act", "last"] if "layer" in inspect.signature(cls.__init__).parameters else [None]
    takes_baselines = "baselines" in inspect.signature(cls.attribute).parameters
    options = {"baselines": MANY if name.endswith("Shap") else START} if takes_baselines else {}
    for layer in layers:
        expected, scores = (of_numbers(lib, name, layer, tunnel, **options) for lib in BOTH)
        same(scores, expected, torch.float64, 1e-6)


def test_the_names_are_found():
    assert {"Saliency", "IntegratedGradients", "LayerGradientShap", "NeuronDeepLiftShap"} <= set(OF_NUMBERS)
    assert len(TUNNELLED) > 40
