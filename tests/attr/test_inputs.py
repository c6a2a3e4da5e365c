"""Scores of the inputs by gradients and by ablation against Captum's, on random networks and options."""

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.attr.gradient_cases import SINGLE, both, cases, quick


@given(cases, st.booleans(), st.booleans())
@quick
def test_integrated_gradients(case, multiply, delta):
    both(
        "IntegratedGradients", case, init={"multiply_by_inputs": multiply}, tolerance=SINGLE, baselines=case.baselines,
        target=case.target, additional_forward_args=case.extra, return_convergence_delta=delta, **case.steps,
    )  # fmt: skip


@given(cases, st.booleans())
@quick
def test_saliency_and_input_x_gradient(case, absolute):
    both("Saliency", case, target=case.target, abs=absolute, additional_forward_args=case.extra)
    both("InputXGradient", case, target=case.target, additional_forward_args=case.extra)


@given(cases, st.sampled_from(["none", "groups", "per example", "one number"]), st.integers(1, 5))
@quick
def test_feature_ablation(case, mask, perturbations):
    inputs = case.inputs if case.tuple_in else (case.inputs,)
    masks: Any = {
        "none": None,
        "groups": tuple(torch.arange(x.shape[1])[None] % 3 + 4 * i for i, x in enumerate(inputs)),
        "per example": tuple((torch.arange(x.numel()).view(x.shape) // 2) % 4 for x in inputs),
        "one number": tuple(torch.tensor(7) for _ in inputs),
    }[mask]
    if masks and not case.tuple_in:
        masks = masks[0]
    both(
        "FeatureAblation", case, baselines=case.baselines, target=case.target, additional_forward_args=case.extra,
        feature_mask=masks, perturbations_per_eval=perturbations,
    )  # fmt: skip


@given(cases, st.integers(1, 3), st.integers(1, 3), st.integers(1, 5))
@quick
def test_occlusion(case, window, stride, perturbations):
    stride = min(stride, window)
    windows: Any = ((window,), (min(window, 2),))
    both(
        "Occlusion", case, sliding_window_shapes=windows if case.tuple_in else windows[0],
        strides=(stride, 1) if case.tuple_in else stride, baselines=case.baselines, target=case.target,
        additional_forward_args=case.extra, perturbations_per_eval=1 if case.tuple_in else perturbations,
        tolerance=SINGLE,
    )  # fmt: skip
