"""Every name of `xai_nlp.attr` against Captum, over random networks, inputs, targets and options."""

import warnings
from typing import Any

import captum.attr as captum
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import xai_nlp.attr as ours
from tests.attr.networks import Net

TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-9}
METHODS = ["gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid"]
quick = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


class Case:
    """A network, inputs and arguments, drawn once and given to both."""

    def __init__(self, draw: Any) -> None:
        self.seed = draw(st.integers(0, 10_000))
        self.dtype = draw(st.sampled_from([torch.float32, torch.float64]))
        self.tuple_in = draw(st.booleans())
        self.batch = draw(st.integers(1, 4))
        classes = draw(st.integers(1, 4))
        torch.manual_seed(self.seed)
        self.net = Net(draw(st.integers(1, 5)), classes, smooth=draw(st.booleans())).to(self.dtype)
        a, b = (torch.randn(self.batch, n, dtype=self.dtype) for n in (4, 3))
        self.inputs = (a, b) if self.tuple_in else a
        column = draw(st.integers(0, classes - 1))
        columns = [(column + i) % classes for i in range(self.batch)]
        self.target = draw(
            st.sampled_from(
                [column, (column,), columns, torch.tensor(columns), torch.tensor(column), [(c,) for c in columns]]
                + [None] * (classes == 1)
            )
        )
        kind = draw(st.sampled_from(["none", "number", "tensor", "one row"]))
        self.baselines = {
            "none": None,
            "number": (0.5, -1) if self.tuple_in else 0.5,
            "tensor": (a.flip(0), b * 0.1) if self.tuple_in else a.flip(0) * 0.3,
            "one row": (a[:1] * 0.2, b[:1]) if self.tuple_in else a[:1] * 0.2,
        }[kind]
        extra = torch.rand(self.batch, dtype=self.dtype) + 0.5
        none = () if self.tuple_in else (None,)
        self.extra = draw(st.sampled_from([None, (*none, extra), (*none, 2.0)]))
        self.steps = dict(
            n_steps=draw(st.integers(2, 20)),
            method=draw(st.sampled_from(METHODS)),
            internal_batch_size=draw(st.sampled_from([None, 4 * self.batch, 7 * self.batch])),
        )


def same(got: Any, expected: Any, dtype: torch.dtype, tolerance: float | None = None) -> None:
    """Equal structure, shapes and values; relative to the largest score where that is above 1."""
    assert type(got) is type(expected), (type(got), type(expected))
    if isinstance(expected, torch.Tensor):
        assert got.shape == expected.shape
        scale = max(1.0, float(expected.detach().abs().max())) if expected.numel() else 1.0
        if expected.dtype != got.dtype:  # Captum's Occlusion turns float64 into float32; ours keeps it
            assert (expected.dtype, got.dtype) == (torch.float32, torch.float64)
            expected = expected.double()
        torch.testing.assert_close(got, expected.detach(), atol=(tolerance or TOLERANCE[dtype]) * scale, rtol=0)
        return
    assert len(got) == len(expected)
    for mine, theirs in zip(got, expected, strict=True):
        same(mine, theirs, dtype, tolerance)


def both(
    name: str, case: Case, *make: Any, init: dict[str, Any] | None = None, tolerance: float | None = None, **call: Any
):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = getattr(captum, name)(case.net, *make, **(init or {})).attribute(case.inputs, **call)
    got = getattr(ours, name)(case.net, *make, **(init or {})).attribute(case.inputs, **call)
    same(got, expected, case.dtype, tolerance)


cases = st.composite(lambda draw: Case(draw))()
SINGLE = 1e-6  # float64 too: Captum's weights, and its Riemann nodes, are float32


@given(cases, st.booleans(), st.booleans())
@quick
def test_integrated_gradients(case, multiply, delta):
    both(
        "IntegratedGradients", case, init={"multiply_by_inputs": multiply}, tolerance=SINGLE, baselines=case.baselines,
        target=case.target, additional_forward_args=case.extra, return_convergence_delta=delta, **case.steps,
    )  # fmt: skip


@given(cases, st.booleans())
@quick
def test_saliency_and_input_x_gradient(case, absolute):
    both("Saliency", case, target=case.target, abs=absolute, additional_forward_args=case.extra)
    both("InputXGradient", case, target=case.target, additional_forward_args=case.extra)


LAYERS = {
    "one": lambda net: net.first,
    "two tensors": lambda net: net.pair,
    "list": lambda net: [net.first, net.second],
    "nested list": lambda net: [net.first, net.pair],
    "last": lambda net: net.out,
}


@given(cases, st.sampled_from(["one", "two tensors", "list", "last"]), st.booleans(), st.booleans(), st.booleans())
@quick
def test_layer_integrated_gradients(case, layer, layer_input, multiply, delta):
    if layer == "list" and not case.tuple_in:
        layer = "one"
    if isinstance(case.net.act, torch.nn.ReLU):
        case.net.act.inplace = False  # Captum cannot re-enter before an operation in place; ours can
    both(
        "LayerIntegratedGradients", case, LAYERS[layer](case.net), init={"multiply_by_inputs": multiply},
        tolerance=SINGLE, baselines=case.baselines, target=case.target, additional_forward_args=case.extra,
        attribute_to_layer_input=layer_input, return_convergence_delta=delta, **case.steps,
    )  # fmt: skip


@given(cases, st.sampled_from(["one", "two tensors", "last"]), st.booleans(), st.booleans())
@quick
def test_layer_conductance_and_internal_influence(case, layer, layer_input, delta):
    module = LAYERS[layer](case.net)
    shared = dict(
        baselines=case.baselines, target=case.target, additional_forward_args=case.extra,
        attribute_to_layer_input=layer_input, tolerance=SINGLE, **case.steps,
    )  # fmt: skip
    both("InternalInfluence", case, module, **shared)
    both("LayerConductance", case, module, return_convergence_delta=delta, **shared)


@given(cases, st.sampled_from(["one", "two tensors", "nested list"]), st.booleans(), st.booleans(), st.booleans())
@quick
def test_layer_activation_and_gradient_x_activation(case, layer, layer_input, multiply, efficient):
    module = LAYERS[layer](case.net)
    both("LayerActivation", case, module, additional_forward_args=case.extra, attribute_to_layer_input=layer_input)
    both(
        "LayerGradientXActivation", case, module, target=case.target, additional_forward_args=case.extra,
        init={"multiply_by_inputs": multiply, "memory_efficient": efficient}, attribute_to_layer_input=layer_input,
    )  # fmt: skip


SELECTORS = {
    "int": 0,
    "tuple": (0,),
    "slice": (slice(0, 2),),
    "function": lambda hidden: (hidden if isinstance(hidden, torch.Tensor) else hidden[0])[:, 0],
}


@given(cases, st.sampled_from(["int", "tuple", "slice", "function"]), st.booleans(), st.booleans())
@quick
def test_neurons(case, selector, neuron_input, multiply):
    if case.tuple_in:
        module = case.net.act  # every input has a way to it
    else:
        module = case.net.first
    both("NeuronGradient", case, module, neuron_selector=SELECTORS[selector], additional_forward_args=case.extra,
         attribute_to_neuron_input=neuron_input)  # fmt: skip
    shared = dict(
        neuron_selector=SELECTORS[selector], baselines=case.baselines, additional_forward_args=case.extra,
        attribute_to_neuron_input=neuron_input, init={"multiply_by_inputs": multiply}, tolerance=SINGLE, **case.steps,
    )  # fmt: skip
    if isinstance(case.net.act, torch.nn.ReLU) and case.tuple_in and neuron_input:
        return  # Captum reads the input after ReLU has changed it in place
    both("NeuronIntegratedGradients", case, module, **shared)
    both("NeuronConductance", case, module, target=case.target, **shared)


@given(cases, st.sampled_from(["none", "groups", "per example", "one number"]), st.integers(1, 5))
@quick
def test_feature_ablation(case, mask, perturbations):
    inputs = case.inputs if case.tuple_in else (case.inputs,)
    masks: Any = {
        "none": None,
        "groups": tuple(torch.arange(x.shape[1])[None] % 3 + 4 * i for i, x in enumerate(inputs)),
        "per example": tuple((torch.arange(x.numel()).view(x.shape) // 2) % 4 for x in inputs),
        "one number": tuple(torch.tensor(7) for _ in inputs),
    }[mask]
    if masks and not case.tuple_in:
        masks = masks[0]
    both(
        "FeatureAblation", case, baselines=case.baselines, target=case.target, additional_forward_args=case.extra,
        feature_mask=masks, perturbations_per_eval=perturbations,
    )  # fmt: skip


@given(cases, st.integers(1, 3), st.integers(1, 3), st.integers(1, 5))
@quick
def test_occlusion(case, window, stride, perturbations):
    stride = min(stride, window)
    windows: Any = ((window,), (min(window, 2),))
    both(
        "Occlusion", case, sliding_window_shapes=windows if case.tuple_in else windows[0],
        strides=(stride, 1) if case.tuple_in else stride, baselines=case.baselines, target=case.target,
        additional_forward_args=case.extra, perturbations_per_eval=1 if case.tuple_in else perturbations,
        tolerance=SINGLE,
    )  # fmt: skip
