"""The features of an example as the parts of an `Explanation`, which the page, the widget and the report draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

from xai_nlp.core.image import Box, ImageAttribution
from xai_nlp.errors import InvalidInput
from xai_nlp.insights.features import (
    BaseFeature,
    GeneralFeature,
    ImageFeature,
    TextFeature,
    image_scores,
    png_file,
    text_scores,
)

CELLS = 16  # rows and columns of regions of an image, at most
SMALLEST = 160  # pixels: smaller images are enlarged, so that their pixels show


def explanation_parts(
    features: Sequence[BaseFeature], attributions: Sequence[Tensor], data: Sequence[Tensor]
) -> tuple[dict[str, Any], list[str]]:
    """Text and image of an `Explanation` as keywords, and the names of the text features.

    The scores of an image's regions, of words and of named numbers are on one scale; a region's score is the sum over
    its pixels. Empty features and a second image are left out.
    """
    segments: list[str] = []
    tokens: list[tuple[str, tuple[int, int], int, float]] = []
    names: list[str] = []
    image: ImageAttribution | None = None
    for feature, attribution, x in zip(features, attributions, data, strict=True):
        if isinstance(feature, (TextFeature, GeneralFeature)):
            words, scores = feature.words(x), text_scores(attribution)
            if len(words) != len(scores):
                raise InvalidInput(f"the feature {feature.name!r} has {len(words)} words and {len(scores)} scores.")
            between = " " if isinstance(feature, TextFeature) else " · "
            at = 0
            for word, score in zip(words, scores, strict=True):
                tokens.append((word, (at, at + len(word)), len(segments), score))
                at += len(word) + len(between)
            segments.append(between.join(words))
            names.append(feature.name)
        elif isinstance(feature, ImageFeature) and image is None:
            image = image_attribution(feature, attribution, x)
    columns: Iterable[tuple[Any, ...]] = zip(*tokens, strict=True) if tokens else [()] * 4
    parts = dict(zip(("tokens", "offsets", "segment", "scores"), columns, strict=True))
    return {"segments": tuple(segments), "image": image, **parts}, names


def all_have_parts(features: Sequence[BaseFeature]) -> bool:
    """Is every score part of the explanation? Those of empty features and of a second image are not."""
    kinds = [feature.visualization_type() for feature in features]
    return "empty" not in kinds and kinds.count("image") < 2


def image_attribution(feature: ImageFeature, attribution: Tensor, data: Tensor) -> ImageAttribution:
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
    return ImageAttribution(
        data=png_file(image),
        size=image.size,
        boxes=tuple(boxes),
        scores=tuple(blocks.flatten().tolist()),
        grid=(len(rows) - 1, len(columns) - 1),
    )


def _edges(size: int) -> list[int]:
    """The edges of at most CELLS blocks of about the same size."""
    count = min(CELLS, size)
    return [round(k * size / count) for k in range(count + 1)]
