"""The arguments of Captum's methods, from a form."""

import pytest

from xai_nlp.attr import FeatureAblation, IntegratedGradients, Occlusion, Saliency
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.insights.config import METHODS, needs_baseline, parse_arguments


def test_arguments_of_a_form():
    assert parse_arguments(Occlusion, {"strides": "2 2"}) == {"strides": (2, 2), "perturbations_per_eval": 1}
    assert parse_arguments(Saliency, {}) == {}
    with pytest.raises(InvalidInput, match="from 1 to 100"):
        parse_arguments(FeatureAblation, {"perturbations_per_eval": "x"})
    with pytest.raises(InvalidInput, match="3 5 5"):
        parse_arguments(Occlusion, {"strides": "two"})
    with pytest.raises(UnknownName, match="simpson"):
        parse_arguments(IntegratedGradients, {"method": "simpson"})


def test_gradients_need_no_baseline():
    without = {"Deconvolution", "Guided Backprop", "Input X Gradient", "Saliency"}
    assert {name for name, method in METHODS.items() if not needs_baseline(method)} == without
