"""One call on an embedded model: milliseconds (the fastest of many), and the rows of each pass of the model."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch

import xai_nlp
import xai_nlp.attr
from xai_nlp.data.scenes import scenes

TEXT = "a gripping, beautifully acted film that never once talks down to its audience"
QUESTION = "Who wrote the first published algorithm?"
CONTEXT = (
    "Charles Babbage designed the Analytical Engine in 1837. Six years later Ada Lovelace wrote the first published "
    "algorithm for it, while Luigi Menabrea had described the machine in French."
)


def calls() -> dict[str, tuple[Any, Callable[[], Any]]]:
    """name -> the model that runs, and the call."""
    sentiment, qa, vqa = (xai_nlp.load(name) for name in ("sentiment", "qa", "vqa"))
    scene = next(iter(scenes(1, seed=1)))
    image, question = scene.scene.image(), scene.question.text
    ids = sentiment.tokenizer(TEXT, return_tensors="pt")["input_ids"]
    captums = xai_nlp.attr.LayerIntegratedGradients(
        lambda ids: sentiment.model(ids).logits, sentiment.model.bert.embeddings
    )
    answer = (QUESTION, CONTEXT)
    return {
        "a text": (sentiment, lambda: sentiment.explain(TEXT).scores),
        "saliency": (sentiment, lambda: sentiment.explain(TEXT, method="saliency").scores),
        "occlusion": (sentiment, lambda: sentiment.explain(TEXT, method="occlusion").scores),
        "shapley": (sentiment, lambda: sentiment.explain(TEXT, method="shapley").scores),
        "layer=1": (sentiment, lambda: sentiment.explain(TEXT, layer=1, steps=50).scores),
        "layers and attention": (qa, lambda: qa.explain(*answer, layers=True, attention=True).scores),
        "attention IG": (qa, lambda: qa.explain(*answer, method="attention_integrated_gradients").scores),
        "an image": (vqa, lambda: vqa.explain(image, question).scores),
        "LayerIntegratedGradients": (
            sentiment,
            lambda: captums.attribute(ids, baselines=torch.zeros_like(ids), target=1),
        ),
    }


def rows_of_passes(model: Any, work: Callable[[], Any]) -> list[int]:
    rows: list[int] = []

    def before(module: Any, args: Any, kwargs: Any) -> None:
        rows.append(len(args[0] if args else kwargs["input_ids"]))

    hook = model.register_forward_pre_hook(before, with_kwargs=True)
    work()
    hook.remove()
    return rows


def run(arguments: argparse.Namespace) -> None:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name, (explainer, work) in calls().items():
        rows, fastest, end = (
            rows_of_passes(explainer.model, work),
            float("inf"),
            time.perf_counter() + arguments.seconds,
        )
        while time.perf_counter() < end:
            start = time.perf_counter()
            work()
            fastest = min(fastest, time.perf_counter() - start)
        print(f"{name:26}{1000 * fastest:8.2f} ms, passes {rows}")


def add_to(commands: Any) -> None:
    parser = commands.add_parser("calls", help=__doc__)
    parser.add_argument("--seconds", type=float, default=1.2, help="of each call")
    parser.set_defaults(run=run)
