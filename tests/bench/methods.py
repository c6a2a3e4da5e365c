"""Every attribution name of `xai_nlp.attr`, ours against Captum 0.9 in one run: speed, values, peak memory.

On a classifier of BERT's width with a short sentence, with fewer layers than BERT-base unless more are asked for, and
on the convolutional net of Captum's tutorial: sixteen images at once for gradients, one where regions are taken away.
Both packages are called alike, with Captum's defaults. Vectors go in where gradients are wanted, token ids where words
are taken away. Memory is what a call takes that is not the first, with as many perturbations at once for both.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import captum.attr as captum
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from transformers import BertConfig, BertForSequenceClassification

import xai_nlp.attr as ours
from tests.bench.measure import largest_difference, paired, peaks, product_rate
from tests.models.tiny_generation import writing
from xai_nlp.hooks import onednn

TOGETHER = 8
PACKAGES = {"ours": ours, "captum": captum}


class Logits(nn.Module):
    """A classifier's logits, of ids or of the vectors that stand for them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(**{"inputs_embeds" if x.is_floating_point() else "input_ids": x}).logits


class Convolving(nn.Module):
    """The network of Captum's tutorial on CIFAR-10."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act1, self.pool1 = nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)
        self.second, self.act2, self.pool2 = nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)
        self.wide, self.act3 = nn.Linear(400, 120), nn.ReLU()
        self.narrow, self.act4 = nn.Linear(120, 84), nn.ReLU()
        self.last = nn.Linear(84, 10)
        self.last.weight.data *= 20  # so that LIME's lasso finds something

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.act1(self.first(x)))
        x = self.pool2(self.act2(self.second(x))).flatten(1)
        return self.last(self.act4(self.narrow(self.act3(self.wide(x)))))


class Scene(NamedTuple):
    """A model and what it is asked about."""

    model: nn.Module
    x: Tensor  # floats; the first of them is explained unless several are needed
    x0: Tensor
    words: Tensor  # what parts are taken from: ids, or the same floats
    words0: Tensor
    mask: Tensor  # words, or regions, to be taken from it
    window: tuple[int, ...]
    layer: nn.Module
    neuron: tuple[int, ...]
    together: int  # examples that gradients are asked for at once
    inside: Tensor | None  # parts of what the layer gives out, a word's together; each entry alone if None


def text(layers: int, tokens: int) -> Scene:
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(num_hidden_layers=layers)).eval()
    return text_scene(
        model, model.bert.embeddings.word_embeddings, model.bert.encoder.layer[layers // 2].output, tokens
    )


def text_scene(model: Any, embed: nn.Embedding, layer: nn.Module, tokens: int) -> Scene:
    """A classifier of texts, with `classifier` or `score` as its last layer, and four texts."""
    last = model.classifier if hasattr(model, "classifier") else model.score
    last.weight.data *= 100  # so that LIME's lasso finds something
    most = embed.num_embeddings
    ids, pads = torch.randint(most // 30, most, (4, tokens)), torch.zeros(4, tokens, dtype=torch.long)
    ids[:, 0] = pads[:, 0] = 101  # [CLS] and [SEP] stay, as in Captum's tutorials
    ids[:, -1] = pads[:, -1] = 102
    vectors = (embed(ids).detach(), embed(pads).detach())
    words = torch.arange(tokens)[None]
    return Scene(Logits(model), *vectors, ids, pads, words, (1,), layer, (0, 0), 1, words[:, :, None])


def image() -> Scene:
    torch.manual_seed(0)
    model, size = Convolving().eval(), 32
    x, x0 = torch.rand(16, 3, size, size), torch.zeros(16, 3, size, size)
    rows = torch.arange(size) // 4
    regions = (rows[:, None] * 8 + rows).repeat(1, 3, 1, 1)
    return Scene(model, x, x0, x, x0, regions, (3, 4, 4), model.second, (0, 0, 0), len(x), None)


Made = Callable[[], Any]
Bind = Callable[[Any, Scene], Made]  # a package and a scene: what is timed


def plain(name: str, *, at: str = "", several: bool = False, x0: bool = False, target: bool = True, **how: Any) -> Bind:
    """A name that is asked about vectors; `at` a "layer", or a "neuron" of it."""

    def bind(package: Any, s: Scene) -> Made:
        method = getattr(package, name)(s.model, *([s.layer] if at else []))
        call = {"neuron_selector": s.neuron} if at == "neuron" else {}
        call |= {"baselines": s.x0 if several else s.x0[:1]} if x0 else {}
        call |= {"target": 0} if target else {}
        return partial(method.attribute, s.x[: s.together].clone(), **call, **how)

    return bind


def taken(name: str, *, examples: int = 1, grouped: bool = False, most: int = 0, x0: bool = True, **how: Any) -> Bind:
    """A name that takes words or regions away, with Captum's defaults: perturbations_per_eval=1.

    Without `grouped` every entry is a feature; with `most`, words or regions are put together until there are so few.
    """

    def bind(package: Any, s: Scene) -> Made:
        call = {"baselines": s.words0[:1]} if x0 else {}
        call |= {"feature_mask": s.mask * most // (int(s.mask.max()) + 1) if most else s.mask} if grouped else {}
        call |= {"sliding_window_shapes": s.window, "strides": s.window} if name == "Occlusion" else {}
        return partial(getattr(package, name)(s.model).attribute, s.words[:examples], target=0, **call, **how)

    return bind


def inside(name: str, examples: int = 1) -> Bind:
    """A name that takes parts of a layer away; the target is in the function, as one of Captum's trips over it."""

    def bind(package: Any, s: Scene) -> Made:
        method = getattr(package, name)(lambda x: s.model(x)[:, 0], s.layer)
        return partial(method.attribute, s.words[:examples], layer_mask=s.inside)

    return bind


def ablated_neuron(package: Any, s: Scene) -> Made:
    method = package.NeuronFeatureAblation(s.model, s.layer)
    return partial(method.attribute, s.words[:1], s.neuron, s.words0[:1], feature_mask=s.mask)


def grad_cam(package: Any, s: Scene) -> Made:
    return partial(package.GuidedGradCam(s.model, s.layer).attribute, s.x[: s.together].clone(), target=0)


def noisy(package: Any, s: Scene) -> Made:
    method = package.NoiseTunnel(package.Saliency(s.model))
    return partial(method.attribute, s.x[: s.together].clone(), target=0, stdevs=0.1)


def own_surrogate(package: Any, s: Scene) -> Made:
    from captum._utils.models.linear_model import SkLearnLinearRegression

    def point(sample: Tensor, x: Tensor, **_: Any) -> Tensor:
        return torch.where(sample.bool()[0, s.mask[0]][None], x, s.words0[:1])

    method = package.LimeBase(
        s.model,
        SkLearnLinearRegression(),
        lambda x, z, sample, **_: torch.ones(1),
        lambda x, **_: torch.bernoulli(torch.full((1, int(s.mask.max()) + 1), 0.5)),
        True,
        point,
        None,
    )
    return partial(method.attribute, s.words[:1], target=0)


def data_set(package: Any, s: Scene) -> Made:
    loader = DataLoader(TensorDataset(s.words), batch_size=2)
    whole = package.FeatureAblation(lambda x: s.model(x.to(s.words.dtype)))  # Captum's are floats by then
    method = package.DataLoaderAttribution(whole)
    return partial(method.attribute, loader, feature_mask=s.mask, perturbations_per_pass=1)


def prompt(package: Any, name: str, kind: str, *layer: str, **how: Any) -> Made:
    model, tokenizer = writing("gpt2")
    method = getattr(package, name)(model, *(model.get_submodule(path) for path in layer))
    asked = package.TextTokenInput("The plot is thin, the acting dull and lifeless", tokenizer)
    whole = getattr(package, kind)(method, tokenizer)
    return lambda: whole.attribute(asked, target=" great movie", **how).token_attr


INPUTS: dict[str, Bind] = {
    "Saliency": plain("Saliency"),
    "InputXGradient": plain("InputXGradient"),
    "IntegratedGradients": plain("IntegratedGradients", x0=True),
    "GradientShap": plain("GradientShap", x0=True, several=True),
    "NoiseTunnel": noisy,
    "GuidedBackprop": plain("GuidedBackprop"),
    "Deconvolution": plain("Deconvolution"),
    "DeepLift": plain("DeepLift", x0=True),
    "DeepLiftShap": plain("DeepLiftShap", x0=True, several=True),
    "LRP": plain("LRP"),
}
TAKEN: dict[str, Bind] = {
    "FeatureAblation": taken("FeatureAblation"),
    "Occlusion": taken("Occlusion"),
    "FeaturePermutation": taken("FeaturePermutation", examples=4, grouped=True, x0=False),
    "ShapleyValueSampling": taken("ShapleyValueSampling", grouped=True),
    "ShapleyValues": taken("ShapleyValues", grouped=True, most=4),  # Captum goes through all orders
    "KernelShap": taken("KernelShap", grouped=True),
    "Lime": taken("Lime", grouped=True),
    "LimeBase": own_surrogate,
    "DataLoaderAttribution": data_set,
}
INSIDE: dict[str, Bind] = {
    "LayerActivation": plain("LayerActivation", at="layer", target=False),
    "LayerConductance": plain("LayerConductance", at="layer", x0=True),
    "LayerDeepLift": plain("LayerDeepLift", at="layer", x0=True),
    "LayerDeepLiftShap": plain("LayerDeepLiftShap", at="layer", x0=True, several=True),
    "LayerFeatureAblation": inside("LayerFeatureAblation"),
    "LayerFeaturePermutation": inside("LayerFeaturePermutation", examples=4),
    "LayerGradCam": plain("LayerGradCam", at="layer"),
    "LayerGradientShap": plain("LayerGradientShap", at="layer", x0=True, several=True),
    "LayerGradientXActivation": plain("LayerGradientXActivation", at="layer"),
    "LayerIntegratedGradients": plain("LayerIntegratedGradients", at="layer", x0=True),
    "LayerLRP": plain("LayerLRP", at="layer"),
    "InternalInfluence": plain("InternalInfluence", at="layer", x0=True),
    "NeuronConductance": plain("NeuronConductance", at="neuron", x0=True),
    "NeuronDeepLift": plain("NeuronDeepLift", at="neuron", x0=True, target=False),
    "NeuronDeepLiftShap": plain("NeuronDeepLiftShap", at="neuron", x0=True, several=True, target=False),
    "NeuronFeatureAblation": ablated_neuron,
    "NeuronGradient": plain("NeuronGradient", at="neuron", target=False),
    "NeuronGradientShap": plain("NeuronGradientShap", at="neuron", x0=True, several=True, target=False),
    "NeuronIntegratedGradients": plain("NeuronIntegratedGradients", at="neuron", target=False, x0=True),
    "NeuronDeconvolution": plain("NeuronDeconvolution", at="neuron", target=False),
    "NeuronGuidedBackprop": plain("NeuronGuidedBackprop", at="neuron", target=False),
    "GuidedGradCam": grad_cam,
}
PROMPTS: dict[str, Bind] = {
    "LLMAttribution": lambda package, _: prompt(package, "FeatureAblation", "LLMAttribution", use_cached_outputs=False),
    "LLMGradientAttribution": lambda package, _: prompt(
        package, "LayerIntegratedGradients", "LLMGradientAttribution", "transformer.wte"
    ),
}
EVERY = INPUTS | TAKEN | INSIDE
#: Captum cannot be asked (its LRP knows no such layers), or means something else by it.
ALONE = {
    ("text", "LRP"): "refused by Captum",
    ("text", "LayerLRP"): "refused by Captum",
    ("text", "GuidedGradCam"): "a map of a sequence is no image",
}
AT_ONCE = set(TAKEN) - {"DataLoaderAttribution"} | {n for n in INSIDE if "FeatureAblation" in n or "Permutation" in n}
SLOPES = {"DeepLift", "DeepLiftShap", "LayerDeepLift", "LayerDeepLiftShap", "NeuronDeepLift", "NeuronDeepLiftShap"}


def scene(which: str, layers: int, tokens: int, double: bool = False) -> Scene:
    made = {"text": partial(text, layers, tokens), "image": image, "prompt": image}[which]()
    if not double:
        return made
    made.model.double()
    return Scene(*(part.double() if isinstance(part, Tensor) and part.is_floating_point() else part for part in made))


def works(which: str) -> dict[str, Bind]:
    return PROMPTS if which == "prompt" else {n: b for n, b in EVERY.items() if (which, n) not in ALONE}


def seed() -> None:
    """The same draws for both: Captum draws from the global generators, and so do its names here."""
    torch.manual_seed(0)
    np.random.seed(0)


def quiet(run: Made) -> Made:
    """Captum warns of the hooks it sets."""

    def again() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return run()

    return again


def prepared(which: str, layers: int, tokens: int) -> Callable[[str], Made]:
    """For a process whose memory is measured: from "ours|name" to what is run."""
    made = scene(which, layers, tokens)

    def named(task: str) -> Made:
        package, name = task.split("|")
        run = works(which)[name](PACKAGES[package], made)
        return quiet(partial(run, perturbations_per_eval=TOGETHER) if name in AT_ONCE else run)

    return named


def difference(got: Any, expected: Any) -> float:
    pairs = zip(*(value if isinstance(value, tuple) else (value,) for value in (got, expected)), strict=True)
    return max(largest_difference(a.detach(), b.detach()) for a, b in pairs)


def row(which: str, name: str, made: Scene, seconds: float, memory: dict[str, float]) -> str:
    mine, theirs = (quiet(works(which)[name](package, made)) for package in (ours, captum))
    clock = time.process_time  # others may run on the machine
    mine(), theirs()  # warm
    start = clock()
    mine(), theirs()
    once = clock() - start
    pair = paired(mine, theirs, max(3, min(60, int(seconds / once))), clock, seed)
    same = f"{difference(pair.result, pair.reference):.0e}" + " ¹" * (name in SLOPES)
    mib = [f"{memory.get(f'{who}|{name}', float('nan')):.0f}" for who in PACKAGES]
    cells = (name, f"{1e3 * pair.ours:.1f}", f"{1e3 * pair.theirs:.1f}", f"{pair.theirs / pair.ours:.2f}", same, *mib)
    return f"| {' | '.join(cells)} |"


TITLES = {
    "text": "A classifier as wide as BERT, {layers} layers, {tokens} tokens",
    "image": "The convolutional net of Captum's tutorial on CIFAR-10",
    "prompt": "A tiny GPT-2",
}


def run(given: argparse.Namespace) -> None:
    if given.torch_products:
        onednn.onednn_is_faster = lambda: False  # type: ignore[assignment]
    print(f"torch {torch.__version__}, threads: {torch.get_num_threads()}, time of the processor")
    rates = [f"{product_rate(product):.0f}" for product in (nn.functional.linear, onednn.onednn_linear)]
    by_columns = product_rate(onednn.onednn_linear, column_major=True)
    print(f"products: torch's {rates[0]}, oneDNN's {rates[1]}, by column-major weights {by_columns:.0f} GFLOP/s")
    for which in given.models:
        names = [name for name in works(which) if not given.only or name in given.only]
        make = partial(prepared, which, given.layers, given.tokens)
        memory = peaks(make, [f"{who}|{name}" for name in names for who in PACKAGES]) if given.memory else {}
        print(f"\n{TITLES[which].format(**vars(given))}\n")
        print("| name | ours ms | Captum ms | ratio | largest difference | ours MiB | Captum MiB |\n|---|" + "--:|" * 6)
        made = scene(which, given.layers, given.tokens, given.double)
        for name in names:
            print(row(which, name, made, given.seconds, memory), flush=True)
        for (model, name), why in ALONE.items():
            if model == which:
                print(f"| {name} | | | | {why} | | |")


def add_to(commands: Any) -> None:
    parser = commands.add_parser("methods", help=__doc__)
    parser.add_argument("--layers", type=int, default=2, help="of the classifier; BERT-base has 12")
    parser.add_argument("--tokens", type=int, default=10)
    parser.add_argument("--models", nargs="*", choices=TITLES, default=list(TITLES))
    parser.add_argument("--only", nargs="*", help="names; all without")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each name, at least three rounds")
    parser.add_argument("--no-memory", dest="memory", action="store_false")
    parser.add_argument("--double", action="store_true", help="values and times in float64")
    parser.add_argument("--torch-products", action="store_true", help="no product is handed to oneDNN")
    parser.set_defaults(run=run)
