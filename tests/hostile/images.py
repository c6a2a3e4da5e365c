"""Broken and odd images: our errors, or finite scores of regions that lie in the image."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from tests.hostile.models import check_finite, explainers
from tests.hostile.trial import Trial, family
from xai_nlp.errors import XaiError
from xai_nlp.hooks.model_state import fingerprint

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "PPM", "TGA")
MODES = ("1", "L", "P", "LA", "PA", "RGBA", "RGBa", "La", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16", "I;16B")
SIDES = (0, 1, 2, 3, 5, 7, 16, 33, 64, 200, 1000, 3000)
TASKS = ("pictures", "questions about pictures")


def noise(random: Random, width: int, height: int) -> np.ndarray:
    return np.random.default_rng(random.randrange(2**32)).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(random: Random) -> bytes:
    """A good file."""
    image = Image.fromarray(noise(random, random.randint(1, 40), random.randint(1, 40)))
    stream = io.BytesIO()
    image.save(stream, random.choice(FORMATS))
    return stream.getvalue()


def bomb(random: Random) -> bytes:
    """A small file that says that it has very many pixels."""
    side = random.choice([11_000, 60_000, 2**31 - 1])

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def damaged(random: Random) -> bytes:
    data = bytearray(encoded(random))
    for _ in range(random.randint(0, 6)):
        data[random.randrange(min(len(data), random.choice([40, 10**6])))] = random.randrange(256)
    return bytes(data[: random.randrange(len(data) + 1)] if random.random() < 0.4 else data)


def of_odd_size(random: Random) -> Any:
    width, height = random.choice(SIDES), random.choice(SIDES[:8])
    if random.random() < 0.5:
        width, height = height, width
    array = noise(random, width, height)
    return array if random.random() < 0.5 or not array.size else Image.fromarray(array)


def of_odd_mode(random: Random) -> Any:
    return Image.new(random.choice(MODES), (random.randint(0, 20), random.randint(0, 20)))


def no_image(random: Random) -> Any:
    arrays = [np.full((5, 5, 3), np.nan), np.zeros((2, 5, 5, 3)), np.zeros(5), np.zeros((5, 5), complex)]
    return random.choice([None, "", "\ud800", "a\0b", "http://a/b.png", b"", b"<svg/>", 3, object(), {}, *arrays])


KINDS = (damaged, damaged, damaged, of_odd_size, of_odd_mode, no_image, bomb)
METHODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("saliency", {}),
    ("occlusion", {"regions": "grid:3"}),
    ("grad_cam", {}),
    ("lime", {"regions": 2, "samples": 3}),
)


def run(name: str, image: Any, method: str, options: dict[str, Any]) -> None:
    explainer, inputs = explainers()[name]
    before = fingerprint(explainer.model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow tells what it leaves out of a damaged file
            why = explainer.explain(**{**inputs, "image": image}, method=method, progress=False, **options)
        check_finite(why)
        boxes = np.array(why.image.boxes)
        assert (boxes >= -1e-6).all() and (boxes <= np.array(why.image.size * 2) + 1e-6).all(), boxes
    except XaiError:
        pass
    assert fingerprint(explainer.model) == before


@family("images", quick=250, long=3000)
def trials(random: Random) -> Iterator[Trial]:
    while True:
        kind, name, (method, options) = random.choice(KINDS), random.choice(TASKS), random.choice(METHODS)
        image = kind(random)
        yield Trial(
            f"{kind.__name__} {name} {method} {str(image)[:80]!a}",
            lambda name=name, image=image, method=method, options=options: run(name, image, method, options),
        )
