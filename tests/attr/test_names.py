"""Every name of Captum's that is here takes what Captum's takes, by name and by position, and has its public methods.

Names are found, not listed: a name that is added is tested.
"""

import inspect

import captum.attr as captum
import pytest

import xai_nlp.attr as ours
from tests.attr.shared_names import CLASSES, SHARED
from tests.captum_names import MAIN_BRANCH, parameters, public, shared_parameters


def test_nothing_is_called_what_captum_does_not_know():
    assert set(ours.__all__) <= set(captum.__all__) | set(MAIN_BRANCH)
    assert len(set(ours.__all__)) == len(ours.__all__)


@pytest.mark.parametrize("name", SHARED)
def test_is_called_as_captums_is(name):
    own, reference = getattr(ours, name), getattr(captum, name)
    if not callable(reference) or name == "StatValue":
        return
    assert inspect.isclass(own) == inspect.isclass(reference)
    assert parameters(own) == parameters(reference)


@pytest.mark.parametrize("name", CLASSES)
def test_methods_are_called_as_captums_are(name):
    own, reference = getattr(ours, name), getattr(captum, name)
    assert public(reference) - public(own) <= LEFT_OUT.get(name, set())
    for method in sorted(public(reference) & public(own)):
        there, here = getattr(reference, method), getattr(own, method)
        if callable(there) and method != "attribute_future":  # ours says of any arguments that there is no such thing
            assert shared_parameters(here, there) == parameters(there), method


def test_names_of_the_main_branch_are_called_as_there():
    assert ours.BaselineKernelShap is ours.KernelShap
    assert parameters(ours.RandomBaselineKernelShap) == parameters(captum.KernelShap)
    names = [name for name, _, _ in parameters(ours.RandomBaselineKernelShap.attribute)]
    assert names == [*(name for name, _, _ in parameters(captum.KernelShap.attribute)), "n_baseline_samples"]


#: Parts of how Captum computes, of no use to a caller.
LEFT_OUT = {
    "DeepLift": {"satisfies_attribute_criteria"},
    "DeepLiftShap": {"satisfies_attribute_criteria"},
    "LayerDeepLift": {"satisfies_attribute_criteria"},
    "LayerDeepLiftShap": {"satisfies_attribute_criteria"},
    "LRP": {"backward_handles", "forward_handles", "layers", "verbose"},
    "LayerLRP": {"backward_handles", "forward_handles", "layers", "verbose", "attribute_to_layer_input"},
    "LayerFeaturePermutation": {"attributor"},
    "LayerFeatureAblation": {"attributor"},
    "KernelShap": {"kernel_shap_perturb_generator", "kernel_shap_similarity_kernel"},
    "LayerGradientXActivation": {"multiply_gradient_acts"},
}
