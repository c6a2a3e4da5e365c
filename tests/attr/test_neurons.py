"""Scores for neurons against Captum's, on random networks and options."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.attr.gradient_cases import SELECTORS, SINGLE, both, cases, quick


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
