"""Examples to try on the first screen."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from typing import Any

from xai_nlp.data.scenes import Scene, SceneExample, labelled_scenes, scenes

TEXTS = (
    "A gripping, beautifully acted film that never once talks down to its audience.",
    "The plot is thin, the jokes are stale and I could not wait for it to end.",
    "Not a bad film, but far too long.",
)
QUESTION = "Who wrote the first published algorithm?"
CONTEXT = (
    "Charles Babbage designed the Analytical Engine in 1837. Six years later Ada Lovelace wrote the first published "
    "algorithm for it, while Luigi Menabrea had described the machine in French."
)


def example_scene() -> SceneExample:
    """A scene with a question about a colour."""
    return next(scenes(1, seed=12, types=["colour"]))


def example_picture() -> Scene:
    """A scene without a question, whose largest shape is a triangle."""
    return next(labelled_scenes(1, seed=6)).scene


@lru_cache(maxsize=1)
def examples() -> list[dict[str, Any]]:
    """Inputs of the embedded models, as requests without options."""
    scene = example_scene()
    return [
        {"model": "sentiment", "text": TEXTS[0]},
        {"model": "sentiment", "text": TEXTS[2]},
        {"model": "qa", "question": QUESTION, "context": CONTEXT},
        {"model": "vqa", "question": scene.question.text, "image": _encoded(scene.scene)},
        {"model": "image", "image": _encoded(example_picture())},
    ]


def _encoded(scene: Scene) -> str:
    """The image of a scene as PNG, in base64."""
    file = io.BytesIO()
    scene.image().save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
