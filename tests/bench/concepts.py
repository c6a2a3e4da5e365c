"""Captum's concepts, ours against Captum 0.9 in one run: milliseconds, ratio, largest difference of the scores.

A classifier as large as BERT-base, a concept against several random ones, in a layer halfway up. Activations are kept on
the disk by both; Captum computes them again for each set of concepts, since the arguments of `AV.exists` are swapped.
"""

from __future__ import annotations

import argparse
import atexit
import random
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import captum.concept
import torch
from torch import Tensor

import xai_nlp.concept
from tests.bench.measure import paired
from tests.bench.methods import Scene, quiet, seed, text

Work = Callable[[], Any]
Bind = Callable[[Any, str], Work]  # a package, and whose it is ("ours" or "captum"): what is timed
PACKAGES = {"ours": xai_nlp.concept, "captum": captum.concept}
EXAMPLES, RANDOM_SETS = 10, 3


def folder() -> str:
    """An empty folder that goes when the process ends."""
    made = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def concept(scene: Scene) -> dict[str, Bind]:
    """TCAV with nothing on the disk, with activations there, and with CAVs there too; and the classifier alone."""
    (layer,) = (name for name, module in scene.model.named_modules() if module is scene.layer)
    generator = torch.Generator().manual_seed(0)
    examples = [
        scene.x[:1] + 0.05 * torch.randn(EXAMPLES, *scene.x.shape[1:], generator=generator) + 0.01 * (k == 0)
        for k in range(1 + RANDOM_SETS)
    ]

    def sets(package: Any) -> list[list[Any]]:
        first, *others = (package.Concept(k, f"concept {k}", [one]) for k, one in enumerate(examples))
        return [[first, other] for other in others]

    def scored(package: Any, place: str) -> Any:
        random.seed(0)  # of the classifier
        tcav = package.TCAV(scene.model, layer, save_path=place)
        scores = tcav.interpret(scene.x[:1].clone(), sets(package), target=0)
        return {key: {name: of[layer][name] for name in ("sign_count", "magnitude")} for key, of in scores.items()}

    def first(package: Any, _: str) -> Work:
        return lambda: scored(package, folder())

    def with_activations(package: Any, _: str) -> Work:
        place = folder()
        tcav = package.TCAV(scene.model, layer, save_path=place)
        tcav.generate_activations({one: [layer] for of_set in sets(package) for one in of_set})

        def work() -> Any:
            for cav in Path(place, "default_model_id").glob(f"0-*-{layer}.*"):
                cav.unlink()
            return scored(package, place)

        return work

    def with_cavs(package: Any, _: str) -> Work:
        place = folder()
        quiet(partial(scored, package, place))()
        return lambda: scored(package, place)

    def classifier(package: Any, _: str) -> Work:
        x = torch.randn(200, 768, generator=torch.Generator().manual_seed(1))
        labels = torch.arange(200) % 2

        def work() -> Tensor:
            random.seed(0)
            made = package.DefaultClassifier()
            made.train_and_eval(torch.utils.data.DataLoader([(x + labels[:, None], labels)], batch_size=None))
            return made.weights()

        return work

    return {
        "TCAV": first,
        "TCAV, activations kept": with_activations,
        "TCAV, activations and CAVs kept": with_cavs,
        "DefaultClassifier": classifier,
    }


def numbers(result: Any) -> list[Tensor]:
    """The tensors in a result, in the order of its keys."""
    return [result] if isinstance(result, Tensor) else [t for key in sorted(result) for t in numbers(result[key])]


def run(given: argparse.Namespace) -> None:
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}, threads: {torch.get_num_threads()}, time of the processor")
    print(f"a classifier as wide as BERT, {given.layers} layers, {given.tokens} tokens\n")
    print("| name | ours ms | Captum ms | ratio | largest difference |\n|---|" + "--:|" * 4)
    for name, bind in concept(text(given.layers, given.tokens)).items():
        works = [quiet(bind(package, whose)) for whose, package in PACKAGES.items()]
        pair = paired(*works, given.rounds, time.process_time, seed)
        both = zip(numbers(pair.result), numbers(pair.reference), strict=True)
        apart = max(float((a - b).abs().max()) for a, b in both)
        print(
            f"| {name} | {1e3 * pair.ours:.1f} | {1e3 * pair.theirs:.1f} | {pair.ratio:.2f} | {apart:.0e} |", flush=True
        )


def add_to(commands: Any) -> None:
    parser = commands.add_parser("concepts", help=__doc__)
    parser.add_argument("--layers", type=int, default=12, help="of the classifier; BERT-base has 12")
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.set_defaults(run=run)
