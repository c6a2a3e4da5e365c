"""Perturbation and surrogates under Captum's names, against Captum: networks, inputs, masks and options at random."""

import itertools
import warnings
from typing import Any

import captum.attr as captum
import pytest
import torch
from captum._utils.models.linear_model import SkLearnLasso, SkLearnLinearRegression, SkLearnRidge
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import xai_nlp.attr as ours
from tests.attr.networks import Net
from xai_nlp.hooks.model_state import fingerprint

quick = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


class Conv(nn.Module):
    """An image in, three numbers out, with an activation in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act = nn.Conv2d(1, 2, 2), nn.ReLU(inplace=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor, scale: Any = 1.0) -> Tensor:
        return self.out(self.act(self.first(x)).flatten(1)) * (scale[:, None] if isinstance(scale, Tensor) else scale)


class Words(nn.Module):
    """Token ids in, three numbers out."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.out = nn.Embedding(9, 4), nn.Tanh(), nn.Linear(4, 3)

    def forward(self, ids: Tensor, scale: Any = 1.0) -> Tensor:
        hidden = self.act(self.first(ids).cumsum(1)).mean(1)
        return self.out(hidden) * (scale[:, None] if isinstance(scale, Tensor) else scale)


class Grid(nn.Module):
    """Several numbers for each example: (B, 2, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act = nn.Linear(4, 6), nn.Tanh()

    def forward(self, x: Tensor, scale: Any = 1.0) -> Tensor:
        factor = scale[:, None, None] if isinstance(scale, Tensor) else scale
        return self.act(self.first(x)).unflatten(1, (2, 3)) * factor


class Case:
    """A network, inputs and arguments, drawn once and given to both."""

    def __init__(self, draw: Any, kinds: str = "linear pair conv words grid", batch: int = 1) -> None:
        self.kind = draw(st.sampled_from(kinds.split()))
        self.seed = draw(st.integers(0, 10_000))
        torch.manual_seed(self.seed)
        self.dtype = draw(st.sampled_from([torch.float32, torch.float64]))
        B = self.batch = draw(st.integers(batch, 4))
        number: Any = 0.5
        if self.kind in ("linear", "pair"):
            self.net: Any = Net(draw(st.integers(1, 5)), 3, smooth=draw(st.booleans()))
        else:
            self.net = {"conv": Conv, "words": Words, "grid": Grid}[self.kind]()
        self.net.to(self.dtype)
        if self.kind == "words":
            self.inputs: Any = torch.randint(9, (B, 5))
            number = 3
        elif self.kind == "conv":
            self.inputs = torch.randn(B, 1, 3, 3, dtype=self.dtype)
        else:
            self.inputs = torch.randn(B, 4, dtype=self.dtype)
        if self.kind == "pair":
            self.inputs = (self.inputs, torch.randn(B, 3, dtype=self.dtype))
        elif draw(st.booleans()):
            self.inputs = (self.inputs,)
        self.tuple_in = isinstance(self.inputs, tuple)
        every = self.inputs if self.tuple_in else (self.inputs,)
        columns = [(self.seed + b) % 3 for b in range(B)]
        self.target = draw(
            st.sampled_from(
                [(1, 2), (0,), [(b % 2, c) for b, c in enumerate(columns)], None]
                if self.kind == "grid"
                else [1, (2,), columns, torch.tensor(columns), torch.tensor(0), [(c,) for c in columns], None]
            )
        )
        self.one_number = self.target is not None and not (self.kind == "grid" and self.target == (0,))
        self.baselines = self.shaped(
            {
                "none": None,
                "number": [number] * len(every),
                "tensor": [x.flip(0) if x.ndim > 1 else x for x in every],
                "one row": [x[:1] for x in every],
            }[draw(st.sampled_from(["none", "number", "tensor", "one row"]))]
        )
        masks = {
            "none": None,
            "groups": [(torch.arange(x[0].numel()) % 3 + i).view(1, *x.shape[1:]) for i, x in enumerate(every)],
            "gaps": [(torch.arange(x[0].numel()) % 3 * 2).view(1, *x.shape[1:]) for x in every],
            "few dimensions": [torch.arange(x.shape[-1]) % 3 for x in every],
            "per example": [(torch.arange(x.numel()) // 2 % 4).view(x.shape) for x in every],
        }
        # With several numbers an example and a mask of its own for each, Captum mixes up its axes.
        names = [n for n in masks if self.one_number or n != "per example"]
        self.mask_kind = draw(st.sampled_from(names))
        self.mask = self.shaped(masks[self.mask_kind])
        none = (None,) if self.kind == "linear" else ()
        scale = torch.rand(B, dtype=self.dtype) + 0.5
        self.extra = draw(st.sampled_from([None, (*none, scale), (*none, 2.0)]))
        self.per_eval = draw(st.integers(1, 5))
        if self.mask_kind == "few dimensions":
            self.per_eval = 1  # Captum takes the mask's last axes for perturbations otherwise

    def __repr__(self) -> str:
        return repr({k: v for k, v in vars(self).items() if k not in ("net", "inputs")})

    def shaped(self, tensors: Any) -> Any:
        return tensors if tensors is None else tuple(tensors) if self.tuple_in else tensors[0]

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(
            target=self.target, additional_forward_args=self.extra, feature_mask=self.mask,
            perturbations_per_eval=self.per_eval,
        )  # fmt: skip


def cases(*args: Any, **kwargs: Any) -> Any:
    return st.composite(lambda draw: Case(draw, *args, **kwargs))()


def same(got: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Equal structure, shapes and values; relative to the largest score where that is above 1."""
    assert type(got) is type(expected), (type(got), type(expected))
    if isinstance(expected, tuple):
        for mine, theirs in zip(got, expected, strict=True):
            same(mine, theirs, tolerance)
        return
    assert got.shape == expected.shape
    assert not got.requires_grad
    assert got.dtype.is_floating_point
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    torch.testing.assert_close(got.double(), expected.double(), atol=tolerance * scale, rtol=0)


def both(name: str, func: Any, *make: Any, inputs: Any, tolerance: float = 1e-5, **call: Any) -> None:
    """The same call of both, from the same state of torch's generator, which they leave in the same state."""
    torch.manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = getattr(captum, name)(func, *make).attribute(inputs, **call)
        state = torch.get_rng_state()
        torch.manual_seed(7)
        before = fingerprint(func) if isinstance(func, nn.Module) else None
        got = getattr(ours, name)(func, *make).attribute(inputs, **call)
    assert torch.equal(torch.get_rng_state(), state)
    assert before is None or fingerprint(func) == before
    same(got, expected, tolerance)


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
    double = lambda t: t.double() if isinstance(t, Tensor) and t.is_floating_point() else t  # noqa: E731
    every = lambda given: tuple(map(double, given)) if isinstance(given, tuple) else double(given)  # noqa: E731
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
        return float(torch.exp(-((inputs[0] - sample[0]) ** 2).sum() / width))

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


# Where Captum documents something that a random network does not show. -----------------------------------------------


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


def test_a_permutation_of_the_users_own():
    turned = lambda x, mask: torch.where(mask, x.roll(1, 0), x)  # noqa: E731
    x, weights = torch.randn(4, 3), torch.randn(3)
    both("FeaturePermutation", lambda x: torch.tanh(x) @ weights, turned, inputs=x)


def test_one_example_has_none_to_exchange_with():
    both("FeaturePermutation", lambda x: x.sum(1), inputs=torch.randn(1, 3))


def test_inputs_with_other_numbers_of_rows():
    """Tensors with few rows, or none, beside a batch, where the output belongs to all of them."""
    torch.manual_seed(0)
    inputs = (torch.randn(3, 2), torch.randn(1, 2), torch.randn(0, 2))
    func = lambda a, b, c: (torch.tanh(a) * (1 + b)).sum() + c.sum()  # noqa: E731
    for masks in (None, (torch.tensor([[0, 1]]), torch.tensor([[1, 2]]), torch.tensor([[0, 3]]))):
        both("FeatureAblation", func, inputs=inputs, feature_mask=masks)
        both("FeaturePermutation", func, inputs=inputs, feature_mask=masks)


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


@pytest.mark.parametrize("name", ["FeatureAblation", "FeaturePermutation", "ShapleyValueSampling", "Lime"])
def test_progress_goes_to_standard_error(name, capsys):
    net, x = nn.Linear(4, 1), torch.randn(3, 4)
    torch.manual_seed(0)
    silent = getattr(ours, name)(net).attribute(x)
    torch.manual_seed(0)
    same(getattr(ours, name)(net).attribute(x, show_progress=True), silent)
    assert capsys.readouterr().out == ""


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


def test_a_surrogate_without_a_way_between_its_spaces():
    for interpretable in (True, False):
        with pytest.raises(AssertionError):
            ours.LimeBase(sum, None, max, max, interpretable, None, None)


def test_a_generator_that_ends_early():
    def few(inputs: Any, **_: Any) -> Any:
        yield from (torch.ones(1, 4), torch.zeros(1, 4))

    with pytest.warns(UserWarning, match="2 of 25"):
        ours.Lime(nn.Linear(4, 1), None, None, few).attribute(torch.randn(1, 4))


def test_more_features_than_subsets_can_be_counted_for():
    with pytest.raises(ValueError, match="ShapleyValueSampling"):
        ours.ShapleyValues(lambda x: x.sum(1)).attribute(torch.randn(1, 21))


def test_exact_values_by_brute_force():
    """On 6 features over two inputs, by the definition: the mean over all orders of what each adds."""
    torch.manual_seed(0)
    a, b = torch.randn(2, 4, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    masks = (torch.tensor([[0, 1, 2, 3]]), torch.tensor([[3, 4, 5]]))
    func = lambda a, b: torch.tanh(a).prod(1) + (a[:, :3] * b).sum(1).exp()  # noqa: E731
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
    func = lambda x: torch.tanh(x @ weights).prod(1)  # noqa: E731
    exact = ours.ShapleyValues(func).attribute(x)
    runs = torch.stack([ours.ShapleyValueSampling(func).attribute(x, n_samples=20) for _ in range(60)])
    error = runs.std(0) / 60**0.5
    assert ((runs.mean(0) - exact).abs() <= 3 * error + 1e-12).double().mean() > 0.95
    kernel = torch.stack([ours.KernelShap(func).attribute(x, n_samples=100) for _ in range(30)]).double()
    assert ((kernel.mean(0) - exact).abs() <= 3 * kernel.std(0) / 30**0.5).double().mean() > 0.9


def test_lime_finds_the_weights_of_a_linear_model():
    torch.manual_seed(0)
    x, weights = torch.randn(3, 5), torch.randn(5)
    got = ours.Lime(lambda x: x @ weights, SkLearnLinearRegression()).attribute(x, n_samples=40)
    torch.testing.assert_close(got, x * weights, atol=1e-5, rtol=0)
