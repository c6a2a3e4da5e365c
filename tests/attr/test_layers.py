"""Scores of layers against Captum's, on random networks and options."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.attr.gradient_cases import LAYERS, SINGLE, both, cases, quick


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
