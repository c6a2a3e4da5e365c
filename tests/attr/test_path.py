"""Integrals along the path, of inputs, layers and neurons, against Captum's, on random networks and options."""

import captum.attr as captum
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import xai_nlp.attr as ours
from tests.attr.gradient_cases import LAYERS, SELECTORS, SINGLE, both, cases, quick
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.errors import InvalidInput


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


# Whole numbers --------------------------------------------------------------------------------------------------------

WHOLE = torch.tensor([[1, 2, 0], [3, 4, 5]])


def squares(x):
    return (x**2).sum(1)


def looked_up(ids):
    return torch.nn.functional.embedding(ids, torch.arange(20.0).view(10, 2)).sum((1, 2))


def path_scores(lib, function):
    """Scores by each class that leaves the inputs' own place: integrated gradients, noise, expected gradients."""
    tunnel = lib.NoiseTunnel(lib.Saliency(function))
    yield lambda: lib.IntegratedGradients(function).attribute(WHOLE, n_steps=5)
    yield lambda: lib.GradientShap(function).attribute(WHOLE, torch.zeros_like(WHOLE), n_samples=3)
    yield lambda: tunnel.attribute(WHOLE, nt_samples=3, stdevs=0.5)


def seeded(call):
    torch.manual_seed(0)
    np.random.seed(0)
    return call()


def test_features_that_are_whole_numbers_work_as_in_captum():
    for own_value, reference in zip(path_scores(ours, squares), path_scores(captum, squares), strict=True):
        torch.testing.assert_close(seeded(own_value), seeded(reference), atol=1e-5, rtol=0)


def test_ids_are_refused_with_what_would_work():
    for own_value, reference in zip(path_scores(ours, looked_up), path_scores(captum, looked_up), strict=True):
        with pytest.raises(RuntimeError, match="indices"):
            reference()
        with pytest.raises(InvalidInput, match=r"looks its inputs up in a table.*name the embedding layer"):
            own_value()


@pytest.mark.parametrize("count", [np.int64(3), np.uint8(3), np.array(3)[()]])
def test_counts_of_numpy_are_counts(count):
    x = WHOLE.double()
    for scores in (
        ours.IntegratedGradients(squares).attribute(x, n_steps=count),
        ours.KernelShap(squares).attribute(x, n_samples=count),
        ours.ShapleyValueSampling(squares).attribute(x, n_samples=count),
        ours.NoiseTunnel(ours.Saliency(squares)).attribute(x, nt_samples=count),
        ours.GradientShap(squares).attribute(x, 0 * x, n_samples=count),
    ):
        assert scores.shape == x.shape


@pytest.mark.parametrize("count", [None, 0, -1, 1.5, "3", float("nan"), [3]])
def test_what_is_no_count_is_refused_everywhere(count):
    """With an error that is also the TypeError of Captum where it is no whole number."""
    x = WHOLE.double()
    for call in (
        lambda: ours.IntegratedGradients(squares).attribute(x, n_steps=count),
        lambda: ours.KernelShap(squares).attribute(x, n_samples=count),
        lambda: ours.Lime(squares).attribute(x, n_samples=count),
        lambda: ours.ShapleyValueSampling(squares).attribute(x, n_samples=count),
        lambda: ours.NoiseTunnel(ours.Saliency(squares)).attribute(x, nt_samples=count),
        lambda: ours.GradientShap(squares).attribute(x, 0 * x, n_samples=count),
    ):
        with pytest.raises(CaptumAssertion, match="a whole number of at least 1") as error:
            call()
        assert isinstance(error.value, TypeError) == (not isinstance(count, int))
