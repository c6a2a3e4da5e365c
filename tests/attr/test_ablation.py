"""Features in masks, and functions of a batch as a whole."""

import threading
from typing import Any

import captum.attr as captum
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import xai_nlp.attr as ours
from tests.attr import gradient_cases
from tests.attr.perturbation_cases import both, same

BOTH = (captum, ours)


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


ABLATING = ("FeatureAblation", "FeaturePermutation", "ShapleyValues", "ShapleyValueSampling", "Lime", "KernelShap")


@pytest.mark.parametrize("name", [*ABLATING, "Occlusion", "RandomBaselineKernelShap"])
@pytest.mark.parametrize("batch_loss", [False, True])
def test_progress_ends_at_100_per_cent_on_standard_error(name, batch_loss, capsys):
    net, x = nn.Linear(4, 1), torch.randn(3, 4)
    options: dict[str, Any] = {"Occlusion": {"sliding_window_shapes": (1,)}}.get(name, {})
    options = {"baselines": torch.zeros(2, 4)} if name == "RandomBaselineKernelShap" else options
    method = getattr(ours, name)(lambda x: net(x).sum() if batch_loss else net(x))
    torch.manual_seed(0)
    silent = method.attribute(x, **options)
    torch.manual_seed(0)
    same(method.attribute(x, **options, show_progress=True), silent)
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{method.get_name()} attribution: 100%" in err.splitlines()[-1]


def test_progress_of_inputs_that_are_their_baselines(capsys):
    ours.FeatureAblation(lambda x: x.sum(1)).attribute(torch.zeros(2, 3), show_progress=True)
    assert "Feature Ablation attribution: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["FeatureAblation", "ShapleyValues", "Lime"])
def test_captums_progress_has_the_same_words(name, capsys):
    captum_method = getattr(captum, name)(lambda x: x.sum(1))
    captum_method.attribute(torch.randn(1, 4), show_progress=True)
    assert f"{captum_method.get_name()} attribution: 100%" in capsys.readouterr().err


# Functions that are written for the batch that they are given --------------------------------------------------------


def only_of(rows: int, func: Any, others: tuple[int, ...] = ()) -> Any:
    """The function, which refuses other batch sizes; `others` are those of further inputs."""

    def checked(*inputs: Tensor) -> Tensor:
        assert tuple(map(len, inputs)) == (rows, *others), f"written for {rows} rows"
        return func(*inputs)

    return checked


OUTPUTS = {
    "number": lambda x: torch.tanh(x).prod(1).sum(),
    "one": lambda x: torch.tanh(x).prod(1).sum(0, keepdim=True),
    "weighted by place": lambda x: (torch.tanh(x).prod(1) * torch.arange(float(len(x)))).sum(),
    "a row for each example": lambda x: torch.tanh(x).prod(1),
}


@pytest.mark.parametrize("name", [*ABLATING, "Occlusion"])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("rows", [1, 4])
def test_the_default_sees_batches_of_the_size_given(name, output, rows):
    if (name == "FeaturePermutation" and rows == 1) or (name in ("Lime", "KernelShap") and output.startswith("a row")):
        return  # one row has none to exchange with; Captum's surrogates take a batch apart
    torch.manual_seed(0)
    x, options = torch.randn(rows, 4), {"sliding_window_shapes": (2,)} if name == "Occlusion" else {}
    masks = [None] if name == "Occlusion" else [None, torch.tensor([[0, 0, 1, 2]])]
    for mask in masks:
        given = {} if mask is None else {"feature_mask": mask}
        tolerance = 1e-4 if name == "KernelShap" else 1e-5
        both(name, only_of(rows, OUTPUTS[output]), inputs=x, tolerance=tolerance, **given, **options)


@pytest.mark.parametrize("name", ABLATING)
@pytest.mark.parametrize("sizes", [(4, 2), (2, 4)])
@pytest.mark.parametrize("grouped", [False, True])
def test_several_inputs_of_different_sizes(name, sizes, grouped):
    torch.manual_seed(0)
    inputs = (torch.randn(sizes[0], 2), torch.randn(sizes[1], 3))
    masks = (torch.tensor([[0, 1]]), torch.tensor([[1, 1, 2]])) if grouped else None
    func = only_of(sizes[0], lambda a, b: torch.tanh(a).sum() * (1 + b).prod(1).sum(), (sizes[1],))
    both(name, func, inputs=inputs, feature_mask=masks, tolerance=1e-3 if name == "KernelShap" else 1e-5)
    if name == "FeatureAblation":
        both("Occlusion", func, inputs=inputs, sliding_window_shapes=((1,), (2,)))
        both(name, func, inputs=inputs, baselines=(0.5, torch.randn(1, 3)))


@pytest.mark.parametrize("name", ABLATING[:-1])
def test_inputs_of_one_number_for_each_example(name):
    torch.manual_seed(0)
    x, mask = torch.randn(4), torch.tensor([0])
    shapes = (lambda y: y, lambda y: y.sum(), lambda y: y[:, None] * torch.ones(3))
    for func in [lambda x, shape=shape: shape(torch.tanh(x)) for shape in shapes]:
        target = {"target": 2} if func(x).ndim == 2 else {}
        both(name, func, inputs=x, feature_mask=mask, **target)
        both(name, func, inputs=x, **target)


def test_masks_with_the_same_row_for_each_example_serve_the_batch():
    inputs = (torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0]]))
    masks, one_row = ((torch.tensor([0, 0]), torch.tensor([[0, 1]] * rows)) for rows in (2, 1))
    ablation = ours.FeatureAblation(lambda a, b: a.sum() * b.sum())
    same(ablation.attribute(inputs, feature_mask=masks), ablation.attribute(inputs, feature_mask=one_row))
    both("FeaturePermutation", lambda a, b: a.sum(1), inputs=inputs, feature_mask=(masks[0], 0 * masks[1]))
    with pytest.raises(AssertionError, match="one feature mask"):
        ours.FeatureAblation(lambda x: x.sum()).attribute(inputs[1], feature_mask=torch.tensor([[0, 1], [1, 0]]))


def test_layers_and_neurons_of_such_functions():
    torch.manual_seed(0)
    x, layer = torch.randn(4, 3), nn.Linear(3, 2)
    loss = only_of(4, lambda x: torch.tanh(layer(x)).prod(1).sum())
    both("LayerFeatureAblation", loss, layer, inputs=x)
    both("LayerFeaturePermutation", loss, layer, inputs=x)
    both("NeuronFeatureAblation", loss, layer, inputs=x, neuron_selector=1)


def test_each_pass_of_a_loss_has_the_rows_given():
    """One pass for f(x) and one for each feature, as Captum makes."""
    rows: list[int] = []
    torch.manual_seed(0)
    x, labels = torch.randn(4, 5), torch.tensor([0, 3, 1, 4])

    def loss(x: Tensor, labels: Tensor) -> Tensor:
        rows.append(len(x))
        return nn.functional.cross_entropy(x, labels)

    both("FeatureAblation", loss, inputs=x, additional_forward_args=labels)
    assert rows == [4] * 2 * 6


def test_numbers_of_the_batch_are_not_taken_for_those_of_rows():
    """Two outputs, two examples, and two rows that change: each belongs to another example and another feature."""
    x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    for name in ("FeatureAblation", "ShapleyValues"):
        both(name, lambda x: torch.stack([x.sum(), x.prod(1).sum() + x.max()]), inputs=x)


@pytest.mark.parametrize("name", ["Lime", "KernelShap", "FeatureAblation", "ShapleyValues"])
def test_a_loss_of_one_example_sees_one_row(name):
    rows = []

    def loss(x: Tensor) -> Tensor:
        rows.append(len(x))
        return torch.tanh(x).sum()

    torch.manual_seed(0)
    both(name, loss, inputs=torch.randn(1, 4), tolerance=1e-4)
    assert set(rows) == {1}


def test_errors_of_the_function_are_raised():
    def broken(x: Tensor) -> Tensor:
        raise ZeroDivisionError("broken")

    for name in ABLATING:
        with pytest.raises(ZeroDivisionError, match="broken"):
            getattr(ours, name)(broken).attribute(torch.randn(3, 4))
    pair = torch.randn(3, 4), torch.randn(2, 4)
    with pytest.raises(AssertionError, match="perturbations_per_eval"):
        ours.FeatureAblation(lambda a, b: a.sum() + b.sum()).attribute(pair, perturbations_per_eval=2)


@pytest.mark.parametrize("batch", [1, 3])
def test_the_value_takes_a_pass_of_its_own_only_in_the_first_call(batch):
    """The first shows that the function gives a row for each row, by two numbers of them; scores are the same."""
    torch.manual_seed(0)
    x, rows = torch.randn(batch, 4), []
    method = ours.FeatureAblation(lambda x: rows.append(len(x)) or torch.tanh(x).prod(1))
    expected = captum.FeatureAblation(lambda x: torch.tanh(x).prod(1)).attribute(x)
    for calls in ([batch, 4 * batch], [5 * batch], [5 * batch]):
        rows.clear()
        same(method.attribute(x), expected)
        assert rows == calls
    method.forward_func = lambda x: rows.append(len(x)) or torch.tanh(x).prod(1)  # of which nothing is known
    rows.clear()
    same(method.attribute(x), expected)
    assert rows == [batch, 4 * batch]


def test_nothing_is_known_of_a_function_that_saw_one_number_of_rows():
    """Nothing changes when a feature is taken away, so only the value is asked for."""
    torch.manual_seed(0)
    weights, rows = torch.randn(4, 3), []

    def func(x: Tensor) -> Tensor:
        rows.append(len(x))
        return (torch.tanh(x) @ weights).sum(0)[: x.shape[1] - 3]  # one number, of any batch

    method = ours.FeatureAblation(func)
    same(method.attribute(torch.zeros(1, 4)), torch.zeros(1, 4))
    rows.clear()
    same(method.attribute(torch.ones(1, 4)), captum.FeatureAblation(func).attribute(torch.ones(1, 4)))
    assert rows[0] == 1


@pytest.mark.parametrize("name", ["FeatureAblation", "Occlusion", "FeaturePermutation"])
def test_a_function_that_becomes_one_of_the_whole_batch(name):
    torch.manual_seed(0)
    x, options = torch.randn(3, 4), {"sliding_window_shapes": (2,)} if name == "Occlusion" else {}
    methods = [getattr(lib, name)(lambda x, whole: torch.tanh(x).prod(1).sum() if whole else x.prod(1)) for lib in BOTH]
    for whole in (False, False, True, False):
        found = []
        for method in methods:
            torch.manual_seed(1)
            found.append(method.attribute(x, additional_forward_args=whole, **options))
        same(*found)


# Numbers of Python's -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32])
@pytest.mark.parametrize("baseline", [None, 1, 0.5])
def test_scores_have_the_precision_of_pythons_numbers(dtype, baseline):
    torch.manual_seed(0)
    x = torch.randint(0, 5, (3, 4)).to(dtype)
    functions = {float: lambda x: float(x.double().sin().sum()), int: lambda x: int((x.double() * 10).sum())}
    for kind, func in functions.items():
        scores, expected = (lib.FeatureAblation(func).attribute(x, baselines=baseline) for lib in (ours, captum))
        assert scores.dtype == expected.dtype == {float: torch.float64, int: torch.int64}[kind]
        torch.testing.assert_close(scores, expected, atol=1e-9, rtol=0)
        for name in ("ShapleyValues", "Lime", "KernelShap"):
            if isinstance(baseline, float) and dtype == torch.int64 and name == "ShapleyValues":
                continue  # Captum cuts the baseline to a whole number: the test below
            both(name, func, inputs=x, baselines=baseline, tolerance=1e-4)
    assert ours.ShapleyValues(functions[float]).attribute(x).dtype == torch.float64


def test_a_float_baseline_of_whole_numbers_stays_a_float():
    """Closed form: of a sum each entry's score is its distance from the baseline, where Captum raises or cuts."""
    x = torch.tensor([[3, 0, 2], [1, 5, 4]])
    for name in ("FeatureAblation", "ShapleyValues", "ShapleyValueSampling"):
        for baseline in (0.5, torch.tensor([[0.5, 0.5, 0.5]])):
            scores = getattr(ours, name)(lambda x: x.sum(1)).attribute(x, baselines=baseline)
            assert scores.dtype == torch.float32
            torch.testing.assert_close(scores, x - 0.5)
    both("FeatureAblation", lambda x: x.float().exp().sum(1), inputs=x, baselines=0.5)
    with pytest.raises(RuntimeError, match="Float"):
        captum.FeatureAblation(lambda x: x.sum(1)).attribute(x, baselines=0.5)
    cut = captum.ShapleyValues(lambda x: x.sum(1)).attribute(x, baselines=0.5)
    torch.testing.assert_close(cut, x.float())


# Futures --------------------------------------------------------------------------------------------------------------


def later(value: Tensor) -> Any:
    """A future that another thread fills."""
    future: Any = torch.futures.Future()
    threading.Timer(0.002, future.set_result, [value]).start()
    return future


FUTURES = ("FeatureAblation", "FeaturePermutation", "ShapleyValues", "ShapleyValueSampling")


@pytest.mark.parametrize("name", FUTURES)
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("per_eval", [1, 2, 5])
def test_functions_that_return_futures(name, grouped, per_eval):
    torch.manual_seed(0)
    a, b = torch.randn(4, 2), torch.randn(4, 3)
    masks = (torch.tensor([[0, 1]]), torch.tensor([[1, 2, 2]])) if grouped else None
    options: dict[str, Any] = {"feature_mask": masks, "perturbations_per_eval": per_eval}
    if name == "ShapleyValues" and not grouped:
        options["feature_mask"] = (torch.tensor([[0, 1]]), torch.tensor([[2, 3, 4]]))
    functions = [lambda a, b: torch.tanh(a).prod(1) * b.sum(1)]
    functions += [lambda a, b: (torch.tanh(a).prod(1) * b.sum(1)).sum()] if per_eval == 1 else []
    for func in functions:
        results = []
        for lib in (captum, ours):
            torch.manual_seed(1)
            method = getattr(lib, name)(lambda *inputs, func=func: later(func(*inputs)))
            results.append(method.attribute_future((a, b), **options).wait())
        same(results[1], results[0])
    with_target = getattr(ours, name)(lambda a: later(torch.tanh(a) @ torch.ones(2, 3)))
    torch.manual_seed(1)
    expected = getattr(ours, name)(lambda a: torch.tanh(a) @ torch.ones(2, 3)).attribute(a, target=2)
    torch.manual_seed(1)
    same(with_target.attribute_future(a, target=2).wait(), expected)


@pytest.mark.parametrize("name", FUTURES)
@pytest.mark.parametrize("lib", [captum, ours])
def test_wrong_use_of_futures_is_refused_at_the_call(name, lib):
    x = torch.randn(3, 4)
    with pytest.raises(AssertionError):
        getattr(lib, name)(lambda x: x.sum(1)).attribute_future(x)
    with pytest.raises(AssertionError):
        getattr(lib, name)(lambda x: later(x.sum(1))).attribute(x)
    with pytest.raises(AssertionError):
        getattr(lib, name)(lambda x: later(x.sum(1))).attribute_future(x, perturbations_per_eval=0)


def test_an_error_in_a_future_is_raised_by_the_future():
    def failing(x: Tensor) -> Any:
        future: Any = torch.futures.Future()
        future.set_exception(ValueError("boom"))
        return future

    future = ours.FeatureAblation(failing).attribute_future(torch.randn(3, 4))
    with pytest.raises(ValueError, match="boom"):
        future.wait()


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
