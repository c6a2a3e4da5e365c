"""Captum's helpers against ours: kinds of attribution, inputs, embedding layers, data sets, statistics."""

import inspect
import random
import warnings
from typing import Any

import captum.attr as captum
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import xai_nlp.attr as ours
from tests.attr.networks import Net
from tests.attr.test_against_captum import SINGLE, cases, quick, same
from tests.models.tiny import tiny
from xai_nlp.hooks.model_state import fingerprint

BOTH = (captum, ours)
seeds = st.integers(0, 10_000)


def drawn(seed: int) -> random.Random:
    torch.manual_seed(seed)
    return random.Random(seed)


# Kinds of attribution ------------------------------------------------------------------------------------------------


@given(cases)
@quick
def test_convergence_delta(case):
    scores = torch.randn_like(case.inputs[0] if case.tuple_in else case.inputs)
    scores = (scores, torch.randn_like(case.inputs[1])) if case.tuple_in else scores
    found = [
        lib.GradientAttribution(case.net).compute_convergence_delta(
            scores, case.baselines, case.inputs, case.target, case.extra
        )
        for lib in BOTH
    ]
    same(found[1], found[0], case.dtype)


@given(seeds)
@quick
def test_interpolate(seed):
    dice = drawn(seed)
    dims = dice.choice([1, 2, 3])
    scores = torch.randn(2, 3, *(dice.randint(1, 5) for _ in range(dims)))
    size = dice.choice([dice.randint(1, 9), tuple(dice.randint(1, 9) for _ in range(dims))])
    mode = dice.choice(["nearest", "area", {1: "linear", 2: "bilinear", 3: "trilinear"}[dims]])
    found = [lib.LayerAttribution.interpolate(scores, size, mode) for lib in BOTH]
    assert torch.equal(*found)


KINDS = sorted(
    name
    for name in set(captum.__all__) & set(ours.__all__)
    if inspect.isclass(getattr(captum, name)) and issubclass(getattr(captum, name), captum.Attribution)
)
ABOVE = ["Attribution", "GradientAttribution", "PerturbationAttribution", "LayerAttribution", "NeuronAttribution"]


@pytest.mark.parametrize("name", KINDS)
def test_kinds(name):
    mine, theirs = getattr(ours, name), getattr(captum, name)
    assert mine.get_name() == theirs.get_name()
    for kind in ABOVE:
        if issubclass(theirs, getattr(captum, kind)):
            assert issubclass(mine, getattr(ours, kind)), kind


def made(lib: Any, name: str, net: Net) -> Any:
    """An attribution of that name."""
    if name in ("NoiseTunnel", "DataLoaderAttribution"):
        return getattr(lib, name)(lib.FeatureAblation(net))
    layer = "layer" in inspect.signature(getattr(lib, name).__init__).parameters
    return getattr(lib, name)(net, net.first) if layer else getattr(lib, name)(net)


@pytest.mark.parametrize("name", [n for n in KINDS if "Grad" in n or "Conductance" in n or n.endswith("Attribution")])
def test_kinds_say_what_captums_say(name):
    if name == "GuidedGradCam" or name.startswith(("LLM", "RemoteLLM")):
        return  # need more than a layer
    net = Net(3, 2, smooth=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, mine = (made(lib, name, net) for lib in BOTH)
    assert mine.has_convergence_delta() == theirs.has_convergence_delta()
    assert mine.multiplies_by_inputs == theirs.multiplies_by_inputs


@pytest.mark.parametrize("name", ["Saliency", "InputXGradient", "IntegratedGradients", "GradientShap", "NoiseTunnel"])
def test_there_is_no_future(name):
    for lib in BOTH:
        with pytest.raises(NotImplementedError):
            made(lib, name, Net(3, 2, smooth=True)).attribute_future()


# Interpretable inputs ------------------------------------------------------------------------------------------------

WORDS = ["", "no", "one", "knows", "{a}", "why", "Ελλάδα"]


@given(seeds)
@quick
def test_templates(seed):
    dice = drawn(seed)
    n, named = dice.randint(1, 5), dice.random() < 0.5
    gaps = [f"{{g{i}}}" if named else "{}" for i in range(n)]
    template: Any = " ".join(dice.choice(WORDS[:4]) + gap for gap in gaps)
    if dice.random() < 0.3:
        template = (lambda **gaps: "|".join(sorted(gaps.values()))) if named else (lambda *gaps: "|".join(gaps))
    shaped: Any = (lambda items: {f"g{i}": item for i, item in enumerate(items)}) if named else list
    values, others = (shaped(dice.choices(WORDS, k=n)) for _ in range(2))
    baselines = dice.choice([None, others, lambda: others])
    mask = dice.choice([None, shaped([dice.randint(0, 3) for _ in range(n)])])
    theirs, mine = (lib.TextTemplateInput(template, values, baselines, mask) for lib in BOTH)
    assert torch.equal(mine.to_tensor(), theirs.to_tensor())
    assert (mine.n_itp_features, mine.n_features, mine.values) == (
        theirs.n_itp_features,
        theirs.n_features,
        theirs.values,
    )
    assert mine.to_model_input() == theirs.to_model_input()
    present = (torch.rand(1, mine.n_itp_features) < 0.5).float()
    assert mine.to_model_input(present) == theirs.to_model_input(present)
    scores = torch.randn(dice.randint(1, 3), mine.n_itp_features)
    assert torch.equal(mine.format_attr(scores), theirs.format_attr(scores))


@given(seeds)
@quick
def test_tokens(seed):
    dice = drawn(seed)
    _, tokenizer = tiny("bert")
    text = " ".join(dice.choices(["good", "film", "bad", "the", "a", "acting"], k=dice.randint(1, 6)))
    ids = tokenizer.encode(text)
    some = dice.sample(ids, k=dice.randint(1, len(ids) - 1)) if len(set(ids)) > 2 else ids[:1]
    skip = dice.choice([None, some, tokenizer.convert_ids_to_tokens(some)])
    if skip and set(ids) == set(some):
        skip = None
    baselines = dice.choice([0, 3, tokenizer.convert_ids_to_tokens([5])[0]])
    theirs, mine = (lib.TextTokenInput(text, tokenizer, baselines, skip) for lib in BOTH)
    assert mine.values == theirs.values
    assert (mine.n_itp_features, mine.baselines) == (theirs.n_itp_features, theirs.baselines)
    assert torch.equal(mine.to_tensor(), theirs.to_tensor())
    assert torch.equal(mine.to_model_input(), theirs.to_model_input())
    present = torch.randint(0, 2, (dice.randint(1, 3), mine.n_itp_features))
    assert torch.equal(mine.to_model_input(present), theirs.to_model_input(present))
    scores = torch.randn(2, mine.n_itp_features)
    assert torch.equal(mine.format_attr(scores), theirs.format_attr(scores))


@given(seeds)
@quick
def test_images(seed):
    dice = drawn(seed)
    width, height = dice.randint(1, 6), dice.randint(2, 6)  # Captum takes the mask of one pixel for a number
    image = Image.frombytes("RGB", (width, height), bytes(dice.choices(range(256), k=3 * width * height)))
    how = dice.choice(["whole", "regions", "overlapping"])
    masks: dict[str, Any] = {
        "whole": {},
        "regions": {"mask": torch.randint(-1, 4, (height, width)) * 3},
        "overlapping": {"mask_list": [torch.rand(height, width) < 0.5 for _ in range(dice.randint(1, 3))]},
    }[how]
    if dice.random() < 0.5:
        masks["processor_fn"] = lambda image: torch.tensor(list(image.tobytes()))
    if dice.random() < 0.5:
        masks["baseline"] = (1, 2, 3)
    theirs, mine = (lib.ImageMaskInput(image, **masks) for lib in BOTH)
    assert torch.equal(mine.to_tensor(), theirs.to_tensor())
    assert (mine.values, mine.mask_id_to_idx) == (theirs.values, theirs.mask_id_to_idx)
    present = (torch.rand(1, mine.n_itp_features) < 0.5).float()
    for features in (None, present):
        got, expected = mine.to_model_input(features), theirs.to_model_input(features)
        assert torch.equal(got, expected) if isinstance(got, torch.Tensor) else got.tobytes() == expected.tobytes()
    for got, expected in zip(mine.get_mask_list(), theirs.get_mask_list(), strict=True):
        assert torch.equal(got, expected)
    scores = torch.randn(1, mine.n_itp_features)
    assert torch.equal(mine.format_attr(scores), theirs.format_attr(scores))
    torch.testing.assert_close(mine.format_pixel_attr(scores), theirs.format_pixel_attr(scores))


@pytest.mark.parametrize(("border", "legends"), [(0, True), (1, False), (2, True)])
def test_regions_drawn(border, legends):
    """As many pictures and words as Captum draws; colours are ours, and the same every time."""
    import matplotlib.pyplot as plt

    image = Image.new("RGB", (6, 5), (10, 200, 30))
    mask = torch.arange(30).view(5, 6) // 10
    drawn = [lib.ImageMaskInput(image, mask).plot_mask_overlay(False, border, legends) for lib in (*BOTH, ours)]
    pictures = [(len(ax.images), [text.get_text() for text in ax.texts]) for _, ax in drawn]
    assert pictures[0] == pictures[1]
    assert all(
        (a.get_array() == b.get_array()).all() for a, b in zip(drawn[1][1].images, drawn[2][1].images, strict=True)
    )
    assert (drawn[1][1].images[1].get_array()[..., 3] > 0).sum() == 10
    plt.close("all")


@given(seeds)
@quick
def test_products_of_baselines(seed):
    dice = drawn(seed)
    lists: Any = [dice.choices(range(100), k=dice.randint(1, 4)) for _ in range(dice.randint(1, 4))]
    if dice.random() < 0.7:
        lists = {f"f{i}": values for i, values in enumerate(lists)}
        if dice.random() < 0.5:
            lists["a", "b"] = [(1, 2), (3, 4), (5, 6)]
    theirs, mine = (lib.ProductBaselines(lists) for lib in BOTH)
    found = []
    for products in (theirs, mine):
        random.seed(seed)
        found.append([products(), products.sample(), products()])
    assert found[0] == found[1]


REFUSED_INPUTS = {
    "values": lambda lib: lib.TextTemplateInput("{}", "text"),
    "template": lambda lib: lib.TextTemplateInput(3, ["a"]),
    "baselines": lambda lib: lib.TextTemplateInput("{a}", {"a": "x"}, ["y"]),
    "called baselines": lambda lib: lib.TextTemplateInput("{}", ["x"], lambda: {"a": "y"}).to_model_input(
        torch.zeros(1, 1)
    ),
    "mask": lambda lib: lib.TextTemplateInput("{a}", {"a": "x"}, None, [0]),
    "image mask": lambda lib: lib.ImageMaskInput(Image.new("RGB", (2, 3)), torch.zeros(2, 3)),
    "image masks": lambda lib: lib.ImageMaskInput(Image.new("RGB", (2, 3)), mask_list=[torch.zeros(2, 3)]),
    "no vectors": lambda lib: lib.InterpretableEmbeddingBase(nn.Embedding(2, 2), "x")(),
    "other method": lambda lib: lib.DataLoaderAttribution(lib.Saliency(nn.Linear(2, 1))),
    "other kind of update": lambda lib: summarized(lib, [torch.ones(2), (torch.ones(2),)]),
    "text to summarize": lambda lib: summarized(lib, ["text"]),
    "too few labels": lambda lib: lib.ClassSummarizer([lib.Mean()]).update(torch.ones(3, 2), [0, 1]),
    "roles": lambda lib: over(lib, torch.ones(4, 2), input_roles=(0, 1)),
    "no role": lambda lib: over(lib, torch.ones(4, 2), input_roles=(1,)),
    "rows of baselines": lambda lib: over(lib, torch.ones(4, 2), baselines=(torch.ones(2, 2),)),
    "number of baselines": lambda lib: over(lib, torch.ones(4, 2), baselines=(0, 1)),
    "rows of masks": lambda lib: over(lib, torch.ones(4, 2), feature_mask=(torch.ones(2, 2).long(),)),
    "no tensor": lambda lib: over(lib, torch.ones(4, 2), reduce=lambda *_: 1.0),
}


X, Y = torch.ones(2, 4), torch.ones(2, 3)
REFUSED_ARGUMENTS = {
    "integration": lambda lib, net: lib.IntegratedGradients(net).attribute(X, target=0, method="simpson"),
    "rows of baselines": lambda lib, net: lib.IntegratedGradients(net).attribute(X, torch.ones(3, 4), target=0),
    "number of baselines": lambda lib, net: lib.IntegratedGradients(net).attribute((X, Y), X, target=0),
    "list of inputs": lambda lib, net: lib.Saliency(net).attribute([X], target=0),
    "targets": lambda lib, net: lib.Saliency(net).attribute(X, target=[0, 1, 0]),
    "no target": lambda lib, net: lib.InputXGradient(net).attribute(X),
    "target of too many axes": lambda lib, net: lib.Saliency(net).attribute(X, target=(0, 0)),
    "kind of target": lambda lib, net: lib.Saliency(net).attribute(X, target="0"),
    "neuron of several tensors": lambda lib, net: lib.NeuronGradient(net, net.pair).attribute(X, 0),
    "axes of a neuron": lambda lib, net: lib.NeuronGradient(net, net.first).attribute(X, (0, 0)),
    "rows of scores": lambda lib, net: lib.IntegratedGradients(net).compute_convergence_delta(X[:1], X, X, 0),
    "layer's integration": lambda lib, net: lib.LayerConductance(net, net.first).attribute(X, target=0, method="?"),
    "layer's baselines": lambda lib, net: lib.LayerIntegratedGradients(net, net.first).attribute(X, Y, target=0),
}


@pytest.mark.filterwarnings("ignore:Input Tensor")
@pytest.mark.parametrize("why", sorted(REFUSED_ARGUMENTS))
def test_gradients_refuse_what_captum_refuses_with_an_error_of_its_type(why):
    net = Net(3, 2, smooth=True)
    for lib in BOTH:
        with pytest.raises(AssertionError):
            REFUSED_ARGUMENTS[why](lib, net)


@pytest.mark.parametrize("why", sorted(REFUSED_INPUTS))
def test_refuses_what_captum_refuses_with_an_error_of_its_type(why):
    for lib in BOTH:
        with pytest.raises(AssertionError):
            REFUSED_INPUTS[why](lib)


def test_interpretable_inputs_are_abstract():
    for lib in BOTH:
        with pytest.raises(TypeError):
            lib.InterpretableInput()


# Embedding layers ----------------------------------------------------------------------------------------------------


class Words(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"words": nn.Embedding(11, width)})
        self.out = nn.Linear(width, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(torch.tanh(self.inner["words"](ids)).sum(1))


@given(seeds)
@quick
def test_embedding_layers(seed):
    dice = drawn(seed)
    net = Words(dice.randint(1, 5))
    ids = torch.randint(0, 11, (dice.randint(1, 3), dice.randint(1, 4)))
    before, found = fingerprint(net), []
    for lib in BOTH:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layer = lib.configure_interpretable_embedding_layer(net, "inner.words")
        assert isinstance(layer, lib.InterpretableEmbeddingBase)
        assert (layer.num_embeddings, layer.full_name) == (11, "inner.words")
        with pytest.raises(AssertionError):
            lib.configure_interpretable_embedding_layer(net, "inner.words")
        vectors = layer.indices_to_embeddings(ids)
        assert torch.equal(layer(some=vectors), vectors)
        start = lib.TokenReferenceBase(seed % 11).generate_reference(ids.shape[1], torch.device("cpu"))
        x0 = layer.indices_to_embeddings(start)[None].detach()
        found.append(lib.IntegratedGradients(net).attribute(vectors, x0, target=1, n_steps=9))
        lib.remove_interpretable_embedding_layer(net, layer)
        assert fingerprint(net) == before
    same(found[1], found[0], torch.float32, SINGLE)


def test_an_unknown_embedding_layer():
    for lib in BOTH:
        with pytest.raises(AttributeError):
            lib.configure_interpretable_embedding_layer(Words(2), "inner.letters")


# Data sets -----------------------------------------------------------------------------------------------------------


def over(lib: Any, data: Any, **how: Any) -> Any:
    data = data if isinstance(data, tuple) else (data,)
    loader = DataLoader(TensorDataset(*data), batch_size=3)
    return lib.DataLoaderAttribution(lib.FeatureAblation(how.pop("net", nn.Flatten()))).attribute(loader, **how)


def correct(state: Any, output: torch.Tensor, inputs: tuple[Any, ...]) -> Any:
    """Counts of what was right, and of all."""
    right = (output.argmax(1) == inputs[-1]).sum() + (state[0] if state else 0)
    return right, len(output) + (state[1] if state else 0)


METRICS: dict[str, dict[str, Any]] = {
    "outputs": {},
    "sum": {"reduce": lambda state, output, inputs: output.sum(0) + (0 if state is None else state)},
    "loss": {"reduce": lambda state, output, inputs: output.square().sum() + (0 if state is None else state)},
    "accuracy": {"reduce": correct, "to_metric": lambda state: state[0] / state[1]},
}


@given(seeds)
@quick
def test_data_sets(seed):
    dice = drawn(seed)
    rows, net = dice.randint(1, 7), Net(dice.randint(1, 4), 3, smooth=True)
    a, b, labels = torch.randn(rows, 4), torch.randn(rows, 3), torch.randint(0, 3, (rows,))
    metric = dice.choice(sorted(METRICS))
    data, roles, shapes = dice.choice(
        [((a, b, labels), (0, 0, 2), [4, 3]), ((a, b, labels), (0, 1, 2), [4]), ((a, labels), (0, 2), [4])]
    )
    how: dict[str, Any] = {
        "net": net,
        "input_roles": roles,
        "baselines": dice.choice([None, tuple(dice.choice([0.5, torch.randn(1, n)]) for n in shapes)]),
        "feature_mask": dice.choice([None, tuple(torch.randint(0, 5, (1, n)) for n in shapes)]),
        "perturbations_per_pass": dice.randint(1, 4),
        "return_input_shape": dice.random() < 0.7,
        **METRICS[metric],
    }
    found = [over(lib, data, **dict(how)) for lib in BOTH]
    same(found[1], found[0], torch.float32, SINGLE)


def test_data_sets_of_images_without_roles():
    """Every entry of a picture, several axes."""
    data = torch.randn(5, 2, 3)
    found = [over(lib, data, reduce=lambda state, output, inputs: output.sum(0)) for lib in BOTH]
    same(found[1], found[0], torch.float32, SINGLE)
    assert found[1][0].shape == (6, 2, 3)


def test_data_sets_of_bare_tensors():
    """Captum goes through a bare tensor row by row, and explains the first row alone; ours takes it for the batch."""
    rows = [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])]
    attribution = ours.DataLoaderAttribution(ours.FeatureAblation(lambda x: x.sum(1)))
    total = lambda state, output, inputs: output.sum() + (0 if state is None else state)  # noqa: E731
    scores = attribution.attribute(DataLoader(rows, batch_size=2), reduce=total)  # type: ignore[arg-type]
    assert torch.equal(scores, torch.tensor([[4.0, 7.0]]))


def test_whole_numbers_stay_whole():
    """Token ids are replaced, not multiplied: Captum's turn into floats, which an embedding refuses."""
    net = Words(2)
    ids = torch.randint(0, 11, (5, 3))
    scores = over(
        ours, ids, net=net, reduce=lambda state, output, inputs: output.sum(0) + (0 if state is None else state)
    )
    without = ids.clone()
    without[:, 1] = 0
    expected = net(ids).sum(0) - net(without).sum(0)
    torch.testing.assert_close(scores[0][:, 1], expected.detach())


# Statistics ----------------------------------------------------------------------------------------------------------

STATS = {
    "Count": {},
    "Mean": {},
    "MSE": {},
    "Var": {"order": 1},
    "StdDev": {"order": 0},
    "Min": {},
    "Max": {},
    "Sum": {},
}


def chosen(lib: Any, names: list[str], named: bool) -> list[Any]:
    stats = [getattr(lib, name)(**STATS[name]) for name in names]
    if named:
        stats += [lib.Var("of mine", 2), lib.StdDev("of mine too", 1)]
    return stats + (lib.CommonStats() if not names else [])


def summarized(lib: Any, updates: list[Any], names: tuple[str, ...] = ("Mean",), named: bool = False) -> Any:
    summarizer = lib.Summarizer(chosen(lib, list(names), named))
    for update in updates:
        summarizer.update(update)
    return summarizer.summary


def alike(got: Any, expected: Any) -> None:
    if isinstance(expected, torch.Tensor):
        assert got.dtype == expected.dtype
        torch.testing.assert_close(got, expected, atol=2e-6, rtol=2e-5)
    elif isinstance(expected, dict):
        assert got.keys() == expected.keys()
        for key in expected:
            alike(got[key], expected[key])
    elif isinstance(expected, list):
        for mine, theirs in zip(got, expected, strict=True):
            alike(mine, theirs)
    else:
        assert got == expected


@given(seeds, st.lists(st.sampled_from(sorted(STATS)), max_size=5), st.booleans())
@quick
def test_statistics(seed, names, named):
    dice = drawn(seed)
    shapes = [tuple(dice.randint(1, 3) for _ in range(dice.randint(0, 3))) for _ in range(dice.randint(1, 2))]
    dtype = dice.choice([torch.float32, torch.float64, torch.int64])
    updates: list[Any] = [
        tuple((torch.randn(shape) * 9 + 5).to(dtype) for shape in shapes) for _ in range(dice.randint(0, 6))
    ]
    if dice.random() < 0.5:
        updates = [update[0] for update in updates]
    elif dice.random() < 0.3:
        updates = [dice.random() for _ in updates]
    theirs, mine = (summarized(lib, updates, tuple(names), named) for lib in BOTH)
    alike(mine, theirs)


@given(seeds)
@quick
def test_statistics_of_classes(seed):
    dice = drawn(seed)
    summarizers = [lib.ClassSummarizer([*lib.CommonStats(), lib.Count(), lib.Sum()]) for lib in BOTH]
    for _ in range(dice.randint(1, 4)):
        rows = dice.randint(1, 4)
        x: Any = (torch.randn(rows, 2), torch.randn(rows, 3, 1))
        labels = dice.choice([[dice.choice("abc") for _ in range(rows)], "b", 3, [("x", 1)]])
        for summarizer in summarizers:
            summarizer.update(x, labels)
    theirs, mine = summarizers
    alike(mine.summary, theirs.summary)
    alike(mine.class_summaries, theirs.class_summaries)


def test_classes_may_be_numbers_in_a_tensor():
    summarizer = ours.ClassSummarizer([ours.Count()])
    summarizer.update(torch.ones(3, 2), torch.tensor([4, 7, 4]))
    assert summarizer.class_summaries == {4: [{"count": 2}], 7: [{"count": 1}]}
    assert summarizer.summary == [{"count": 3}]


def test_without_labels_a_batch_is_one_value():
    for lib in BOTH:
        summarizer = lib.ClassSummarizer([lib.Count(), lib.Sum()])
        summarizer.update(torch.ones(3, 2))
        assert summarizer.summary["count"] == 1
        assert summarizer.class_summaries == {}


@given(seeds)
@quick
def test_a_summarizer_of_one_tensor(seed):
    dice = drawn(seed)
    values = [torch.randn(2, 2) for _ in range(dice.randint(1, 5))]
    found = []
    for lib in BOTH:
        stats = [lib.Count(), lib.Mean(), lib.MSE(), lib.Var(), lib.StdDev(), lib.Max()]
        shown = [stats.index(stat) for stat in (lib.Var(), lib.Mean(), lib.Max())]
        one = lib.SummarizerSingleTensor(stats, shown)
        for value in values:
            one.update(value)
        assert one.get(lib.Count()).get() == len(values)
        assert one.get(lib.Min()) is None
        found.append(one.summary)
    alike(found[1], found[0])


def test_variance_does_not_cancel():
    values = [torch.tensor([1e8 + k], dtype=torch.float64) for k in range(4)]
    assert summarized(ours, values, ("Var",)) == {"sample_variance": torch.tensor([5 / 3], dtype=torch.float64)}


def test_statistics_alone_and_of_ones_own():
    alone = ours.Var(order=1)
    for k in range(3):
        alone.update(torch.tensor(float(k)))
    assert alone.get() == 1
    assert ours.Mean().get() is None

    class Last(type(ours.Mean()).__mro__[2]):  # Stat
        def update(self, x):
            self.x = x

        def get(self):
            return self.x

    summarizer = ours.Summarizer([Last(digits=3), Last(digits=3), ours.Mean("average")])
    summarizer.update(torch.tensor(2.0))
    assert summarizer.summary == {"last({'digits': 3})": torch.tensor(2.0), "average": torch.tensor(2.0)}
    assert Last() != Last(digits=3)


def test_what_is_summed_is_a_copy():
    x = torch.ones(2)
    summarizer = ours.Summarizer([ours.Min(), ours.Mean()])
    summarizer.update(x)
    x.fill_(5)
    assert summarizer.summary["min"].tolist() == summarizer.summary["mean"].tolist() == [1, 1]
