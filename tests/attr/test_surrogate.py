"""LIME and kernel SHAP against Captum's."""

import itertools
from typing import Any

import captum.attr as captum
import pytest
import torch
from captum._utils.models.linear_model import SkLearnLasso, SkLearnLinearRegression, SkLearnRidge
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import xai_nlp.attr as ours
from tests.attr.perturbation_cases import Case, both, cases, quick, same


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


# A distribution of baselines ------------------------------------------------------------------------------------------


def game(a: Tensor, b: Tensor) -> Tensor:
    """A function with interactions within and between two inputs."""
    return torch.tanh(a).prod(1) + (a[:, :2] * b).sum(1).exp()


def distribution(rows: int) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, 3, dtype=torch.float64), torch.randn(rows, 2, dtype=torch.float64)


def shapley_by_brute_force(value: Any, features: int) -> Tensor:
    """The mean over all orders of what each feature adds to the value of those before it."""
    total, orders = torch.zeros(features, dtype=torch.float64), list(itertools.permutations(range(features)))
    for order in orders:
        for k, feature in enumerate(order):
            total[feature] += value({*order[: k + 1]}) - value({*order[:k]})
    return total / len(orders)


def every_coalition(inputs: Any, *, num_interp_features: int, **_: Any) -> Any:
    """All coalitions of 5 or 3 features, each as often as the Shapley kernel weighs it (Lundberg & Lee 2017, th. 2)."""
    M, times = num_interp_features, {5: {1: 3, 2: 1, 3: 1, 4: 3}, 3: {1: 1, 2: 1}}[num_interp_features]
    for subset in itertools.product([0, 1], repeat=M):
        for _ in range(times.get(sum(subset), 1)):
            yield torch.tensor([subset])


@pytest.mark.parametrize(("masks", "samples"), [(None, 52), ((torch.tensor([[0, 0, 1]]), torch.tensor([[1, 2]])), 8)])
def test_random_baselines_have_the_shapley_values_of_the_averaged_game(masks, samples):
    torch.manual_seed(2)
    inputs, baselines = distribution(2), distribution(5)
    numbers = masks or (torch.tensor([[0, 1, 2]]), torch.tensor([[3, 4]]))
    shap = ours.RandomBaselineKernelShap(game)
    shap.perturb_func = every_coalition
    got = shap.attribute(inputs, baselines, feature_mask=masks, n_samples=samples)
    for example in range(2):

        def value(present: set[int], example: int = example) -> float:
            chosen = [sum((n == f for f in present), torch.zeros_like(n)).bool() for n in numbers]
            parts = zip(chosen, inputs, baselines, strict=True)
            return float(game(*(torch.where(here, x[example], b) for here, x, b in parts)).mean())

        count = 1 + int(max(n.max() for n in numbers))
        expected = shapley_by_brute_force(value, count)
        for scores, n in zip(got, numbers, strict=True):
            torch.testing.assert_close(scores[example].double(), expected[n[0]], atol=1e-4, rtol=1e-4)
        total = sum(float(expected[f]) for f in range(count))
        assert total == pytest.approx(value(set(range(count))) - value(set()))


def test_random_baselines_of_a_linear_function():
    """Closed form: each weight times the input's distance from the mean baseline."""
    torch.manual_seed(0)
    x, baselines, weights = torch.randn(3, 4), torch.randn(6, 4), torch.randn(4)
    shap = ours.RandomBaselineKernelShap(lambda x: x @ weights)
    expected = (x - baselines.mean(0)) * weights
    torch.testing.assert_close(shap.attribute(x, baselines, n_samples=200), expected, atol=1e-3, rtol=0)
    functions = [lambda: baselines, lambda inputs: baselines]
    for function in functions:
        torch.testing.assert_close(shap.attribute(x, function, n_samples=200), expected, atol=1e-3, rtol=0)
    by_feature = shap.attribute((x,), (baselines,), n_samples=200, return_input_shape=False)
    torch.testing.assert_close(by_feature, expected, atol=1e-3, rtol=0)
    drawn = shap.attribute(x, baselines, n_samples=60, n_baseline_samples=2000)
    torch.testing.assert_close(drawn, expected, atol=0.15, rtol=0)


@pytest.mark.filterwarnings("ignore:You are providing multiple inputs")  # Captum's
@given(cases("linear pair conv words"), st.integers(5, 40))
@quick
def test_one_random_baseline_is_captums_kernel_shap(case, samples):
    """A distribution of one row, or of copies of it; any number of rows for each pass."""
    case.net.double()
    one_number(case)

    def double(t: Any) -> Any:
        return t.double() if isinstance(t, Tensor) and t.is_floating_point() else t

    inputs, extra = ([*map(double, t)] if isinstance(t, tuple) else double(t) for t in (case.inputs, case.extra))
    inputs, extra = (tuple(t) if isinstance(t, list) else t for t in (inputs, extra))
    rows = tuple(t[-1:] for t in (inputs if case.tuple_in else (inputs,)))
    arguments = {**case.arguments, "additional_forward_args": extra, "n_samples": samples}
    torch.manual_seed(7)
    wanted = captum.KernelShap(case.net).attribute(inputs, case.shaped(rows), **arguments)
    for copies in (1, 3):
        torch.manual_seed(7)
        baselines = case.shaped([t.repeat(copies, *[1] * (t.ndim - 1)) for t in rows])
        got = ours.RandomBaselineKernelShap(case.net).attribute(inputs, baselines, **arguments)
        same(got, wanted, 1e-4)


def test_one_number_for_the_batch_is_averaged_over_baselines_too():
    torch.manual_seed(0)
    x, baselines, weights = torch.randn(3, 4), torch.randn(5, 4), torch.randn(4)
    got = ours.RandomBaselineKernelShap(lambda x: (x @ weights).sum()).attribute(x, baselines, n_samples=200)
    expected = ((x - baselines.mean(0)) * weights).sum(0, keepdim=True)
    torch.testing.assert_close(got, expected, atol=2e-3, rtol=0)


REFUSED_BASELINES: dict[str, Any] = {
    "another shape": (torch.zeros(5, 3), {}),
    "no rows": (torch.zeros(0, 4), {}),
    "two": ((torch.zeros(5, 4), torch.zeros(5, 4)), {}),
    "a text": ("zero", {}),
    "no draws": (torch.zeros(5, 4), {"n_baseline_samples": 0}),
    "half a draw": (torch.zeros(5, 4), {"n_baseline_samples": 0.5}),
}


@pytest.mark.parametrize("why", REFUSED_BASELINES)
def test_baselines_that_are_refused(why):
    baselines, options = REFUSED_BASELINES[why]
    with pytest.raises(AssertionError):
        ours.RandomBaselineKernelShap(lambda x: x.sum(1)).attribute(torch.ones(2, 4), baselines, **options)


def test_numbers_of_baselines_that_differ_are_refused():
    shap = ours.RandomBaselineKernelShap(lambda a, b: (a + b).sum(1))
    with pytest.raises(AssertionError, match="as many baselines"):
        shap.attribute((torch.ones(2, 4),) * 2, (torch.zeros(5, 4), torch.zeros(3, 4)))


# Inputs without entries -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Lime", "KernelShap"])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("mask", [None, torch.tensor([[0, 0, 1]])])
def test_an_input_without_entries_beside_one_that_has_some(name, first, mask):
    torch.manual_seed(0)
    full, empty, options = torch.randn(2, 3), torch.zeros(2, 0), {"n_samples": 12, "tolerance": 1e-4}
    for output in (lambda a: torch.tanh(a).sum(1), lambda a: torch.tanh(a).sum()):
        none = None if mask is None else torch.zeros(1, 0, dtype=torch.long)
        inputs, masks = (empty, full) if first else (full, empty), (none, mask) if first else (mask, none)
        call = dict(inputs=inputs, feature_mask=None if mask is None else masks, **options)
        both(name, lambda a, b, f=output: f(b if first else a) + 0 * (a if first else b).sum(), **call)
    rows = (torch.randn(4, 3), torch.zeros(0, 2))  # a tensor without rows
    masks = (torch.tensor([[0, 0, 1]]), torch.tensor([[0, 2]]))
    both(name, lambda a, b: torch.tanh(a).sum() + b.sum(), inputs=rows, feature_mask=masks, **options)
