"""Examples to try on the first screen."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from typing import Any

from xai_nlp.data.scenes import Scene, labelled_scenes, scenes

SCENE = 12  # seed of a scene with a question
PICTURE = 6  # seed of a scene without one


@lru_cache(maxsize=1)
def examples() -> list[dict[str, Any]]:
    """Inputs of the embedded models, as requests without options."""
    scene = next(scenes(1, seed=SCENE, types=["colour"]))
    return [
        {
            "model": "sentiment",
            "text": "A gripping, beautifully acted film that never once talks down to its audience.",
        },
        {"model": "sentiment", "text": "Not a bad film, but far too long."},
        {
            "model": "qa",
            "question": "Who wrote the first published algorithm?",
            "context": "Charles Babbage designed the Analytical Engine in 1837. Six years later Ada Lovelace wrote the "
            "first published algorithm for it, while Luigi Menabrea had described the machine in French.",
        },
        {
            "model": "vqa",
            "question": scene.question.text,
            "image": _encoded(scene.scene),
        },
        {"model": "image", "image": _encoded(next(labelled_scenes(1, seed=PICTURE)).scene)},
    ]


def _encoded(scene: Scene) -> str:
    """The image of a scene as PNG, in base64."""
    file = io.BytesIO()
    scene.image().save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")
