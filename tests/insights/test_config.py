"""The arguments of Captum's methods, from a form."""

import pytest

from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.insights.config import METHODS, find_captum_method


def test_arguments_of_a_form():
    occlusion = find_captum_method("Occlusion")
    assert occlusion.parse({"strides": "2 2"}) == {"strides": (2, 2), "perturbations_per_eval": 1}
    assert find_captum_method("Saliency").parse({}) == {}
    with pytest.raises(InvalidInput, match="from 1 to 100"):
        find_captum_method("Feature Ablation").parse({"perturbations_per_eval": "x"})
    with pytest.raises(InvalidInput, match="3 5 5"):
        occlusion.parse({"strides": "two"})
    with pytest.raises(UnknownName, match="simpson"):
        find_captum_method("Integrated Gradients").parse({"method": "simpson"})


def test_gradients_need_no_baseline():
    without = {"Deconvolution", "Guided Backprop", "Input X Gradient", "Saliency"}
    assert {name for name, method in METHODS.items() if not method.needs_baseline} == without
