"""`tutorials/architectures.md`: what works on each architecture. `python -m tests.recipes.architectures` writes it.

The doctor runs on a tiny random model of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import xai_nlp
from tests.models import tiny_images, tiny_vision_language
from tests.models.tiny import RECIPES, tiny
from tests.models.tiny_generation import WRITERS, writing
from tests.recipes.llms import inference_model
from xai_nlp.core.diagnosis import Diagnosis

PAGE = Path(__file__).parents[2] / "tutorials" / "architectures.md"
ENCODER_DECODERS = ("bart", "t5")
#: Tasks that are shown on one architecture: their models differ in the head alone.
OF_BERT = ("question-answering", "token-classification", "fill-mask")
Make = Callable[[], Any]  # -> an explainer


def of_task(name: str, task: str) -> Any:
    return xai_nlp.load(*tiny(name, task=task), task=task)


def of_loaded(loaded: Any) -> Any:
    return xai_nlp.load(loaded.model, loaded.tokenizer, processor=loaded.processor, task=loaded.task)


def similarity() -> Any:
    model, tokenizer = tiny("bert")
    return xai_nlp.load(model.bert, tokenizer, task="sentence-similarity")


#: (architecture, task) -> a tiny model.
MODELS: dict[tuple[str, str], Make] = {
    **{(name, "text-classification"): partial(of_task, name, "text-classification") for name in RECIPES},
    **{("bert", task): partial(of_task, "bert", task) for task in OF_BERT},
    ("bert", "zero-shot-classification"): inference_model,
    ("bert", "sentence-similarity"): similarity,
    **{(name, "text-generation"): lambda name=name: xai_nlp.load(*writing(name)) for name in WRITERS},
    **{
        (name, "text2text-generation"): partial(of_task, name, "text2text-generation") for name in ENCODER_DECODERS
    },
    **{
        (name, "visual-question-answering"): lambda name=name: of_loaded(tiny_vision_language.loaded(name))
        for name in tiny_vision_language.FAMILIES
    },
    **{
        (name, "image-classification"): lambda name=name: of_loaded(tiny_images.loaded(name))
        for name in tiny_images.ARCHITECTURES
    },
}  # fmt: skip


def diagnoses() -> Iterator[tuple[tuple[str, str], Diagnosis]]:
    """The doctor's word on each tiny model."""
    for key, make in MODELS.items():
        yield key, xai_nlp.doctor(make(), progress=False)
