"""A tiny explainer of each task with inputs that it explains, for the families whose trials go through all tasks."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import xai_nlp
from tests.models.tiny import tiny
from tests.models.tiny_generation import writing
from tests.models.tiny_vision_language import loaded
from tests.recipes.llms import inference_model
from xai_nlp.core.result import Explanation

PICTURE = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)


def of_task(task: str) -> Any:
    return xai_nlp.load(*tiny("bert", task=task), task=task)


@cache
def explainers() -> dict[str, tuple[Any, dict[str, Any]]]:
    """name -> an explainer, and inputs of its task."""
    vilt = loaded("vilt")
    return {
        "classification": (of_task("text-classification"), {"text": "a dull film"}),
        "bytes": (xai_nlp.load(*tiny("roberta")), {"text": "a dull film"}),
        "answers": (of_task("question-answering"), {"question": "who ?", "context": "Mary wrote it"}),
        "masks": (of_task("fill-mask"), {"text": "a [MASK] film"}),
        "entities": (of_task("token-classification"), {"text": "Mary wrote it"}),
        "similarity": (of_task("sentence-similarity"), {"text": "a film", "pair": "the plot"}),
        "labels": (inference_model(), {"text": "a film", "labels": ["great", "dull"]}),
        "generation": (xai_nlp.load(*writing("gpt2")), {"prompt": "a film", "answer": " great"}),
        "translation": (
            xai_nlp.load(*tiny("t5", task="text2text-generation"), task="text2text-generation"),
            {"text": "a film", "answer": " great"},
        ),
        "pictures": (xai_nlp.load("image"), {"image": PICTURE}),
        "questions about pictures": (
            xai_nlp.load(vilt.model, vilt.tokenizer, processor=vilt.processor),
            {"image": PICTURE, "question": "is it red ?"},
        ),
    }


def check_finite(result: Any) -> None:
    """Every score of an explanation, or of several, is a number."""
    for why in [result] if isinstance(result, Explanation) else result:
        assert np.isfinite(why.scores).all(), why
        assert np.isfinite([why.value, why.baseline_value]).all(), why
        assert why.image is None or np.isfinite(why.image.scores).all(), why
