"""The features of a model: images, texts, named numbers, and inputs that are not shown; and an explanation of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.image import Box, ImageAttribution
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.text.scale import LIGHT, peak

if TYPE_CHECKING:
    from PIL.Image import Image

CELLS = 16  # rows and columns of regions of an image, at most
SMALLEST = 160  # pixels: smaller images are enlarged, so that their pixels show
Transforms = Callable[[Tensor], Tensor] | Sequence[Callable[[Tensor], Tensor]] | None


class FeatureOutput(NamedTuple):
    """A feature of one example as it is shown.

    base: the input (an image as PNG in base64, words, or "name: value"); modified: its scores (a heat map as PNG in
    base64, or numbers of which the largest is ±100, for named numbers of which the squares add up to 100²);
    contribution: its share of the net contributions of all features, whose sizes add up to 1.
    """

    name: str
    base: Any
    modified: Any
    type: str
    contribution: float


class BaseFeature:
    """One input tensor of a model: its transforms, its baseline, and how it is shown.

    baseline_transforms: makes the baseline out of the transformed input; zeros by default. One is used.
    input_transforms: applied in order to the tensor of the data set, without its batch dimension.
    visualization_transform: turns the tensor of the data set into what is shown.
    """

    kind: ClassVar[str] = ""  # "image", "text", "general" or "empty"

    def __init__(
        self,
        name: str,
        baseline_transforms: Transforms = None,
        input_transforms: Transforms = None,
        visualization_transform: Callable[[Tensor], Any] | None = None,
    ) -> None:
        self.name = name
        self.baseline_transforms = listed(baseline_transforms)
        self.input_transforms = listed(input_transforms)
        self.visualization_transform = visualization_transform

    @classmethod
    def visualization_type(cls) -> str:
        """The kind of the feature: "image", "text", "general" or "empty"."""
        if not cls.kind:
            raise NotImplementedError
        return cls.kind

    def visualize(self, attribution: Tensor, data: Tensor, contribution_frac: float) -> FeatureOutput:
        """The feature of one example, shown; both tensors with a batch dimension of 1."""
        raise NotImplementedError

    def shown(self, data: Tensor) -> Any:
        """The tensor of the data set, as it is shown."""
        return self.visualization_transform(data) if self.visualization_transform else data


class ImageFeature(BaseFeature):
    """An image, (N, C, H, W) with one channel (grey) or three (red, green, blue)."""

    kind = "image"

    def image(self, data: Tensor) -> Image:
        """The image of one example. Raises InvalidInput for a tensor that is none."""
        from PIL import Image

        pixels = torch.as_tensor(self.shown(data)).detach().cpu().float()
        while pixels.ndim > 3 and len(pixels) == 1:
            pixels = pixels[0]
        if pixels.ndim == 2:
            pixels = pixels[None]
        if pixels.ndim != 3 or len(pixels) not in (1, 3):
            raise InvalidInput(
                f"the image feature {self.name!r} has one or three channels and one image, (C, H, W); "
                f"got {tuple(data.shape)}."
            )
        low, high = float(pixels.min()), float(pixels.max())
        if low < 0 or high > 1:  # bytes, or normalised: shown between its own extremes
            pixels = pixels / 255 if low >= 0 and high <= 255 and high > 2 else (pixels - low) / ((high - low) or 1)
        bytes_ = (pixels * 255).round().to(torch.uint8).permute(1, 2, 0).expand(-1, -1, 3).contiguous()
        return Image.fromarray(bytes_.numpy())

    def visualize(self, attribution: Tensor, data: Tensor, contribution_frac: float) -> FeatureOutput:
        from PIL import Image

        scores = image_scores(attribution)
        largest = peak(scores.flatten().tolist())
        rows, columns = scores.shape
        heat = Image.new("RGB", (columns, rows))
        heat.putdata([LIGHT.colour(score, largest) for score in scores.flatten().tolist()])
        return FeatureOutput(self.name, _encoded(self.image(data)), _encoded(heat), self.kind, contribution_frac)


class TextFeature(BaseFeature):
    """A text, (N, L): `visualization_transform` turns its indices into words."""

    kind = "text"

    def __init__(
        self,
        name: str,
        baseline_transforms: Transforms,
        input_transforms: Transforms,
        visualization_transform: Callable[[Tensor], Any],
    ) -> None:
        super().__init__(name, baseline_transforms, input_transforms, visualization_transform)

    def words(self, data: Tensor) -> list[str]:
        """The words of one example."""
        words = self.shown(data)
        return words.split() if isinstance(words, str) else [str(word) for word in words]

    def visualize(self, attribution: Tensor, data: Tensor, contribution_frac: float) -> FeatureOutput:
        scores = text_scores(attribution)
        largest = peak(scores)
        modified = [100 * score / largest if largest else 0.0 for score in scores]
        return FeatureOutput(self.name, self.words(data), modified, self.kind, contribution_frac)


class GeneralFeature(BaseFeature):
    """Named numbers, (N, C): one name for each of the C columns."""

    kind = "general"

    def __init__(self, name: str, categories: list[str]) -> None:
        super().__init__(name, None, None, None)
        self.categories = categories

    def words(self, data: Tensor) -> list[str]:
        """Each column as "name: value"."""
        values = data.squeeze(0).tolist()
        if len(values) != len(self.categories):
            raise InvalidInput(
                f"the feature {self.name!r} has {len(self.categories)} categories and {len(values)} columns."
            )
        return [f"{name}: {value:.2f}" for name, value in zip(self.categories, values, strict=True)]

    def visualize(self, attribution: Tensor, data: Tensor, contribution_frac: float) -> FeatureOutput:
        scores = attribution.squeeze(0)
        size = float(scores.norm())
        modified = [100 * score / size if size else 0.0 for score in scores.tolist()]
        return FeatureOutput(self.name, self.words(data), modified, self.kind, contribution_frac)


class EmptyFeature(BaseFeature):
    """An input that is not shown; its contribution is reported."""

    kind = "empty"

    def __init__(self, name: str = "empty", *transforms: Any, **named_transforms: Any) -> None:
        super().__init__(name, *transforms, **named_transforms)

    def visualize(self, _attribution: Tensor, _data: Tensor, contribution_frac: float) -> FeatureOutput:
        return FeatureOutput(self.name, None, None, self.kind, contribution_frac)


def listed(values: Any) -> list[Any]:
    """Models, features or transforms as a list: none, one or several."""
    if values is None:
        return []
    return list(values) if isinstance(values, (list, tuple)) else [values]


def image_scores(attribution: Tensor) -> Tensor:
    """Scores of pixels, added up over channels: (H, W)."""
    return attribution.detach().cpu().double().reshape(-1, *attribution.shape[-2:]).sum(0)


def text_scores(attribution: Tensor) -> list[float]:
    """Scores of words, added up over their embedding."""
    scores = attribution.detach().cpu().double().squeeze(0)
    return (scores.flatten(1).sum(1) if scores.ndim > 1 else scores).tolist()


def png_file(image: Image) -> bytes:
    """The contents of a PNG file with the image."""
    image.save(buffer := io.BytesIO(), "PNG")
    return buffer.getvalue()


def _encoded(image: Image) -> str:
    return base64.b64encode(png_file(image)).decode("ascii")


# As an explanation --------------------------------------------------------------------------------------------------


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
    rows, columns = (np.linspace(0, size, min(CELLS, size) + 1).round().astype(int).tolist() for size in scores.shape)
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
