"""What is timed of Captum's concepts: a concept against several random ones, in a layer halfway up.

Both libraries keep activations on the disk. Captum computes them again for each set of concepts, since the arguments of
`AV.exists` are swapped.
"""

from __future__ import annotations

import atexit
import random
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.bench.methods import Scene, quiet, seed

Work = Callable[[], Any]
Bind = Callable[[Any, str], Work]  # a package, and whose it is ("ours" or "captum"): what is timed
EXAMPLES, RANDOM_SETS = 10, 3


def folder() -> str:
    """An empty folder that goes when the process ends."""
    made = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def concept(scene: Scene, together: int = 1) -> dict[str, Bind]:
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
        seed()
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
