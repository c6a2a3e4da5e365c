"""Guided backpropagation and deconvolution against Captum's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attr.propagation_cases import both, cases, kinds, quick, selected

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Captum's


@given(cases)
@quick
def test_guided_backprop_and_deconvolution(case):
    for name in ("GuidedBackprop", "Deconvolution"):
        both(name, case, target=case.target, additional_forward_args=case.extra)


@given(cases, st.sampled_from(["mid", "last", "act2"]), kinds, st.booleans())
@quick
def test_neuron_guided_backprop_and_deconvolution(case, layer, how, neuron_input):
    module = case.layer(layer)
    for name in ("NeuronGuidedBackprop", "NeuronDeconvolution"):
        both(name, case, module, neuron_selector=selected(case, layer, how),
             additional_forward_args=case.extra, attribute_to_neuron_input=neuron_input)  # fmt: skip
