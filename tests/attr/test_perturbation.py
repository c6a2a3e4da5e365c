"""Ablation, occlusion, permutation and Shapley values against Captum's, at inputs, layers and neurons."""

import itertools
from typing import Any

import captum.attr as captum
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import xai_nlp.attr as ours
from tests.attr.networks import Net
from tests.attr.perturbation_cases import Case, Grid, both, cases, quick, same
from xai_nlp.hooks.model_state import fingerprint


@given(cases())
@quick
def test_feature_ablation(case):
    both("FeatureAblation", case.net, inputs=case.inputs, baselines=case.baselines, **case.arguments)


@given(cases("linear pair conv grid"), st.integers(1, 2), st.integers(1, 2))
@quick
def test_occlusion(case, window, stride):
    every = case.inputs if case.tuple_in else (case.inputs,)
    windows = [(1, window, 2) if x.ndim == 4 else (window,) for x in every]
    strides = [(1, min(stride, window), 1) if x.ndim == 4 else min(stride, window) for x in every]
    arguments = {name: value for name, value in case.arguments.items() if name != "feature_mask"}
    if case.kind == "pair":
        arguments["perturbations_per_eval"] = 1  # Captum numbers the windows of several inputs wrongly otherwise
    both(
        "Occlusion", case.net, inputs=case.inputs, baselines=case.baselines, **arguments,
        sliding_window_shapes=case.shaped(windows), strides=case.shaped(strides),
    )  # fmt: skip


@given(cases(batch=2))
@quick
def test_feature_permutation(case):
    both("FeaturePermutation", case.net, inputs=case.inputs, **case.arguments)


@given(cases())
@quick
def test_shapley_value_sampling(case):
    samples = {"n_samples": case.seed % 4 + 1}
    both("ShapleyValueSampling", case.net, inputs=case.inputs, baselines=case.baselines, **case.arguments, **samples)


@given(cases("linear words grid pair conv"))
@quick
def test_shapley_values(case):
    arguments = case.arguments
    if arguments["feature_mask"] is None and case.kind in ("pair", "conv"):  # 7! · 7 passes and more
        every = case.inputs if case.tuple_in else (case.inputs,)
        arguments["feature_mask"] = case.shaped([torch.arange(x.shape[-1]) % 4 for x in every])
    both("ShapleyValues", case.net, inputs=case.inputs, baselines=case.baselines, **arguments)


LAYERS = {"linear": ["first", "pair", "out"], "pair": ["first", "pair"], "conv": ["first"], "words": ["first"]}


def layer_of(case: Case) -> nn.Module:
    names = LAYERS.get(case.kind, ["first"])
    return getattr(case.net, names[case.seed % len(names)])


def plain(case: Case) -> None:
    """Captum cannot re-enter before an operation in place that it has already let happen."""
    if isinstance(case.net.act, nn.ReLU):
        case.net.act.inplace = False


@given(cases(), st.booleans(), st.sampled_from([None, 0.25, "mask"]))
@quick
def test_layer_feature_ablation(case, layer_input, option):
    plain(case)
    layer = layer_of(case)
    pair = layer is getattr(case.net, "pair", None) and not layer_input
    layer_input = layer_input and case.kind != "words"
    axes = {"conv": 4, "words": 3}.get(case.kind, 2)
    one = torch.zeros([1] * axes, dtype=torch.long)  # what passes is one feature, or two
    masks: Any = None if option != "mask" else (one, one + 1) if pair else one
    number = option if isinstance(option, float) else None
    if isinstance(case.target, (list, Tensor)):
        case.per_eval = 1  # Captum does not repeat the targets
    both(
        "LayerFeatureAblation", case.net, layer, inputs=case.inputs, target=case.target,
        layer_baselines=(number, 1.0) if pair and number else number, layer_mask=masks,
        additional_forward_args=case.extra, attribute_to_layer_input=layer_input, perturbations_per_eval=case.per_eval,
    )  # fmt: skip


@given(cases("linear conv words grid", batch=2))
@quick
def test_layer_feature_permutation(case):
    plain(case)
    both(
        "LayerFeaturePermutation", case.net, case.net.first, inputs=case.inputs, additional_forward_args=case.extra,
        perturbations_per_eval=case.per_eval,
    )  # fmt: skip


def test_what_follows_a_layer_may_change_it_in_place():
    """Each evaluation starts from what passed, not from what the one before made of it."""

    class Added(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.add_(1)

    torch.manual_seed(0)
    x, first = torch.randn(3, 4), nn.Linear(4, 3)
    weights = torch.randn(3)
    expected = first(x).detach() * weights  # linear behind the layer: 1 is added to every evaluation alike
    net = nn.Sequential(first, Added())
    got = ours.LayerFeatureAblation(lambda x: net(x) @ weights, first).attribute(x)
    torch.testing.assert_close(got, expected)


def test_layer_feature_permutation_with_a_target():
    """Captum's applies the target twice, and refuses; ours is what its gives for a function that picks the target."""
    torch.manual_seed(0)
    net, x = Grid(), torch.randn(3, 4)
    with pytest.raises(AssertionError):
        captum.LayerFeaturePermutation(net, net.first).attribute(x, target=(1, 1))
    torch.manual_seed(1)
    got = ours.LayerFeaturePermutation(net, net.first).attribute(x, target=(1, 1))
    torch.manual_seed(1)
    same(got, captum.LayerFeaturePermutation(lambda x: net(x)[:, 1, 1], net.first).attribute(x))


SELECTORS = {
    "int": 0,
    "tuple": (0,),
    "slice": (slice(0, 2),),
    "function": lambda hidden: (hidden if isinstance(hidden, Tensor) else hidden[0]).flatten(1)[:, 0],
}


@given(cases("linear pair grid conv words"), st.sampled_from(list(SELECTORS)), st.booleans())
@quick
def test_neuron_feature_ablation(case, selector, neuron_input):
    layer = case.net.act if case.kind == "pair" else case.net.first
    if case.kind in ("conv", "words") or (case.kind == "pair" and isinstance(layer, nn.ReLU)):
        neuron_input = False
    chosen = SELECTORS[selector]
    if case.kind in ("conv", "words") and selector != "function":
        chosen = (0, 1, 1) if case.kind == "conv" else (1, 2)
    arguments = {name: value for name, value in case.arguments.items() if name != "target"}
    if case.mask_kind == "per example" and case.batch > 1:
        arguments["perturbations_per_eval"] = 1
    both(
        "NeuronFeatureAblation", case.net, layer, inputs=case.inputs, neuron_selector=chosen,
        baselines=case.baselines, attribute_to_neuron_input=neuron_input, **arguments,
    )  # fmt: skip


def test_a_permutation_of_the_users_own():

    def turned(x, mask):
        return torch.where(mask, x.roll(1, 0), x)

    x, weights = torch.randn(4, 3), torch.randn(3)
    both("FeaturePermutation", lambda x: torch.tanh(x) @ weights, turned, inputs=x)


def test_one_example_has_none_to_exchange_with():
    both("FeaturePermutation", lambda x: x.sum(1), inputs=torch.randn(1, 3))


def test_features_with_too_few_rows_are_left_out():
    inputs = (torch.randn(3, 2), torch.randn(1, 2))
    ablations = [package.FeatureAblation(lambda a, b: (a * b).sum()) for package in (ours, captum)]
    for ablation in ablations:
        ablation._min_examples_per_batch_grouped = 2
    mask = (torch.tensor([[0, 1]]), torch.tensor([[1, 2]]))
    got, expected = (ablation.attribute(inputs, feature_mask=mask) for ablation in ablations)
    same(got, expected)
    assert (got[0][:, 1] == 0).all()
    assert (got[1] == 0).all()


def test_a_forward_function_of_promises():
    """`attribute_future` of a function that returns futures gives what `attribute` gives of one that does not."""
    x, weights = torch.randn(3, 4), torch.randn(4)

    def later(x: Tensor) -> Any:
        future: Any = torch.futures.Future()
        future.set_result(torch.tanh(x) @ weights)
        return future

    for name in ("FeatureAblation", "FeaturePermutation", "ShapleyValues", "ShapleyValueSampling"):
        torch.manual_seed(0)
        expected = getattr(captum, name)(later).attribute_future(x).wait()
        torch.manual_seed(0)
        same(getattr(ours, name)(later).attribute_future(x).wait(), expected)
    with pytest.raises(AssertionError):
        ours.FeatureAblation(lambda x: x.sum(1)).attribute_future(x).wait()
    for name in ("Occlusion", "Lime", "KernelShap"):
        with pytest.raises(NotImplementedError):
            getattr(ours, name)(later).attribute_future()


REFUSED = {
    "no perturbations": ("FeatureAblation", {"perturbations_per_eval": 0}),
    "half a perturbation": ("ShapleyValues", {"perturbations_per_eval": 1.5}),
    "none of a permutation": ("FeaturePermutation", {"perturbations_per_eval": 0}),
    "a mask that does not fit": ("ShapleyValues", {"feature_mask": torch.zeros(1, 5, dtype=torch.long)}),
    "a wide window": ("Occlusion", {"sliding_window_shapes": (5,)}),
    "gaps between windows": ("Occlusion", {"sliding_window_shapes": (2,), "strides": (3,)}),
    "no such column": ("FeatureAblation", {"target": (0, 1)}),
    "many numbers": ("Lime", {"target": None}),
    "many numbers, too": ("KernelShap", {"target": None}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_captum_refuses_is_refused_alike(case):
    name, call = REFUSED[case]
    net, x = Net(2, 3, smooth=True), torch.randn(3, 4)
    call = {"target": 0, **call}
    before = fingerprint(net)
    errors = []
    for package in (captum, ours):
        with pytest.raises(Exception) as caught:  # noqa: PT011
            getattr(package, name)(net).attribute(x, **call)
        errors.append(caught.value)
    assert isinstance(errors[1], type(errors[0]))
    assert isinstance(errors[1], ValueError)
    assert fingerprint(net) == before


def test_more_features_than_subsets_can_be_counted_for():
    with pytest.raises(ValueError, match="ShapleyValueSampling"):
        ours.ShapleyValues(lambda x: x.sum(1)).attribute(torch.randn(1, 21))


def test_exact_values_by_brute_force():
    """On 6 features over two inputs, by the definition: the mean over all orders of what each adds."""
    torch.manual_seed(0)
    a, b = torch.randn(2, 4, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    masks = (torch.tensor([[0, 1, 2, 3]]), torch.tensor([[3, 4, 5]]))

    def func(a, b):
        return torch.tanh(a).prod(1) + (a[:, :3] * b).sum(1).exp()

    expected = torch.zeros(2, 6, dtype=torch.float64)
    for order in itertools.permutations(range(6)):
        here: list[int] = []
        before = func(a * 0, b * 0)
        for feature in order:
            here.append(feature)
            kept = [sum((mask == f).double() for f in here) for mask in masks]
            now = func(a * kept[0], b * kept[1])
            expected[:, feature] += (now - before) / 720
            before = now
    got = ours.ShapleyValues(func).attribute((a, b), feature_mask=masks)
    torch.testing.assert_close(got[0], expected[:, :4], atol=1e-12, rtol=0)
    torch.testing.assert_close(got[1], expected[:, 3:], atol=1e-12, rtol=0)


def test_sampled_values_are_within_three_standard_errors_of_exact_ones():
    torch.manual_seed(0)
    x, weights = torch.randn(8, 6, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)

    def func(x):
        return torch.tanh(x @ weights).prod(1)

    exact = ours.ShapleyValues(func).attribute(x)
    runs = torch.stack([ours.ShapleyValueSampling(func).attribute(x, n_samples=20) for _ in range(60)])
    error = runs.std(0) / 60**0.5
    assert ((runs.mean(0) - exact).abs() <= 3 * error + 1e-12).double().mean() > 0.95
    kernel = torch.stack([ours.KernelShap(func).attribute(x, n_samples=100) for _ in range(30)]).double()
    assert ((kernel.mean(0) - exact).abs() <= 3 * kernel.std(0) / 30**0.5).double().mean() > 0.9
