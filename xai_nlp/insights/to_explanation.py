"""An explained example of any model as an `Explanation`, so that the page, the widget and the report draw it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

from xai_nlp._version import __version__
from xai_nlp.core.image import Box, ImageAttribution
from xai_nlp.core.result import Explanation, TargetSpec
from xai_nlp.errors import InvalidInput
from xai_nlp.insights.features import (
    BaseFeature,
    GeneralFeature,
    ImageFeature,
    TextFeature,
    image_scores,
    text_scores,
)

TASK = "feature attribution"
CELLS = 16  # an image is shown in at most so many rows and columns of regions
SMALLEST = 160  # pixels: smaller images are enlarged, so that their pixels show


@dataclass(frozen=True)
class Told:
    """What is known of an explained example beside its scores."""

    target: TargetSpec
    value: float
    baseline_value: float
    outputs: dict[str, float]
    method: str
    options: dict[str, Any]
    complete: bool
    needs_baseline: bool
    model: str
    gold: tuple[str, ...]


def explanation(
    features: Sequence[BaseFeature], attributions: Sequence[Tensor], data: Sequence[Tensor], told: Told
) -> Explanation:
    """Scores of an image's regions, of words and of named numbers on one scale; those of a region's pixels added up.

    Empty features and a second image have no place in it: with them it does not claim to add up.
    """
    segments: list[str] = []
    tokens: list[tuple[str, tuple[int, int], int, float]] = []
    names: list[str] = []
    picture: ImageAttribution | None = None
    for feature, attribution, given in zip(features, attributions, data, strict=True):
        if isinstance(feature, (TextFeature, GeneralFeature)):
            words, scores = feature.words(given), text_scores(attribution)
            if len(words) != len(scores):
                raise InvalidInput(f"the feature {feature.name!r} has {len(words)} words and {len(scores)} scores.")
            between = " " if isinstance(feature, TextFeature) else " · "
            at = 0
            for word, score in zip(words, scores, strict=True):
                tokens.append((word, (at, at + len(word)), len(segments), score))
                at += len(word) + len(between)
            segments.append(between.join(words))
            names.append(feature.name)
        elif isinstance(feature, ImageFeature) and picture is None:
            picture = pictured(feature, attribution, given)
    return Explanation(
        segments=tuple(segments),
        tokens=tuple(word for word, *_ in tokens),
        offsets=tuple(span for _, span, *_ in tokens),
        segment=tuple(segment for _, _, segment, _ in tokens),
        scores=tuple(score for *_, score in tokens),
        unit="output",
        target=told.target,
        value=told.value,
        baseline_value=told.baseline_value,
        outputs=told.outputs,
        method=told.method.lower().replace(" ", "_"),
        baseline="given" if told.needs_baseline else "none",
        complete=told.complete and _all_shown(features),
        task=TASK,
        model=told.model,
        params={**told.options, "names": names},
        gold=told.gold,
        versions={"xai_nlp": __version__},
        image=picture,
    )


def _all_shown(features: Sequence[BaseFeature]) -> bool:
    """Does every score have its place? Empty features have none, nor has a second image."""
    kinds = [feature.visualization_type() for feature in features]
    return "empty" not in kinds and kinds.count("image") < 2


def pictured(feature: ImageFeature, attribution: Tensor, data: Tensor) -> ImageAttribution:
    """An image and its regions: blocks of pixels, with their scores added up."""
    image = feature.image(data)
    scale = max(1, -(-SMALLEST // max(image.size)))
    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale), resample=0)
    scores = image_scores(attribution).numpy()
    rows, columns = (_edges(size) for size in scores.shape)
    blocks = np.add.reduceat(np.add.reduceat(scores, rows[:-1], axis=0), columns[:-1], axis=1)
    down, across = image.height / scores.shape[0], image.width / scores.shape[1]
    boxes: list[Box] = [
        (left * across, top * down, right * across, bottom * down)
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    ]
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return ImageAttribution(
        data=buffer.getvalue(),
        size=image.size,
        boxes=tuple(boxes),
        scores=tuple(blocks.flatten().tolist()),
        grid=(len(rows) - 1, len(columns) - 1),
    )


def _edges(size: int) -> list[int]:
    """Where at most CELLS blocks of about the same size begin and end."""
    count = min(CELLS, size)
    return [round(k * size / count) for k in range(count + 1)]
