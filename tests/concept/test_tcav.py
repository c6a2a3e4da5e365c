"""TCAV against Captum's on random networks, in closed form, on texts; its cache; what it leaves untouched."""

import os
from functools import partial
from pathlib import Path

import captum.attr as captum_attr
import captum.concept as captum
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import xai_nlp
import xai_nlp.attr
import xai_nlp.concept as ours
from tests.attr.drawn import Case
from tests.concept.explained import BOTH, Calls, Means, batches_of, gaussian, seeded
from tests.models.tiny import tiny
from xai_nlp.core.captum_types import CaptumAssertion, UnknownChoice
from xai_nlp.errors import InvalidInput, UnreadableFile
from xai_nlp.hooks.model_state import fingerprint

KINDS = ("linear", "convolutional", "embedding", "inputs", "outputs")


def scores_of(lib, case, batches, sets, layers, folder, classifier, **how):
    """Scores of sets of concepts, named by the numbers of their batches, and the CAVs."""
    concepts = [lib.Concept(i, f"concept {i}", one) for i, one in enumerate(batches)]
    make = {"classifier": classifier, "attribute_to_layer_input": how["layer_input"], "save_path": str(folder)}
    tcav = lib.TCAV(case.net, layers, **make, **how["train"])
    named = [[concepts[i] for i in one] for one in sets]
    scores = tcav.interpret(case.inputs, named, target=case.target, additional_forward_args=case.extra)
    return scores, tcav.cavs


def assert_same(got, expected):
    """The same sets, layers and scores, and ours may have more."""
    assert set(got) == set(expected)
    for key in expected:
        assert list(got[key]) == list(expected[key])
        for layer, there in expected[key].items():
            assert set(there) <= set(got[key][layer])
            for name, value in there.items():
                torch.testing.assert_close(got[key][layer][name], value, atol=1e-5, rtol=1e-5)


def compare(case, default, folder):
    """Scores and CAVs of both libraries, for sets, layers and a classifier that the case draws."""
    batches = [batches_of(case, case.draw.randint(3 if default else 1, 4)) for _ in range(4)]
    sets = case.draw.choice([[[0, 1]], [[1, 0], [0, 2]], [[2, 0, 1], [3, 0], [1, 3, 2]]])
    layers = case.draw.choice(["left", ["act", "left"]])
    how = {"layer_input": case.kind != "embedding" and case.flag(), "train": {}}  # token ids have no gradient
    if default:
        how["train"] = {"test_split_ratio": case.draw.choice([0.1, 0.2, 0.33])}

    def run(lib):
        place = folder / lib.__name__ / str(case.seed)
        return scores_of(lib, case, batches, sets, layers, place, None if default else Means(), **how)

    (got, cavs), (expected, their_cavs) = (seeded(partial(run, lib), case.seed) for lib in BOTH)
    assert_same(got, expected)
    for key, by_layer in their_cavs.items():
        for layer, cav in by_layer.items():
            stats = cavs[key][layer].stats
            torch.testing.assert_close(stats["weights"], cav.stats["weights"], atol=1e-5, rtol=1e-5)
            assert list(stats["classes"]) == list(cav.stats["classes"])


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_is_captums(kind, default, tmp_path):
    """With the default classifier too: it draws the same random numbers. Captum's takes float32 alone."""
    drawn = (Case(kind, f"TCAV {kind} {number}", single=default) for number in range(100))
    for case in [case for case in drawn if not default or case.dtype == torch.float32][:8]:
        compare(case, default, tmp_path)


def line(weights):
    """A network whose output is w · x at a layer that gives out its input."""
    net = nn.Sequential(nn.Identity(), nn.Linear(len(weights), 1, bias=False))
    net[1].weight.data = torch.tensor([weights])
    return net


def two(a, b):
    return ours.Concept(0, "a", [a]), ours.Concept(1, "b", [b])


class Quadratic(nn.Module):
    """f(x) = Σ xᵢ² / 2, whose gradient is x."""

    def __init__(self):
        super().__init__()
        self.same = nn.Identity()

    def forward(self, x):
        return (self.same(x) ** 2).sum(1) / 2


def test_scores_by_hand(tmp_path):
    """Along d = (1, 0) the slopes are the first coordinates: 2, 1, −1."""
    a, b = two(torch.tensor([[1.0, 5.0], [3.0, 5.0]]), torch.tensor([[0.0, 5.0]]))
    tcav = ours.TCAV(Quadratic(), "same", classifier="fastcav", save_path=str(tmp_path))
    x = torch.tensor([[2.0, 9.0], [1.0, -9.0], [-1.0, 0.0]])
    scores = tcav.interpret(x, [[a, b]])["0-1"]["same"]
    scale = tcav.cavs["0-1"]["same"].stats["weights"][0, 0]  # 2 − 4/3
    torch.testing.assert_close(scale, torch.tensor(2 / 3))
    torch.testing.assert_close(scores["sign_count"], torch.tensor([2 / 3, 1 / 3]))
    torch.testing.assert_close(scores["magnitude"], torch.tensor([2 / 3, -4 / 3]) * 2 / 3)
    torch.testing.assert_close(scores["magnitude_ratio"], torch.tensor([3 / 4, 1 / 4]))


def test_magnitude_is_what_captum_computes_and_the_ratio_what_it_documents(tmp_path):
    """Captum documents Σ|s · (s > 0)| / Σ|s|, which lies in [0, 1], and returns the mean of s."""
    x = torch.tensor([[2.0, 9.0], [1.0, -9.0], [-1.0, 0.0]])
    sets = (torch.tensor([[1.0, 5.0], [3.0, 5.0]]), torch.tensor([[0.0, 5.0]]))
    tcav = captum.TCAV(Quadratic(), "same", classifier=Means(), save_path=str(tmp_path / "captum"))
    reference = tcav.interpret(x, [[captum.Concept(i, str(i), [one]) for i, one in enumerate(sets)]])["0-1"]["same"]
    assert set(reference) == {"sign_count", "magnitude"}
    assert reference["magnitude"].min() < 0  # no ratio
    tcav = ours.TCAV(Quadratic(), "same", classifier=Means(), save_path=str(tmp_path / "ours"))
    got = tcav.interpret(x, [two(*sets)])["0-1"]["same"]
    torch.testing.assert_close(got["magnitude"], reference["magnitude"])
    slopes = x @ tcav.cavs["0-1"]["same"].stats["weights"].flip(0).T  # Means names class 1 first
    torch.testing.assert_close(got["magnitude_ratio"], (slopes * (slopes > 0)).abs().sum(0) / slopes.abs().sum(0))


def test_several_layers_and_layer_inputs_take_one_pass(tmp_path):
    case = Case("linear", "passes", single=False)
    net = Calls(case.net)
    concepts = [ours.Concept(i, str(i), batches_of(case, 2)) for i in range(2)]
    tcav = ours.TCAV(net, ["net.left", "net.act"], classifier="fastcav", save_path=str(tmp_path))
    tcav.compute_cavs([concepts])
    assert net.count == 4


# The cache ------------------------------------------------------------------------------------------------------------


def counted(folder, net, batches, layers="left", name="a", **how):
    """The forward passes that the activations of a concept take, and the vectors."""
    calls = Calls(net)
    tcav = ours.TCAV(net, layers, classifier="fastcav", save_path=str(folder), **how)
    store = tcav._store(tcav.layers)
    found = store.of(ours.Concept(0, name, batches))
    net._forward_pre_hooks.clear()
    return calls.count, next(iter(found.values())).vectors


def test_activations_are_computed_once(tmp_path):
    case = Case("linear", "cache", single=False)
    batches = [batches_of(case, 1)[0] for _ in range(3)]
    first, vectors = counted(tmp_path, case.net, batches)
    again, same = counted(tmp_path, case.net, batches)
    assert (first, again) == (3, 0)
    assert torch.equal(vectors, same)
    shuffled, others = counted(tmp_path, case.net, batches[::-1])
    assert shuffled == 0 and torch.equal(others.sort(0).values, vectors.sort(0).values)
    more, _ = counted(tmp_path, case.net, [*batches, batches_of(case, 1)[0]])
    assert more == 1  # the new batch alone


def test_captums_cache_never_hits(tmp_path):
    """The arguments of `AV.exists` are swapped, so that activations are computed each time."""
    case = Case("linear", "cache", single=False)
    net = Calls(case.net.float())

    def run():
        concepts = [captum.Concept(i, str(i), [one]) for i, one in enumerate((torch.zeros(3, 4), torch.ones(3, 4)))]
        tcav = captum.TCAV(net, "net.left", classifier=Means(), save_path=str(tmp_path))
        tcav.generate_activations({concept: ["net.left"] for concept in concepts})
        before = net.count
        tcav.compute_cavs([concepts])
        return net.count - before

    assert seeded(run) == 2


CHANGES = {
    "weights": lambda net: net.left.weight.data.add_(1e-3),
    "mode": lambda net: net.train(),
    "modules": lambda net: setattr(net, "act", nn.SiLU()),
    "buffers": lambda net: net.register_buffer("more", torch.zeros(1)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_model_is_recognised(change, tmp_path):
    net, batches = Case("linear", "another", single=False).net, [torch.randn(3, 4).double()]
    assert [counted(tmp_path, net, batches)[0] for _ in range(2)] == [1, 0]
    change(net)
    passes, vectors = counted(tmp_path, net, batches)
    assert passes == 1
    with torch.no_grad():
        assert torch.equal(vectors, net.left(batches[0]))


def test_another_layer_pooling_and_other_data_are_recognised(tmp_path):
    net, batches = Case("linear", "another", single=False).net, [torch.randn(3, 4).double()]
    counted(tmp_path, net, batches)
    assert counted(tmp_path, net, batches, "act")[0] == 1
    assert counted(tmp_path, net, batches, attribute_to_layer_input=True)[0] == 1
    assert counted(tmp_path, net, [batches[0] + 1e-9])[0] == 1
    assert counted(tmp_path, net, [batches[0].float().double()])[0] == 1


def trained_in(folder, net, concepts, classifier=None, **how):
    """How often a classifier is trained."""

    class Counting(Means):
        trained = 0

        def train_and_eval(self, *args, **kwargs):
            Counting.trained += 1
            return super().train_and_eval(*args)

    tcav = ours.TCAV(net, ["left", "act"], classifier=Counting(), save_path=str(folder), **how)
    tcav.compute_cavs([concepts])
    weights = {layer: cav.stats["weights"] for layer, cav in tcav.cavs["0-1"].items()}
    return Counting.trained, weights


def test_cavs_are_trained_once(tmp_path):
    case = Case("linear", "trained", single=False)
    concepts = [ours.Concept(i, str(i), batches_of(case, 1)) for i in range(2)]
    first, weights = trained_in(tmp_path, case.net, concepts)
    again, same = trained_in(tmp_path, case.net, concepts)
    assert (first, again) == (2, 0)
    assert all(torch.equal(weights[layer], same[layer]) for layer in weights)
    assert trained_in(tmp_path, case.net, concepts, test_split_ratio=0.1)[0] == 2
    others = [concepts[0], ours.Concept(1, "1", batches_of(case, 1))]
    assert (
        trained_in(tmp_path, case.net, others)[0] == 2
    )  # Captum loads the CAV of the first ones: its ids are the same
    case.net.left.bias.data += 1
    assert trained_in(tmp_path, case.net, others)[0] == 2


def test_captum_loads_the_cav_of_other_examples(tmp_path):
    case = Case("linear", "stale", single=False)

    def weights(lib, place, seed):
        sets = [[gaussian(float(i * seed), 4, 4, seed).double()] for i in range(2)]
        concepts = [lib.Concept(i, str(i), one) for i, one in enumerate(sets)]
        tcav = lib.TCAV(case.net, "left", classifier=Means(), save_path=str(tmp_path / place))
        return tcav.compute_cavs([concepts])["0-1"]["left"].stats["weights"]

    first, second = (seeded(lambda seed=seed: weights(captum, "captum", seed)) for seed in (1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(weights(ours, "ours", 1), weights(ours, "ours", 2))


def test_force_train_and_processes(tmp_path):
    case = Case("linear", "force", single=False)
    concepts = [ours.Concept(i, str(i), batches_of(case, 1)) for i in range(4)]
    sets = [[concepts[0], one] for one in concepts[1:]]
    tcav = ours.TCAV(case.net, ["left", "act"], classifier=ours.DefaultClassifier(seed=0), save_path=str(tmp_path))
    alone = {k: {layer: cav.stats["weights"] for layer, cav in v.items()} for k, v in tcav.compute_cavs(sets).items()}
    together = tcav.compute_cavs(sets, force_train=True, processes=2)
    for key, by_layer in alone.items():
        for layer, weights in by_layer.items():
            assert torch.equal(weights, together[key][layer].stats["weights"])


def test_files_of_others_are_refused_and_left(tmp_path):
    case = Case("linear", "files", single=False)
    batches = batches_of(case, 1)
    counted(tmp_path, case.net, batches)
    (file,) = tmp_path.rglob("*.activations.safetensors")
    for content in (b"no tensors", b"", bytes(200)):
        file.write_bytes(content)
        with pytest.raises(UnreadableFile, match="move it away"):
            counted(tmp_path, case.net, batches)
        assert file.read_bytes() == content


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    """A file of Captum's that lies there is not opened; ours are safetensors."""
    case = Case("linear", "pickles", single=False)
    evil = tmp_path / "default_model_id" / "0-1-left.pkl"
    evil.parent.mkdir(parents=True)
    evil.write_bytes(b"cos\nabort\n(tR.")
    monkeypatch.setattr("pickle.load", lambda *_: pytest.fail("unpickled"))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    concepts = [ours.Concept(i, str(i), batches_of(case, 1)) for i in range(2)]
    for _ in range(2):
        ours.TCAV(case.net, "left", classifier="fastcav", save_path=str(tmp_path)).compute_cavs([concepts])
    made = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert made == {".safetensors", ".pkl"}


def test_names_do_not_lead_out_of_the_folder(tmp_path):
    case = Case("linear", "names", single=False)
    counted(tmp_path / "cav", case.net, batches_of(case, 1), name="../../../out")
    counted(tmp_path / "cav", case.net, batches_of(case, 1), name="a name " * 100)
    assert {path.parts[len(tmp_path.parts)] for path in tmp_path.rglob("*")} == {"cav"}


# Texts ----------------------------------------------------------------------------------------------------------------

SHORT, LONG = ["fine film", "dull film"], ["a film that is gripping and fine", "two sisters in a dull film"]


def texts(tokenizer, some):
    return tokenizer(some, padding=True, return_tensors="pt")


def text_tcav(folder, pooling, layer="bert.encoder.layer.1", model=None):
    model, tokenizer = (model, tiny("bert")[1]) if model is not None else tiny("bert", fresh=True)
    tcav = ours.TCAV(model, layer, classifier="fastcav", save_path=str(folder), pooling=pooling)
    concepts = [ours.Concept(i, str(i), [texts(tokenizer, one)]) for i, one in enumerate((SHORT, LONG))]
    return tcav, concepts, texts(tokenizer, [*SHORT, *LONG])


@pytest.mark.parametrize("pooling", ["mean", "first", "tokens"])
def test_texts_of_different_length(pooling, tmp_path):
    """Against the hidden states that the model itself gives out, and slopes by finite steps of all of them."""
    tcav, concepts, inputs = text_tcav(tmp_path, pooling)
    tcav.model.double()
    scores = tcav.interpret(inputs, [concepts], target=1)["0-1"]["bert.encoder.layer.1"]
    pooled = []
    for concept in concepts:
        (batch,) = concept.data_iter
        with torch.no_grad():
            hidden = tcav.model(**batch, output_hidden_states=True).hidden_states[2]
        mask = batch["attention_mask"].bool()
        each = [row[one] for row, one in zip(hidden, mask, strict=True)]
        made = {"mean": [t.mean(0) for t in each], "first": [t[0] for t in each], "tokens": torch.cat(each)}[pooling]
        pooled.append(torch.stack(list(made)))
    means = torch.stack([one.mean(0) for one in pooled])
    weights = means - torch.cat(pooled).mean(0)
    torch.testing.assert_close(tcav.cavs["0-1"]["bert.encoder.layer.1"].stats["weights"], weights)
    module, mask = tcav.model.bert.encoder.layer[1], inputs["attention_mask"]
    slopes = []
    for places in moved(pooling, mask):
        for direction in weights:
            step = 1e-5 * places[:, :, None] * direction
            up, down = (shifted(tcav.model, module, inputs, sign * step) for sign in (1, -1))
            slopes.append(((up - down)[:, 1] / 2e-5)[places.any(1)])
    along = torch.cat([torch.stack(pair, 1) for pair in zip(slopes[::2], slopes[1::2], strict=True)]).float()
    torch.testing.assert_close(scores["magnitude"], along.mean(0), atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(scores["sign_count"], (along > 0).float().mean(0))


def moved(pooling, mask):
    """Which tokens move together: all of a text, the first, or each by itself."""
    if pooling == "mean":
        return [mask.bool()]
    first = torch.zeros_like(mask, dtype=torch.bool)
    first[:, 0] = True
    each = [torch.eye(mask.shape[1], dtype=torch.bool)[k] & mask.bool() for k in range(mask.shape[1])]
    return [first] if pooling == "first" else each


def shifted(model, module, inputs, step):
    """The logits when a step is added to a layer's output."""
    handle = module.register_forward_hook(
        lambda module, args, output: (output[0] + step, *output[1:]) if isinstance(output, tuple) else output + step
    )
    with handle, torch.no_grad():
        return model(**inputs).logits


def test_padding_and_batches_do_not_change_pooled_scores(tmp_path):
    tcav, concepts, inputs = text_tcav(tmp_path, "mean")
    tokenizer = tiny("bert")[1]
    whole = tcav.interpret(inputs, [concepts], target=1)["0-1"]
    apart = [ours.Concept(i, f"apart {i}", [texts(tokenizer, [t]) for t in o]) for i, o in enumerate((SHORT, LONG))]
    tcav = ours.TCAV(tcav.model, tcav.layers, classifier="fastcav", save_path=str(tmp_path / "b"), pooling="mean")
    padded = tokenizer([*SHORT, *LONG], padding="max_length", max_length=20, return_tensors="pt")
    for layer, there in tcav.interpret(padded, [apart], target=1)["0-1"].items():
        for name, value in there.items():
            torch.testing.assert_close(value, whole[layer][name], atol=1e-5, rtol=1e-4)


def test_hook_points_and_layers_with_several_tensors(tmp_path):
    tcav, concepts, inputs = text_tcav(tmp_path, "mean")
    points = xai_nlp.points(tcav.model)
    named = tcav.interpret(inputs, [concepts], target=1)["0-1"]["bert.encoder.layer.1"]
    at = ours.TCAV(tcav.model, points.layers[1], classifier="fastcav", save_path=str(tmp_path / "b"), pooling="mean")
    assert all(
        torch.equal(named[k], v)
        for k, v in at.interpret(inputs, [concepts], target=1)["0-1"][str(points.layers[1])].items()
    )

    class Pair(nn.Module):
        def forward(self, x):
            return x, 2 * x

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.pair = Pair()

        def forward(self, x):
            first, second = self.pair(x)
            return (first + 3 * second).sum(1)

    tcav = ours.TCAV(Sum(), "pair", classifier="fastcav", save_path=str(tmp_path / "c"))
    scores = tcav.interpret(torch.rand(3, 1), [two(torch.ones(2, 1), torch.zeros(2, 1))])["0-1"]["pair"]
    torch.testing.assert_close(scores["magnitude"], torch.tensor([3.5, -3.5]))  # (1, 3) · (0.5, 1)


def test_loaders_tuples_and_dicts_give_the_same(tmp_path):
    case = Case("inputs", "forms", single=False)

    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = case.net

        def forward(self, a, b, scale=1.0):
            return self.net(a, b, scale)

    data = [tuple(case.some(shape, 6) for shape in case.shapes) for _ in range(2)]
    forms = {
        "tuple": [[one] for one in data],
        "list": [[list(one)] for one in data],
        "loader": [DataLoader(TensorDataset(*one), batch_size=4) for one in data],
        "dict": [[dict(zip("ab", one, strict=True))] for one in data],
    }
    found = {}
    for form, both in forms.items():
        concepts = [ours.Concept(i, str(i), one) for i, one in enumerate(both)]
        inputs = dict(zip("ab", case.tensors, strict=True)) if form == "dict" else case.tensors
        tcav = ours.TCAV(Named(), "net.act", classifier="fastcav", save_path=str(tmp_path / form))
        found[form] = tcav.interpret(inputs, [concepts], target=0)["0-1"]["net.act"]
    for scores in found.values():
        assert all(torch.equal(scores[name], value) for name, value in found["tuple"].items())


# Other attributions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["LayerIntegratedGradients", "LayerGradientShap", "LayerGradientXActivation"])
def test_a_layer_attribution_is_used_as_captum_uses_it_and_left_as_it_was(name, tmp_path):
    case = Case("linear", f"attribution {name}", single=False)
    kwargs = {"LayerIntegratedGradients": {"n_steps": 7}, "LayerGradientShap": {}, "LayerGradientXActivation": {}}[name]
    batches = [batches_of(case, 1) for _ in range(2)]

    def run(lib, attr, place):
        method = getattr(attr, name)(case.net, case.net.last)
        tcav = lib.TCAV(case.net, "act", classifier=Means(), layer_attr_method=method, save_path=str(tmp_path / place))
        concepts = [lib.Concept(i, str(i), one) for i, one in enumerate(batches)]
        more = {"baselines": torch.zeros_like(case.tensors[0])} if name == "LayerGradientShap" else {}
        return method, tcav.interpret(case.inputs, [concepts], target=0, **kwargs, **more)

    case.tuple_in, case.inputs = False, case.tensors[0]
    batches = [[b[0] if isinstance(b, tuple) else b for b in one] for one in batches]
    method, got = seeded(lambda: run(ours, xai_nlp.attr, "ours"))
    _, expected = seeded(lambda: run(captum, captum_attr, "captum"))
    assert method.layer is case.net.last
    if name != "LayerGradientShap":  # each library draws its own noise
        assert_same(got, expected)


# Bad input and untouched models ---------------------------------------------------------------------------------------


def test_bad_input_is_refused(tmp_path):
    net, folder = line([1.0, 2.0]), str(tmp_path)
    a, b = two(torch.zeros(2, 2), torch.ones(2, 2))
    x = torch.rand(3, 2)
    with pytest.raises(AssertionError, match="torch module"):
        ours.TCAV(lambda x: x, "0", save_path=folder)
    with pytest.raises(AssertionError, match="model_id"):
        ours.TCAV(net, "0", model_id="", save_path=folder)
    with pytest.raises(AttributeError, match="nope"):
        ours.TCAV(net, "nope", save_path=folder)
    with pytest.raises(CaptumAssertion, match="name of a module"):
        ours.TCAV(net, 3, save_path=folder)
    with pytest.raises(UnknownChoice, match="fastcav"):
        ours.TCAV(net, "0", classifier="fastcaw", save_path=folder)
    with pytest.raises(CaptumAssertion, match="train_and_eval"):
        ours.TCAV(net, "0", classifier=3, save_path=folder)
    with pytest.raises(UnknownChoice, match="mean"):
        ours.TCAV(net, "0", pooling="average", save_path=folder)
    tcav = ours.TCAV(net, "0", classifier="fastcav", save_path=folder)
    for sets in ([], [[a]], [[a, a]], [[]]):
        with pytest.raises(CaptumAssertion, match="experimental_sets"):
            tcav.interpret(x, sets)
    with pytest.raises(AssertionError, match="one id"):
        tcav.interpret(x, [[a, b], [a, ours.Concept(1, "other", [torch.ones(2, 2)])]])
    with pytest.raises(AssertionError, match="attribute_to_layer_input"):
        tcav.interpret(x, [[a, b]], attribute_to_layer_input=True)
    for data, message in (
        (None, "no data_iter"),
        ([], "no examples"),
        (iter([]), "no examples"),
        ([["text"]], "tensors"),
    ):
        with pytest.raises(CaptumAssertion, match=message):
            ours.TCAV(net, "0", save_path=folder).interpret(x, [[a, ours.Concept(7, "seven", data)]])
    with pytest.raises(CaptumAssertion, match="pooling='mean'"):
        ours.TCAV(net, "0", save_path=folder).interpret(x, [[a, ours.Concept(7, "wide", [torch.zeros(2, 2, 2)])]])
    with pytest.raises(CaptumAssertion, match="target"):
        tcav.interpret(x, [[a, b]], target=[0])
    pooled = ours.TCAV(net, "0", pooling="mean", save_path=folder)
    with pytest.raises(CaptumAssertion, match="examples, tokens, numbers"):
        pooled.interpret(x, [[a, b]])
    with pytest.raises(CaptumAssertion, match="return_tensors"):
        tcav.interpret({"input": [[1.0, 2.0]]}, [[a, b]])


class Failing(Means):
    def train_and_eval(self, *args, **kwargs):
        raise KeyboardInterrupt


@pytest.mark.parametrize("way", ["success", "bad target", "interrupt"])
def test_model_inputs_and_generators_are_untouched(way, tmp_path):
    net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 2)).train()
    net[0].weight.grad = torch.ones(4, 3)
    x, sets = torch.rand(5, 3), [torch.rand(4, 3), torch.rand(4, 3)]
    copies = [x.clone(), *(one.clone() for one in sets)]
    state, before = torch.get_rng_state(), fingerprint(net)
    tcav = ours.TCAV(net, "0", classifier=Failing() if way == "interrupt" else "fastcav", save_path=str(tmp_path))
    torch.set_rng_state(state)
    error = {"success": None, "bad target": InvalidInput, "interrupt": KeyboardInterrupt}[way]
    call = lambda: tcav.interpret(x, [two(*sets)], target=9 if way == "bad target" else 0)  # noqa: E731
    if error:
        with pytest.raises(error):
            call()
    else:
        call()
    assert fingerprint(net) == before
    assert all(torch.equal(one, copy) for one, copy in zip([x, *sets], copies, strict=True))
    assert not x.requires_grad and x.grad is None
    assert not [path for path in Path(tmp_path).rglob("*") if path.name.endswith(".part")]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(OSError, match="file"):
        ours.TCAV(line([1.0]), "0", save_path=os.fspath(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "text"
