"""Integrals along the path, of inputs, layers and neurons, against Captum's, on random networks and options."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.attr.gradient_cases import LAYERS, SELECTORS, SINGLE, both, cases, quick


@given(cases, st.booleans(), st.booleans())
@quick
def test_integrated_gradients(case, multiply, delta):
    both(
        "IntegratedGradients", case, init={"multiply_by_inputs": multiply}, tolerance=SINGLE, baselines=case.baselines,
        target=case.target, additional_forward_args=case.extra, return_convergence_delta=delta, **case.steps,
    )  # fmt: skip


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


@given(cases, st.sampled_from(["int", "tuple", "slice", "function"]), st.booleans(), st.booleans())
@quick
def test_neuron_integrated_gradients_and_conductance(case, selector, neuron_input, multiply):
    if case.tuple_in:
        module = case.net.act  # every input has a way to it
    else:
        module = case.net.first
    shared = dict(
        neuron_selector=SELECTORS[selector], baselines=case.baselines, additional_forward_args=case.extra,
        attribute_to_neuron_input=neuron_input, init={"multiply_by_inputs": multiply}, tolerance=SINGLE, **case.steps,
    )  # fmt: skip
    if isinstance(case.net.act, torch.nn.ReLU) and case.tuple_in and neuron_input:
        return  # Captum reads the input after ReLU has changed it in place
    both("NeuronIntegratedGradients", case, module, **shared)
    both("NeuronConductance", case, module, target=case.target, **shared)
