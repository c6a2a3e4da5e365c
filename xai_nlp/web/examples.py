"""Examples to try on the first screen."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from typing import Any

from xai_nlp.data.scenes import scenes

SCENE = 12  # seed of a scene with a question


@lru_cache(maxsize=1)
def examples() -> list[dict[str, Any]]:
    """Inputs of the embedded models, as requests without options."""
    scene = next(scenes(1, seed=SCENE, types=["colour"]))
    image = io.BytesIO()
    scene.scene.image().save(image, "PNG")
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
            "image": base64.b64encode(image.getvalue()).decode("ascii"),
        },
    ]
