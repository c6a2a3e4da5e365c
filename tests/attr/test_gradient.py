"""Activations and gradients of inputs, layers and neurons against Captum's, on random networks and options."""

from hypothesis import given
from hypothesis import strategies as st

from tests.attr.gradient_cases import LAYERS, SELECTORS, both, cases, quick


@given(cases, st.booleans())
@quick
def test_saliency_and_input_x_gradient(case, absolute):
    both("Saliency", case, target=case.target, abs=absolute, additional_forward_args=case.extra)
    both("InputXGradient", case, target=case.target, additional_forward_args=case.extra)


@given(cases, st.sampled_from(["one", "two tensors", "nested list"]), st.booleans(), st.booleans(), st.booleans())
@quick
def test_layer_activation_and_gradient_x_activation(case, layer, layer_input, multiply, efficient):
    module = LAYERS[layer](case.net)
    both("LayerActivation", case, module, additional_forward_args=case.extra, attribute_to_layer_input=layer_input)
    both(
        "LayerGradientXActivation", case, module, target=case.target, additional_forward_args=case.extra,
        init={"multiply_by_inputs": multiply, "memory_efficient": efficient}, attribute_to_layer_input=layer_input,
    )  # fmt: skip


@given(cases, st.sampled_from(["int", "tuple", "slice", "function"]), st.booleans())
@quick
def test_neuron_gradient(case, selector, neuron_input):
    module = case.net.act if case.tuple_in else case.net.first  # every input has a way to it
    both("NeuronGradient", case, module, neuron_selector=SELECTORS[selector], additional_forward_args=case.extra,
         attribute_to_neuron_input=neuron_input)  # fmt: skip
