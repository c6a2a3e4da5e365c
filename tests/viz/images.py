"""Explanations of images made by hand: a drawn scene, and something like a photograph."""

import io
from functools import cache

import numpy as np
from PIL import Image

from tests.viz.samples import label, made
from xai_nlp.core.arrays import Array, AttentionAttribution
from xai_nlp.core.image import ImageAttribution
from xai_nlp.core.result import SPECIAL
from xai_nlp.data.scenes import scenes

QUESTION = "what colour is the star?"
WORDS = ("what", "colour", "is", "the", "star", "?")


def written(image, kind="PNG"):
    """The bytes of a file with this image."""
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@cache
def scene():
    """A drawn scene, with the boxes of the shapes that its question is about."""
    found = next(scenes(1, seed=3, types=["colour"]))
    return found.scene.image(), found.boxes


@cache
def photograph(width=480, height=320):
    """Sky, hills and a lamp out of gradients and noise: fine grain and soft edges, as no drawn scene has."""
    draws = np.random.default_rng(5)
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    sky = np.stack([120 + 90 * down, 150 + 70 * down, 215 - 20 * down], -1)
    hills = 0.62 + 0.08 * np.sin(9 * across + 1) + 0.04 * np.sin(23 * across)
    ground = np.stack([70 - 30 * down, 96 - 40 * (down - 0.6), 52 - 20 * down], -1)
    lamp = np.exp(-(((across - 0.72) * 1.5) ** 2 + (down - 0.34) ** 2) / 0.008)[..., None] * np.array([120, 90, -40])
    drawn = np.where((down > hills)[..., None], ground, sky) + lamp + draws.normal(0, 9, (height, width, 1))
    return Image.fromarray(np.clip(drawn, 0, 255).astype(np.uint8))


def grid_boxes(size, rows, columns):
    """The boxes of a grid in reading order."""
    width, height = size
    return tuple(
        (c * width / columns, r * height / rows, (c + 1) * width / columns, (r + 1) * height / rows)
        for r in range(rows)
        for c in range(columns)
    )


def gridded(image, rows, columns, aim, seed=0, kind="PNG"):
    """A picture whose scores are largest around `aim`, a point in shares of the image."""
    draws = np.random.default_rng(seed)
    boxes = grid_boxes(image.size, rows, columns)
    middles = np.array([((a + c) / 2 / image.size[0], (b + d) / 2 / image.size[1]) for a, b, c, d in boxes])
    near = np.exp(-((middles - np.array(aim)) ** 2).sum(1) / 0.012)
    scores = 1.7 * near + draws.normal(0, 0.09, len(boxes)) - 0.5 * np.exp(-((middles - 0.15) ** 2).sum(1) / 0.02)
    return ImageAttribution(
        data=written(image, kind), size=image.size, boxes=boxes, scores=tuple(scores.tolist()), grid=(rows, columns)
    )


def looked(picture, layers=2, heads=2, row_stochastic=False, seed=1):
    """What each of the question's tokens drew from each region: “colour” and “star” from where the scores are."""
    draws = np.random.default_rng(seed)
    length, regions = len(WORDS) + 2, len(picture.scores)
    numbers = draws.normal(0, 0.004, (layers, heads, length, regions))
    for token in (2, 5):
        numbers[:, :, token] += 0.1 * token * np.maximum(0, picture.scores) / layers / heads
    if row_stochastic:
        numbers = np.abs(numbers)
    return AttentionAttribution(
        scores=Array(numbers), layers=tuple(f"layer {k}" for k in range(layers)), method="attention_conductance",
        unit="" if row_stochastic else "logit", row_stochastic=row_stochastic, keys=picture.names,
    )  # fmt: skip


def asked(picture=None, *, links=True, **more):
    """The scene's question, explained."""
    image, boxes = scene()
    if picture is None:
        left, top, right, bottom = boxes[0]
        picture = gridded(image, 8, 8, ((left + right) / 2 / image.size[0], (top + bottom) / 2 / image.size[1]))
    offsets, at = [(0, 0)], 0
    for word in WORDS:
        start = QUESTION.index(word, at)
        at = start + len(word)
        offsets.append((start, at))
    scores = (0.01, 0.12, 0.94, -0.08, 0.02, 1.41, -0.21, -0.03)
    total = sum(scores) + sum(picture.scores)
    values = dict(
        tokens=("[CLS]", *WORDS, "[SEP]"), offsets=(*offsets, (0, 0)), segment=(SPECIAL, *[0] * len(WORDS), SPECIAL),
        scores=scores, image=picture, target=label("red", kind="answer"), task="visual-question-answering",
        value=0.005 + total, baseline_value=0.0, model="zoo/vqa",
        outputs={"red": 0.93, "blue": 0.04, "purple": 0.02, "green": 0.01},
        attention={"image": looked(picture)} if links else {},
    )  # fmt: skip
    return made(QUESTION, **{**values, **more})


def boxed(**more):
    """Objects that overlap, one of them without a score."""
    image = photograph()
    picture = ImageAttribution(
        data=written(image, "JPEG"), size=image.size, scores=(0.4, -0.9, 2.1, 0.0, 0.6),
        boxes=((0.0, 0.0, 480.0, 200.0), (20.0, 190.0, 300.0, 318.0), (300.0, 60.0, 400.0, 160.0),
               (200.0, 150.0, 260.0, 230.0), (330.0, 90.0, 370.0, 130.0)),
    )  # fmt: skip
    return asked(picture, **more)


def segmented(**more):
    """Twelve segments of a photograph around points, as of superpixels, one cell in none."""
    image = photograph()
    draws = np.random.default_rng(2)
    points = draws.uniform(0, 1, (12, 2)) * (64, 96)
    down, across = np.mgrid[0:64, 0:96]
    raster = ((down[..., None] - points[:, 0]) ** 2 + (across[..., None] - points[:, 1]) ** 2).argmin(-1)
    raster[0, 0] = -1
    scores = tuple(np.round(draws.normal(0, 0.7, 12), 3).tolist())
    boxes = tuple(
        (float(c.min() * 5), float(r.min() * 5), float(c.max() * 5 + 5), float(r.max() * 5 + 5))
        for r, c in (np.nonzero(raster == n) for n in range(12))
    )
    picture = ImageAttribution(
        data=written(image, "JPEG"), size=image.size, boxes=boxes, scores=scores, shapes=Array(raster)
    )
    return asked(picture, **more)


def photographed(rows=12, columns=12, **more):
    """A photograph cut into a fine grid."""
    return asked(gridded(photograph(), rows, columns, (0.72, 0.34), kind="JPEG"), **more)


def small(region_scores=(0.5, -0.25, 0.0, 1.0), **more):
    """Two by two regions of an image of 40 × 20."""
    size, grid = (40, 20), (2, 2)
    image = written(scene()[0].resize(size))
    picture = ImageAttribution(data=image, size=size, boxes=grid_boxes(size, *grid), scores=region_scores, grid=grid)
    return asked(picture, **more)
