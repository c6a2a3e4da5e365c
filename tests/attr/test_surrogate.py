"""LIME and kernel SHAP against Captum's."""

from typing import Any

import pytest
import torch
from captum._utils.models.linear_model import SkLearnLasso, SkLearnLinearRegression, SkLearnRidge
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import xai_nlp.attr as ours
from tests.attr.perturbation_cases import Case, both, cases, quick


def one_number(case: Case) -> None:
    """What a surrogate can be fitted to; and no tensor of a single number, which Captum cannot cut into examples."""
    if not case.one_number or (isinstance(case.target, Tensor) and not case.target.ndim):
        case.target = (0, 0) if case.kind == "grid" else 0
    if case.mask_kind == "few dimensions" and case.batch > 1:
        case.mask = None  # Captum takes the first axis for the examples' where it is as long


@given(cases("linear pair conv words grid"), st.integers(2, 25), st.booleans())
@quick
def test_lime(case, samples, shaped):
    one_number(case)
    both(
        "Lime", case.net, inputs=case.inputs, baselines=case.baselines, n_samples=samples, return_input_shape=shaped,
        tolerance=1e-4 if case.dtype == torch.float32 else 1e-5, **{**case.arguments, "target": case.target},
    )  # fmt: skip


@given(cases("linear pair conv words grid"), st.integers(3, 60), st.booleans())
@quick
def test_kernel_shap(case, samples, shaped):
    """Captum fits in single precision with weights of a million, so a function in single precision shows its noise."""
    case.net.double()

    def double(t):
        return t.double() if isinstance(t, Tensor) and t.is_floating_point() else t

    def every(given):
        return tuple(map(double, given)) if isinstance(given, tuple) else double(given)

    one_number(case)
    arguments = {**case.arguments, "target": case.target, "additional_forward_args": every(case.extra)}
    both(
        "KernelShap", case.net, inputs=every(case.inputs), baselines=every(case.baselines), n_samples=samples,
        return_input_shape=shaped, **arguments,
    )  # fmt: skip


def far(original: Any, sample: Any, known: Tensor, **kwargs: Any) -> Tensor:
    assert known.shape == (1, kwargs["num_interp_features"])
    assert {"baselines", "feature_mask"} <= set(kwargs)
    first = (lambda t: t[0] if isinstance(t, tuple) else t)(original)
    return torch.exp(-known.float().mean()) * float(first.shape[0])


def coins(original: Any, **kwargs: Any) -> Any:
    while True:
        yield (torch.rand(1, kwargs["num_interp_features"]) > 0.3).long()


def thrown(original: Any, **kwargs: Any) -> Tensor:
    return (torch.rand(1, kwargs["num_interp_features"]) > 0.6).long()


@given(cases("linear pair conv"), st.sampled_from([coins, thrown]), st.sampled_from([SkLearnRidge, SkLearnLasso]))
@quick
def test_lime_with_parts_of_the_users_own(case, perturb, model):
    one_number(case)
    both(
        "Lime", case.net, model(alpha=0.1), far, perturb, inputs=case.inputs, baselines=case.baselines, n_samples=9,
        tolerance=1e-4, **{**case.arguments, "target": case.target},
    )  # fmt: skip


@given(cases("linear pair"), st.booleans(), st.integers(2, 20), st.booleans())
@quick
def test_lime_base(case, interpretable, samples, whole):
    """Samples in either space, of one example, or of a batch that the function says one thing of."""
    if not case.tuple_in:
        case.inputs = (case.inputs,)
    net, extra = case.net, (None,) * (case.kind == "linear")
    x = case.inputs if whole else tuple(t[:1] for t in case.inputs)

    def func(*given: Any) -> Tensor:
        return net(*given)[:, 0].sum() if whole else net(*given)[:, 0]

    def perturb(inputs: Any, *, width: float) -> Any:
        if interpretable:
            return torch.randn(1, 2) * width
        return tuple(t + torch.randn_like(t) * width for t in inputs)

    def similarity(inputs: Any, sample: Any, known: Tensor, *, width: float) -> float:
        return float(1 / (1 + ((inputs[0] - sample[0]) ** 2).sum() / width))  # far from 0, else two samples may decide

    def into(known: Tensor, inputs: Any, *, width: float) -> Any:
        return tuple(t * known[0, 0].to(t) + known[0, 1].to(t) for t in inputs)

    def back(sample: Any, inputs: Any, *, width: float) -> Tensor:
        return torch.stack([t.mean() for t in sample])[None]

    make = (SkLearnLinearRegression(), similarity, perturb, interpretable, into, back)
    call = dict(
        additional_forward_args=extra or None, n_samples=samples, width=0.7,
        perturbations_per_eval=1 if whole else case.per_eval,
    )  # fmt: skip
    both("LimeBase", func, *make, inputs=x, tolerance=1e-3 if case.dtype == torch.float32 else 1e-5, **call)


def test_a_surrogate_without_a_way_between_its_spaces():
    for interpretable in (True, False):
        with pytest.raises(AssertionError):
            ours.LimeBase(sum, None, max, max, interpretable, None, None)


def test_a_generator_that_ends_early():
    def few(inputs: Any, **_: Any) -> Any:
        yield from (torch.ones(1, 4), torch.zeros(1, 4))

    with pytest.warns(UserWarning, match="2 of 25"):
        ours.Lime(nn.Linear(4, 1), None, None, few).attribute(torch.randn(1, 4))


def test_lime_finds_the_weights_of_a_linear_model():
    torch.manual_seed(0)
    x, weights = torch.randn(3, 5), torch.randn(5)
    got = ours.Lime(lambda x: x @ weights, SkLearnLinearRegression()).attribute(x, n_samples=40)
    torch.testing.assert_close(got, x * weights, atol=1e-5, rtol=0)
