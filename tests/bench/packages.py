"""Captum's other packages, ours against Captum 0.9 in one run: milliseconds, ratio, largest difference, peak memory.

Each package is a function that says what is called: one more package is one more function in `PACKAGES`. Work is of
realistic size: attacks and metrics on a classifier as large as BERT-base, in the embeddings of its words; gates and
linear models on as much data as they are used with. Attacks step by the gradient's sign, which rounding decides where
the gradient is nearly 0: there values differ.
"""

from __future__ import annotations

import argparse
import importlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tests.bench.concepts import concept
from tests.bench.influence import influence
from tests.bench.measure import largest_difference, paired, peaks
from tests.bench.methods import PACKAGES as ATTR
from tests.bench.methods import Scene, image, quiet, seed, text

Work = Callable[[], Any]
Bind = Callable[[Any, str], Work]  # a package, and whose it is ("ours" or "captum"): what is timed


def robust(scene: Scene, together: int = 1) -> dict[str, Bind]:
    """Attacks on the embeddings of two texts, and searches and comparisons with them."""
    x, label = scene.x[:2], torch.tensor([0, 0])
    entropy = nn.CrossEntropyLoss(reduction="none")

    def noise(inputs: Tensor, std: float) -> Tensor:
        return inputs + std * torch.randn_like(inputs)

    def fgsm(package: Any, _: str) -> Work:
        return partial(package.FGSM(scene.model, entropy).perturb, x, 0.01, label)

    def pgd(package: Any, _: str) -> Work:
        attack = package.PGD(scene.model, entropy)
        return partial(attack.perturb, x, 0.1, 0.02, 5, label, random_start=True)

    def search(mode: str) -> Bind:
        def bind(package: Any, _: str) -> Work:
            right = int(scene.model(x[:1]).argmax())
            finder = package.MinParamPerturbation(scene.model, noise, "std", 0.0, 0.1, 0.01, mode=mode)
            return partial(finder.evaluate, x[:1], target=right)

        return bind

    def comparison(package: Any, _: str) -> Work:
        comparator = package.AttackComparator(scene.model, lambda output: output.softmax(1)[:, 0])
        comparator.add_attack(package.FGSM(scene.model, entropy), attack_kwargs={"epsilon": 0.01, "target": label})
        comparator.add_attack(noise, "noise", num_attempts=5, attack_kwargs={"std": 0.02})
        return partial(comparator.evaluate, x, perturbations_per_eval=4)

    def call(package: Any, _: str) -> Work:
        perturbation = package.Perturbation()
        perturbation.perturb = partial(noise, std=0.1)
        return partial(perturbation, x)

    return {
        "FGSM": fgsm,
        "PGD, 5 steps": pgd,
        "MinParamPerturbation, linear": search("linear"),
        "MinParamPerturbation, binary": search("binary"),
        "AttackComparator": comparison,
        "Perturbation": call,
    }


def metrics(scene: Scene, together: int = 1) -> dict[str, Bind]:
    """Metrics of scores of the embeddings of two texts, with ten perturbations of each."""
    x, x0 = scene.x[:2], scene.x0[:1]
    scores = torch.randn_like(x)

    def removed(inputs: Tensor, baselines: Tensor) -> Tensor:
        return torch.where(torch.rand(inputs.shape[:2])[:, :, None] < 0.5, inputs, baselines)

    def infidelity(**how: Any) -> Bind:
        def bind(package: Any, _: str) -> Work:
            perturb = package.infidelity_perturb_func_decorator(True)(removed)
            return partial(package.infidelity, scene.model, perturb, x, scores, x0, target=0, **how)

        return bind

    def decorator(package: Any, _: str) -> Work:
        return partial(
            package.infidelity_perturb_func_decorator(True)(removed), x.repeat(10, 1, 1), x0.repeat(20, 1, 1)
        )

    def sensitivity(name: str, limit: int | None = None, **how: Any) -> Bind:
        def bind(package: Any, whose: str) -> Work:
            attribute = getattr(ATTR[whose], name)(scene.model).attribute
            call = {"n_perturb_samples": 3, "max_examples_per_batch": limit, "target": 0} | how
            return partial(package.sensitivity_max, attribute, x.clone(), **call)

        return bind

    def of_an_image(package: Any, whose: str) -> Work:
        picture = image()
        attribute = ATTR[whose].Occlusion(picture.model).attribute
        how = {"target": 0, "sliding_window_shapes": (3, 4, 4), "strides": (3, 4, 4), **ablated}
        return partial(package.sensitivity_max, attribute, picture.x[:1].clone(), max_examples_per_batch=1, **how)

    words = scene.mask[:, :, None]
    ablated = {"perturbations_per_eval": together}
    return {
        "infidelity": infidelity(),
        "infidelity, 4 rows at once": infidelity(max_examples_per_batch=4),
        "infidelity, 2 rows at once": infidelity(max_examples_per_batch=2, normalize=True),
        "infidelity_perturb_func_decorator": decorator,
        "sensitivity_max of Saliency": sensitivity("Saliency"),
        "sensitivity_max of IntegratedGradients": sensitivity("IntegratedGradients", 2, n_steps=5, baselines=x0),
        "sensitivity_max of FeatureAblation": sensitivity(
            "FeatureAblation", 2, feature_mask=words, baselines=x0, **ablated
        ),
        "sensitivity_max of Occlusion, a small image": of_an_image,
    }


def module(scene: Scene, together: int = 1) -> dict[str, Bind]:
    """Gates for the numbers of 32 texts' embeddings, there and back."""
    x = torch.randn(32, 16, 768)

    def gates(name: str, mask: Tensor | None, count: int) -> Bind:
        def bind(package: Any, _: str) -> Work:
            seed()
            made = getattr(package, name)(count, mask)

            def work() -> tuple[Tensor, Tensor]:
                gated, penalty = made(x)
                (gated.mean() + penalty).backward()
                return gated.detach(), penalty.detach()

            return work

        return bind

    units = torch.arange(768)
    names = ("BinaryConcreteStochasticGates", "GaussianStochasticGates")
    each = {f"{name}, each entry": gates(name, None, 16 * 768) for name in names}
    return each | {f"{name}, by unit": gates(name, units, 768) for name in names}


def linear_model(scene: Scene, together: int = 1) -> dict[str, Bind]:
    """Linear models of 2,000 samples of 50 features, as LIME and concepts fit them."""
    generator = torch.Generator().manual_seed(0)
    x = torch.bernoulli(torch.full((2000, 50), 0.5), generator=generator)
    y = x @ torch.randn(50, generator=generator)
    w = torch.rand(2000, generator=generator) + 0.1

    def fitted(name: str, make: Mapping[str, Any], **how: Any) -> Bind:
        labels = (y > 0).long() if "Logistic" in name or "Classifier" in name else y

        def bind(package: Any, _: str) -> Work:
            def work() -> Tensor:
                model = getattr(package, name)(**make)
                model.fit(DataLoader(TensorDataset(x, labels, w), batch_size=200), **how)
                return model.representation()

            return work

        return bind

    return {
        "SkLearnLasso": fitted("SkLearnLasso", {"alpha": 0.01}),
        "SkLearnRidge": fitted("SkLearnRidge", {}),
        "SkLearnLinearRegression": fitted("SkLearnLinearRegression", {}),
        "SkLearnLogisticRegression": fitted("SkLearnLogisticRegression", {}),
        "SkLearnSGDClassifier": fitted("SkLearnSGDClassifier", {"random_state": 0}),
        "SGDLasso": fitted("SGDLasso", {}, max_epoch=20, alpha=0.01),
        "SGDRidge": fitted("SGDRidge", {}, max_epoch=20, alpha=0.01),
        "SGDLinearRegression": fitted("SGDLinearRegression", {}, max_epoch=20),
    }


#: perturbations at once where memory is measured, for both; times are at Captum's default, 1
TOGETHER = 8
#: The package's name -> what is called, and where both libraries have it.
PACKAGES: dict[str, tuple[Callable[[Scene, int], dict[str, Bind]], dict[str, str]]] = {
    "robust": (robust, {"ours": "xai_nlp.robust", "captum": "captum.robust"}),
    "concept": (concept, {"ours": "xai_nlp.concept", "captum": "captum.concept"}),
    "influence": (influence, {"ours": "xai_nlp.influence", "captum": "captum.influence"}),
    "metrics": (metrics, {"ours": "xai_nlp.metrics", "captum": "captum.metrics"}),
    "module": (module, {"ours": "xai_nlp.module", "captum": "captum.module"}),
    "linear_model": (
        linear_model,
        {"ours": "xai_nlp.attr.linear_model", "captum": "captum._utils.models.linear_model.model"},
    ),
}


def works(name: str, scene: Scene, together: int = 1) -> dict[str, dict[str, Work]]:
    """What is called of a package, and whose: ours and Captum's work."""
    calls, places = PACKAGES[name]
    packages = {whose: importlib.import_module(place) for whose, place in places.items()}
    return {
        call: {whose: quiet(bind(package, whose)) for whose, package in packages.items()}
        for call, bind in calls(scene, together).items()
    }


def prepared(name: str, layers: int, tokens: int) -> Callable[[str], Work]:
    """For a process whose memory is measured: from "ours|call" to what is run."""
    every = works(name, text(layers, tokens), TOGETHER)

    def named(task: str) -> Work:
        whose, call = task.split("|")
        return lambda: (seed(), every[call][whose]())

    return named


def tensors(result: Any) -> Iterator[Tensor]:
    """The numbers in a result."""
    if isinstance(result, Tensor):
        yield result.detach().double()
    elif isinstance(result, (int, float, np.number)):
        yield torch.tensor(float(result))
    elif isinstance(result, Mapping):
        for key in sorted(result):
            yield from tensors(result[key])
    elif isinstance(result, (tuple, list)):
        for part in result:
            yield from tensors(part)


def difference(got: Any, expected: Any) -> float:
    """The largest, relative to the largest number of its tensor; 0 where there is nothing."""
    pairs = list(zip(tensors(got), tensors(expected), strict=True))
    return max((largest_difference(a, b) for a, b in pairs if b.abs().max() > 0), default=0.0)


def row(call: str, both: Mapping[str, Work], seconds: float, memory: Mapping[str, float]) -> str:
    clock = time.process_time  # others may run on the machine
    start = clock()
    for work in both.values():  # warm
        seed(), work()
    rounds = max(3, min(60, int(seconds / max(clock() - start, 1e-6))))
    pair = paired(both["ours"], both["captum"], rounds, clock, seed)
    mib = [f"{memory.get(f'{whose}|{call}', float('nan')):.0f}" for whose in both]
    same = f"{difference(pair.result, pair.reference):.0e}"
    cells = (call, f"{1e3 * pair.ours:.2f}", f"{1e3 * pair.theirs:.2f}", f"{pair.ratio:.2f}", same, *mib)
    return f"| {' | '.join(cells)} |"


def run(given: argparse.Namespace) -> None:
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}, threads: {torch.get_num_threads()}, time of the processor")
    print(f"a classifier as wide as BERT, {given.layers} layers, {given.tokens} tokens")
    for name in given.packages:
        calls = works(name, text(given.layers, given.tokens))
        chosen = {
            call: both for call, both in calls.items() if not given.only or call.split()[0].strip(",") in given.only
        }
        tasks = [f"{whose}|{call}" for call in chosen for whose in ("ours", "captum")]
        memory = peaks(partial(prepared, name, given.layers, given.tokens), tasks) if given.memory else {}
        print(f"\n{name}\n")
        print("| name | ours ms | Captum ms | ratio | largest difference | ours MiB | Captum MiB |\n|---|" + "--:|" * 6)
        for call, both in chosen.items():
            print(row(call, both, given.seconds, memory), flush=True)


def add_to(commands: Any) -> None:
    parser = commands.add_parser("captum", help=__doc__)
    parser.add_argument("--packages", nargs="*", choices=PACKAGES, default=list(PACKAGES))
    parser.add_argument("--only", nargs="*", help="names; all without")
    parser.add_argument("--layers", type=int, default=12, help="of the classifier; BERT-base has 12")
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each name, at least three rounds")
    parser.add_argument("--no-memory", dest="memory", action="store_false")
    parser.set_defaults(run=run)
