"""Does a method point at the object? On scenes whose evidence is known: `python -m tests.bench pointing`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from xai_nlp import load
from xai_nlp.core.result import Explanation
from xai_nlp.data.scenes import LabelledScene, SceneExample, labelled_scenes, scenes
from xai_nlp.methods import METHODS
from xai_nlp.metrics import inside_boxes, pointing_game

HELD_OUT = 2**40 + 1  # the recipe trains on no seed from 2**40 on, and reports its accuracy at 2**40
SLOW = {"attention_flow"}  # a flow problem for each token and patch: minutes a question


def single(explainer: Any, count: int) -> list[SceneExample]:
    """Questions with one relevant object that the model answers rightly."""
    found: list[SceneExample] = []
    for example in scenes(40 * count, seed=HELD_OUT):
        if len(found) == count:
            break
        if len(example.question.evidence) == 1:
            shown = explainer.predict(example.scene.image(), example.question.text)
            if max(shown, key=shown.__getitem__) == example.question.answer:
                found.append(example)
    return found


def labelled(explainer: Any, count: int) -> list[LabelledScene]:
    """Scenes whose largest shape the model names rightly."""
    examples = list(labelled_scenes(count, seed=HELD_OUT))
    shown = [explainer.predict(example.scene.image()) for example in examples]
    pairs = zip(examples, shown, strict=True)
    return [example for example, outputs in pairs if max(outputs, key=outputs.__getitem__) == example.label]


def inside(why: Explanation, example: SceneExample | LabelledScene) -> np.ndarray:
    """Which regions have their middle in the object's box."""
    assert why.image is not None
    return inside_boxes(why.image.boxes, example.boxes[:1])


def points_at(why: Explanation, example: SceneExample | LabelledScene) -> bool:
    """The middle of the region with the highest score is in the object's box."""
    assert why.image is not None
    return pointing_game(why.image.scores, inside(why, example))


def chance(why: Explanation, example: SceneExample | LabelledScene) -> float:
    """How often a region drawn at random lies in the object's box."""
    return float(inside(why, example).mean())


def lines(examples: Sequence[Any], explainer: Any, names: Sequence[str]) -> Iterator[str]:
    inputs = {"image": [example.scene.image() for example in examples]}
    if isinstance(examples[0], SceneExample):
        inputs["question"] = [example.question.text for example in examples]
    for name in names:
        begin = time.perf_counter()
        whys = [
            why
            for at in range(0, len(examples), 25)
            for why in explainer.explain(**{k: v[at : at + 25] for k, v in inputs.items()}, method=name)
        ]
        took = time.perf_counter() - begin
        hits = sum(map(points_at, whys, examples)) / len(examples)
        guess = sum(map(chance, whys, examples)) / len(examples)
        image = sum(why.shares.get("image", 0.0) for why in whys) / len(whys)
        yield (
            f"{name:32} {100 * hits:5.1f} % in the box, {hits / guess:4.1f} × chance ({100 * guess:.1f} %), "
            f"image share {100 * image:3.0f} %, {1000 * took / len(examples):6.0f} ms each"
        )


def run(given: argparse.Namespace) -> None:
    explainer = load(given.model)
    if given.model == "image":
        examples: list[Any] = list(labelled(explainer, given.most))
        print(f"{len(examples)} scenes whose largest shape is named rightly", flush=True)
        known = [name for name, cls in METHODS.items() if cls.operates_on != "attention"]
    else:
        examples = list(single(explainer, given.most))
        print(f"{len(examples)} questions about one object, rightly answered", flush=True)
        known = list(set(METHODS) - SLOW)
    for line in lines(examples, explainer, given.method or sorted(known)):
        print(line, flush=True)


def add_to(commands: Any) -> None:
    parser = commands.add_parser("pointing", help=__doc__)
    parser.add_argument("--model", default="vqa", choices=("vqa", "image"), help="the embedded model")
    parser.add_argument("--most", type=int, default=500, help="so many scenes")
    parser.add_argument("--method", action="append")
    parser.set_defaults(run=run)
