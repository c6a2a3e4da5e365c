"""Examples to try on the first screen."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from typing import Any

from xai_nlp.data.scenes import SceneExample, scenes

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


@lru_cache(maxsize=1)
def examples() -> list[dict[str, Any]]:
    """Inputs of the embedded models, as requests without options."""
    scene = example_scene()
    image = io.BytesIO()
    scene.scene.image().save(image, "PNG")
    return [
        {"model": "sentiment", "text": TEXTS[0]},
        {"model": "sentiment", "text": TEXTS[2]},
        {"model": "qa", "question": QUESTION, "context": CONTEXT},
        {"model": "vqa", "question": scene.question.text, "image": base64.b64encode(image.getvalue()).decode()},
    ]
