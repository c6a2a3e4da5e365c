"""Grad-CAM and guided Grad-CAM against Captum's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attr.propagation_cases import Case, both, quick

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Captum's


images = st.composite(lambda draw: Case(draw, kinds=("2d", "1d")))()


@given(images, st.sampled_from(["left", "act1", "mid", "pool"]), st.booleans(), st.booleans(), st.booleans())
@quick
def test_grad_cam(case, layer, layer_input, positive, summed):
    both("LayerGradCam", case, case.layer(layer), target=case.target, additional_forward_args=case.extra,
         attribute_to_layer_input=layer_input, relu_attributions=positive, attr_dim_summation=summed)  # fmt: skip


@given(images, st.sampled_from(["left", "act1", "mid", "pool"]), st.booleans(), st.sampled_from(["nearest", "linear"]))
@quick
def test_guided_grad_cam(case, layer, layer_input, mode):
    both("GuidedGradCam", case, case.layer(layer), target=case.target, additional_forward_args=case.extra,
         attribute_to_layer_input=layer_input, interpolate_mode=mode)  # fmt: skip
