"""NoiseTunnel and gradient SHAP against Captum, with the same draws: the same seeds give the same numbers."""

import inspect
import warnings
from typing import Any

import captum.attr as captum
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import xai_nlp.attr as ours
from tests.attr.gradient_cases import LAYERS, SELECTORS, SINGLE, Case, cases, quick, same
from tests.attr.networks import Net
from xai_nlp.hooks.model_state import fingerprint

TYPES = ["smoothgrad", "smoothgrad_sq", "vargrad"]


def seeded(seed: int, work: Any) -> Any:
    torch.manual_seed(seed)
    np.random.seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return work()


def both(case: Case, make: Any, call: Any, tolerance: float | None = None) -> None:
    """`make(library)` builds the attribution in each library, `call(attribution)` asks it."""
    if isinstance(case.net.act, torch.nn.ReLU):
        case.net.act.inplace = False  # Captum cannot re-enter before an operation in place; ours can
    got, expected = (seeded(case.seed, lambda lib=lib: call(make(lib))) for lib in (ours, captum))
    same(got, expected, case.dtype, tolerance)


tunnels = st.fixed_dictionaries(
    {
        "nt_type": st.sampled_from(TYPES),
        "nt_samples": st.integers(1, 6),
        "nt_samples_batch_size": st.sampled_from([None, 1, 2, 4]),
        "stdevs": st.sampled_from([0.0, 0.1, 1.0]),
    }
)


def close(case: Case, tunnel: dict[str, Any]) -> float:
    """In float32 Captum's variance is a difference of large numbers."""
    return 1e-5 if tunnel["nt_type"] == "vargrad" and case.dtype == torch.float32 else SINGLE


def at(case: Case) -> dict[str, Any]:
    return {"target": case.target, "additional_forward_args": case.extra}


def tunnelled(case: Case, tunnel: dict[str, Any], name: str, *make: Any, **how: Any) -> None:
    both(
        case,
        lambda lib: lib.NoiseTunnel(getattr(lib, name)(case.net, *make)),
        lambda nt: nt.attribute(case.inputs, **tunnel, **how),
        close(case, tunnel),
    )


@given(cases, tunnels, st.booleans())
@quick
def test_tunnel_over_gradients(case, tunnel, each):
    if each:
        tunnel["stdevs"] = (0.3, 0.1) if case.tuple_in else (0.3,)
    tunnelled(case, tunnel, "Saliency", abs=False, **at(case))
    tunnelled(case, tunnel, "InputXGradient", **at(case))


@given(cases, tunnels, st.booleans(), st.booleans())
@quick
def test_tunnel_over_integrated_gradients(case, tunnel, delta, draw):
    tunnel = {**tunnel, "draw_baseline_from_distrib": draw}
    how = {**at(case), **case.steps, "baselines": case.baselines, "return_convergence_delta": delta}
    tunnelled(case, tunnel, "IntegratedGradients", **how)


@given(cases, tunnels, st.sampled_from(["one", "two tensors", "last"]), st.booleans(), st.booleans())
@quick
def test_tunnel_over_layers(case, tunnel, layer, layer_input, delta):
    module = LAYERS[layer](case.net)
    tunnel = {**tunnel, "attribute_to_layer_input": layer_input}
    path = {**at(case), **case.steps, "baselines": case.baselines}
    tunnelled(case, tunnel, "LayerIntegratedGradients", module, **path, return_convergence_delta=delta)
    tunnelled(case, tunnel, "LayerConductance", module, **path, return_convergence_delta=delta)
    tunnelled(case, tunnel, "InternalInfluence", module, **path)
    tunnelled(case, tunnel, "LayerGradientXActivation", module, **at(case))
    tunnelled(case, tunnel, "LayerActivation", module, additional_forward_args=case.extra)


@given(cases, tunnels, st.sampled_from(sorted(SELECTORS)))
@quick
def test_tunnel_over_neurons(case, tunnel, selector):
    module = case.net.act if case.tuple_in else case.net.first
    how = {"neuron_selector": SELECTORS[selector], "additional_forward_args": case.extra}
    path = {**how, **case.steps, "baselines": case.baselines}
    tunnelled(case, tunnel, "NeuronGradient", module, **how)
    tunnelled(case, tunnel, "NeuronIntegratedGradients", module, **path)
    tunnelled(case, tunnel, "NeuronConductance", module, **path, target=case.target)


@given(cases, tunnels, st.booleans())
@quick
def test_tunnel_over_perturbations(case, tunnel, each):
    inputs = case.inputs if case.tuple_in else (case.inputs,)
    masks: Any = tuple(
        (torch.arange(x.numel()).view(x.shape) // 2) % 4 if each else torch.arange(x.shape[1])[None] % 2 for x in inputs
    )
    how = {**at(case), "baselines": case.baselines}
    tunnelled(case, tunnel, "FeatureAblation", **how, feature_mask=masks if case.tuple_in else masks[0])
    tunnelled(case, tunnel, "Occlusion", **how, sliding_window_shapes=((2,), (1,)) if case.tuple_in else (2,))


def over_any() -> list[str]:
    """The names of all attributions of inputs that both have."""
    shared = (name for name in sorted(set(captum.__all__) & set(ours.__all__)) if name != "NoiseTunnel")
    return [name for name in shared if "inputs" in arguments(getattr(ours, name), "attribute")]


def arguments(cls: Any, method: str) -> dict[str, Any]:
    return dict(inspect.signature(getattr(cls, method)).parameters) if hasattr(cls, method) else {}


#: Draw more than noise and baselines, each library in a way of its own.
DRAWING = {"Lime", "LimeBase", "KernelShap", "FeaturePermutation", "LayerFeaturePermutation", "ShapleyValueSampling"}


class Small(nn.Module):
    """What every method can explain: convolution, ReLU, linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.out = nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.act(self.conv(x)).flatten(1))


@pytest.mark.parametrize("name", over_any())
def test_tunnel_over_any(name):
    """Names are found, not listed: what is added is tested."""
    if name == "LimeBase" or name.startswith("LLM"):
        return  # need functions of one's own, or a language model
    if not hasattr(getattr(captum, name).attribute, "__wrapped__"):
        return  # Captum's tunnel cannot enter
    torch.manual_seed(0)
    net, x = Small(), torch.randn(2, 1, 3, 3)
    given = {
        "target": 1,
        "neuron_selector": (0, 1, 1),
        "baselines": x.flip(0) / 2,
        "sliding_window_shapes": (1, 2, 2),
        "feature_mask": torch.arange(9).view(1, 1, 3, 3) // 3,
    }
    takes = {**arguments(getattr(ours, name), "__init__"), **arguments(getattr(ours, name), "attribute")}
    how = {key: value for key, value in given.items() if key in takes}
    if name.startswith("Layer"):
        how.pop("feature_mask", None)  # would be of the layer's shape

    def run(lib: Any) -> Any:
        method = getattr(lib, name)(net, *([net.conv] if "layer" in takes else []))
        return lib.NoiseTunnel(method).attribute(x, nt_samples=3, nt_samples_batch_size=2, stdevs=0.2, **how)

    got = seeded(0, lambda: run(ours))
    if name in DRAWING:
        assert got.shape == (net.conv(x).shape if name.startswith("Layer") else x.shape)
    else:
        same(got, seeded(0, lambda: run(captum)), torch.float32, 2e-6)


def references(case: Case, kind: str, count: int) -> Any:
    """Baselines to draw from: tensors, or functions that give them."""
    some: Any = tuple(torch.randn(count, x.shape[1], dtype=case.dtype) for x in case.whole)
    some = some if case.tuple_in else some[0]
    return {"tensors": some, "function": lambda: some, "function of the inputs": lambda inputs: some}[kind]


kinds = st.sampled_from(["tensors", "function", "function of the inputs"])
draws = st.fixed_dictionaries({"n_samples": st.integers(1, 8), "stdevs": st.sampled_from([0.0, 0.2])})


def drawn(case: Case, kind: str, count: int, how: dict[str, Any]) -> dict[str, Any]:
    case.whole = case.inputs if case.tuple_in else (case.inputs,)
    return {**how, "baselines": references(case, kind, count)}


@given(cases, kinds, st.integers(1, 5), draws, st.booleans(), st.booleans())
@quick
def test_gradient_shap(case, kind, count, how, multiply, delta):
    how = {**drawn(case, kind, count, how), **at(case), "return_convergence_delta": delta}
    both(case, lambda lib: lib.GradientShap(case.net, multiply), lambda gs: gs.attribute(case.inputs, **how), SINGLE)


layers = st.sampled_from(["one", "two tensors", "last"])


@given(cases, layers, kinds, st.integers(1, 5), draws, st.booleans(), st.booleans(), st.booleans())
@quick
def test_layer_gradient_shap(case, layer, kind, count, how, multiply, delta, layer_input):
    how = {**drawn(case, kind, count, how), **at(case), "return_convergence_delta": delta}
    how["attribute_to_layer_input"] = layer_input
    both(
        case,
        lambda lib: lib.LayerGradientShap(case.net, LAYERS[layer](case.net), multiply_by_inputs=multiply),
        lambda gs: gs.attribute(case.inputs, **how),
        SINGLE,
    )


@given(cases, st.sampled_from(sorted(SELECTORS)), kinds, st.integers(1, 5), draws, st.booleans(), st.booleans())
@quick
def test_neuron_gradient_shap(case, selector, kind, count, how, multiply, neuron_input):
    how = {**drawn(case, kind, count, how), "additional_forward_args": case.extra}
    how["attribute_to_neuron_input"] = neuron_input
    module = case.net.act if case.tuple_in else case.net.first
    both(
        case,
        lambda lib: lib.NeuronGradientShap(case.net, module, multiply_by_inputs=multiply),
        lambda gs: gs.attribute(case.inputs, SELECTORS[selector], **how),
        SINGLE,
    )


# What Captum refuses, and what is handed back ------------------------------------------------------------------------

X = torch.ones(2, 4)
REFUSED = {
    "unknown type": lambda lib, net: lib.NoiseTunnel(lib.Saliency(net)).attribute(X, nt_type="smooth", target=0),
    "too many stdevs": lambda lib, net: lib.NoiseTunnel(lib.Saliency(net)).attribute(X, stdevs=(0.1, 0.1), target=0),
    "text for a stdev": lambda lib, net: lib.NoiseTunnel(lib.Saliency(net)).attribute(X, stdevs="1", target=0),
    "list of inputs": lambda lib, net: lib.NoiseTunnel(lib.Saliency(net)).attribute([X], target=0),
    "too few targets": lambda lib, net: lib.NoiseTunnel(lib.Saliency(net)).attribute(X, target=[0, 1, 2]),
    "no target": lambda lib, net: lib.NoiseTunnel(lib.Saliency(net)).attribute(X),
    "baseline's shape": lambda lib, net: lib.NoiseTunnel(lib.IntegratedGradients(net)).attribute(
        X, baselines=X[:, :3], target=0
    ),
    "no baselines": lambda lib, net: lib.GradientShap(net).attribute(X, None, target=0),
    "a number to draw from": lambda lib, net: lib.GradientShap(net).attribute(X, 0, target=0),
    "too few baselines": lambda lib, net: lib.GradientShap(net).attribute((X, X[:, :3]), X, target=0),
    "shape to draw from": lambda lib, net: lib.GradientShap(net).attribute(X, X[:, :3], target=0),
}


@pytest.mark.parametrize("why", sorted(REFUSED))
def test_refuses_what_captum_refuses_with_an_error_of_its_type(why):
    net = Net(3, 2, smooth=True)
    for lib in (captum, ours):
        with pytest.raises(AssertionError):
            REFUSED[why](lib, net)


RUNS = {
    "NoiseTunnel": lambda net, x, **how: ours.NoiseTunnel(ours.IntegratedGradients(net)).attribute(x, target=1, **how),
    "GradientShap": lambda net, x, **how: ours.GradientShap(net).attribute(x, x.flip(0), target=1, **how),
    "LayerGradientShap": lambda net, x, **how: ours.LayerGradientShap(net, net.first).attribute(
        x, x.flip(0), target=1, **how
    ),
    "NeuronGradientShap": lambda net, x, **how: ours.NeuronGradientShap(net, net.out).attribute(x, 0, x.flip(0), **how),
}


@pytest.mark.parametrize("name", sorted(RUNS))
@pytest.mark.parametrize("fails", [False, True])
def test_hands_the_model_and_the_inputs_back(name, fails):
    net, x = Net(3, 2, smooth=False), torch.randn(2, 4)
    before, kept = fingerprint(net), x.clone()
    if fails:
        with pytest.raises(TypeError):
            RUNS[name](net, x, additional_forward_args=("not a tensor",))
    else:
        RUNS[name](net, x)
    assert fingerprint(net) == before
    assert torch.equal(x, kept) and not x.requires_grad


def test_half_precision_stays_half():
    scores = ours.NoiseTunnel(ours.Saliency(lambda x: x.square().sum(1))).attribute(torch.ones(2, 3).bfloat16())
    assert scores.dtype == torch.bfloat16


def test_a_distribution_of_more_baselines_than_inputs_reaches_the_method():
    """Captum refuses baselines that have neither one row nor the inputs'; what is not a row for each stays as it is."""
    net = Net(3, 2, smooth=True)
    scores = ours.NoiseTunnel(ours.GradientShap(net)).attribute(X, stdevs=0.1, baselines=torch.randn(5, 4), target=0)
    assert scores.shape == X.shape


@pytest.mark.parametrize("name", ["GradientShap", "LayerGradientShap", "NeuronGradientShap"])
def test_internal_batch_size_changes_nothing_but_the_rows_of_a_pass(name):
    """The rows are counted; without the bound, scores and deltas are Captum's."""
    torch.manual_seed(0)
    net, x, baselines, rows = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double(), [], [], []
    net.register_forward_pre_hook(lambda module, args: rows.append(len(args[0])))
    x, baselines = torch.randn(3, 4, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)
    layer = () if name == "GradientShap" else (net[1],)
    options = (
        {"neuron_selector": 2} if name == "NeuronGradientShap" else {"target": 1, "return_convergence_delta": True}
    )

    def scores(lib, **bound):
        torch.manual_seed(1)
        np.random.seed(1)
        found = getattr(lib, name)(net, *layer).attribute(
            x, baselines=baselines, n_samples=5, stdevs=0.1, **options, **bound
        )
        return found if isinstance(found, tuple) else (found,)

    expected = [t.detach() for t in scores(captum)]
    for size in (None, 1, 4, 7, 15, 100):
        rows.clear()
        got = scores(ours, internal_batch_size=size)
        assert size is None or max(rows) <= size
        for own, reference in zip(got, expected, strict=True):
            torch.testing.assert_close(own, reference, atol=1e-9, rtol=0)
    with pytest.raises(ValueError, match="at least 1"):
        scores(ours, internal_batch_size=0)
