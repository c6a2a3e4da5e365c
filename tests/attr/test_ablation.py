"""Features in masks, and functions of a batch as a whole."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import xai_nlp.attr as ours
from tests.attr import gradient_cases
from tests.attr.perturbation_cases import both, same


@pytest.mark.parametrize("output", ["number", "tensor of none", "one", "some", "as many as examples"])
@pytest.mark.parametrize("mask", [None, torch.tensor([[0, 0, 1, 2]])])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_function_of_the_whole_batch(output, mask, batch):
    torch.manual_seed(batch)
    x, weights = torch.randn(batch, 4), torch.randn(4, 3)

    def loss(x: Tensor) -> Any:
        found = (torch.tanh(x) @ weights).sum(0)
        return {
            "number": float(found.sum()), "tensor of none": found.sum(), "one": found.sum(0, keepdim=True),
            "some": found[:2], "as many as examples": found[:batch],
        }[output]  # fmt: skip

    for name in ("FeatureAblation", "ShapleyValues", "ShapleyValueSampling"):
        both(name, loss, inputs=x, feature_mask=mask, baselines=0.5)
    both("Occlusion", loss, inputs=x, sliding_window_shapes=(2,), strides=2)
    if batch > 1:
        both("FeaturePermutation", loss, inputs=x, feature_mask=mask)
    if output in ("number", "tensor of none", "one"):
        both("Lime", loss, inputs=x, feature_mask=mask, n_samples=12)
        both("KernelShap", loss, inputs=x, feature_mask=mask, n_samples=12, tolerance=1e-4)
        for name in ("FeatureAblation", "ShapleyValues", "Lime"):
            with pytest.raises(AssertionError):
                getattr(ours, name)(loss).attribute(x, feature_mask=mask, perturbations_per_eval=2)


@pytest.mark.parametrize("baseline", [torch.tensor(0.5), torch.randn(4), torch.randn(3, 1), torch.randn(1, 4)])
def test_a_baseline_that_broadcasts(baseline):
    torch.manual_seed(0)
    x, weights = torch.randn(3, 4), torch.randn(4)
    both("FeatureAblation", lambda x: torch.tanh(x @ weights), inputs=x, baselines=baseline)


def test_negative_numbers_are_features_too():
    torch.manual_seed(0)
    x, weights, mask = torch.randn(3, 4), torch.randn(4), torch.tensor([[-2, 0, -1, -2]])
    for name, more in (("FeatureAblation", {}), ("FeaturePermutation", {}), ("Lime", {"n_samples": 20})):
        both(name, lambda x: torch.tanh(x @ weights), inputs=x, feature_mask=mask, **more)


def test_inputs_with_other_numbers_of_rows():
    """Tensors with few rows, or none, beside a batch, where the output belongs to all of them."""
    torch.manual_seed(0)
    inputs = (torch.randn(3, 2), torch.randn(1, 2), torch.randn(0, 2))

    def func(a, b, c):
        return (torch.tanh(a) * (1 + b)).sum() + c.sum()

    for masks in (None, (torch.tensor([[0, 1]]), torch.tensor([[1, 2]]), torch.tensor([[0, 3]]))):
        both("FeatureAblation", func, inputs=inputs, feature_mask=masks)
        both("FeaturePermutation", func, inputs=inputs, feature_mask=masks)


@pytest.mark.parametrize("name", ["FeatureAblation", "FeaturePermutation", "ShapleyValueSampling", "Lime"])
def test_progress_goes_to_standard_error(name, capsys):
    net, x = nn.Linear(4, 1), torch.randn(3, 4)
    torch.manual_seed(0)
    silent = getattr(ours, name)(net).attribute(x)
    torch.manual_seed(0)
    same(getattr(ours, name)(net).attribute(x, show_progress=True), silent)
    assert capsys.readouterr().out == ""


@given(gradient_cases.cases, st.sampled_from(["none", "groups", "per example", "one number"]), st.integers(1, 5))
@gradient_cases.quick
def test_feature_ablation_of_random_networks(case, mask, perturbations):
    inputs = case.inputs if case.tuple_in else (case.inputs,)
    masks: Any = {
        "none": None,
        "groups": tuple(torch.arange(x.shape[1])[None] % 3 + 4 * i for i, x in enumerate(inputs)),
        "per example": tuple((torch.arange(x.numel()).view(x.shape) // 2) % 4 for x in inputs),
        "one number": tuple(torch.tensor(7) for _ in inputs),
    }[mask]
    if masks and not case.tuple_in:
        masks = masks[0]
    gradient_cases.both(
        "FeatureAblation", case, baselines=case.baselines, target=case.target, additional_forward_args=case.extra,
        feature_mask=masks, perturbations_per_eval=perturbations,
    )  # fmt: skip


@given(gradient_cases.cases, st.integers(1, 3), st.integers(1, 3), st.integers(1, 5))
@gradient_cases.quick
def test_occlusion_of_random_networks(case, window, stride, perturbations):
    stride = min(stride, window)
    windows: Any = ((window,), (min(window, 2),))
    gradient_cases.both(
        "Occlusion", case, sliding_window_shapes=windows if case.tuple_in else windows[0],
        strides=(stride, 1) if case.tuple_in else stride, baselines=case.baselines, target=case.target,
        additional_forward_args=case.extra, perturbations_per_eval=1 if case.tuple_in else perturbations,
        tolerance=gradient_cases.SINGLE,
    )  # fmt: skip
