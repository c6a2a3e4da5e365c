"""Captum's names for inputs with features that a reader would name: words, phrases, regions of an image.

Each knows its number of features, and makes the model's input for any subset of them.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from colorsys import hsv_to_rgb
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.viz.figure import image_views as views

if TYPE_CHECKING:
    from PIL.Image import Image

    from xai_nlp.viz.figure.image_views import Axes, Figure

Texts = list[str] | dict[str, str]


class InterpretableInput(ABC):
    """An input as a row of features, present (1) or absent (0), and as the model takes it."""

    n_itp_features: int
    values: list[str]  # the name of each feature

    def to_tensor(self) -> Tensor:
        """The input with all features present: (1, n_itp_features)."""
        return torch.ones(1, self.n_itp_features)

    @abstractmethod
    def to_model_input(self, perturbed_tensor: Tensor | None = None) -> Any:
        """The model's input for these features, (1, n_itp_features); None for all of them."""

    def format_attr(self, itp_attr: Tensor) -> Tensor:
        """Scores of the features (…, n_itp_features) as scores of `values`."""
        return itp_attr


class TextTemplateInput(InterpretableInput):
    """A text with gaps: a feature is the value in one gap, or by `mask` those in several.

    >>> text = TextTemplateInput("{} feels {} right now", ["He", "depressed"], ["It", "neutral"])
    >>> text.to_model_input(torch.tensor([[0, 1]]))
    'It feels depressed right now'
    """

    def __init__(
        self,
        template: str | Callable[..., str],
        values: Texts,
        baselines: Texts | Callable[[], Texts] | None = None,
        mask: list[int] | dict[str, int] | None = None,
    ) -> None:
        if not isinstance(values, (list, dict)):
            raise CaptumAssertion(f"values are a list or a dict; got {type(values).__name__}.")
        if not isinstance(template, str) and not callable(template):
            raise CaptumAssertion(f"a template is a text or a function of the values; got {type(template).__name__}.")
        self.template, self.dict_keys = template, list(values) if isinstance(values, dict) else []
        self.format_fn = template.format if isinstance(template, str) else template
        self.values = self._in_order(values, "values")
        self.n_features = len(self.values)
        self.baselines: list[str] | Callable[[], Texts]
        if baselines is None:
            self.baselines = [""] * self.n_features
        else:
            self.baselines = baselines if callable(baselines) else self._in_order(baselines, "baselines")
        self.mask = None if mask is None else self._in_order(mask, "mask")
        ids = list(range(self.n_features)) if self.mask is None else self.mask
        numbers = {feature: i for i, feature in enumerate(sorted(set(ids)))}
        self.formatted_mask, self.n_itp_features = [numbers[feature] for feature in ids], len(numbers)

    def _in_order(self, by_gap: Any, name: str) -> list[Any]:
        """Values for the gaps, in the order of the gaps."""
        kind = dict if self.dict_keys else list
        if not isinstance(by_gap, kind):
            raise CaptumAssertion(
                f"where the values are a {kind.__name__}, {name} are too; got {type(by_gap).__name__}."
            )
        keys: Sequence[Any] = self.dict_keys or range(len(by_gap))
        return [by_gap[key] for key in keys]

    def to_model_input(self, perturbed_tensor: Tensor | None = None) -> str:
        values = self.values
        if perturbed_tensor is not None:
            present = perturbed_tensor[0].tolist()
            baselines = self.baselines
            others = self._in_order(baselines(), "its baselines") if callable(baselines) else baselines
            values = [
                value if present[feature] else other
                for value, other, feature in zip(values, others, self.formatted_mask, strict=True)
            ]
        if self.dict_keys:
            return self.format_fn(**dict(zip(self.dict_keys, values, strict=True)))
        return self.format_fn(*values)

    def format_attr(self, itp_attr: Tensor) -> Tensor:
        """Scores of the gaps (…, n_features); those of one feature share its score."""
        return itp_attr[..., torch.tensor(self.formatted_mask, device=itp_attr.device)]


def token_ids(tokenizer: Any, text: str, **options: Any) -> Tensor:
    """The ids of a text's tokens: (L,). The tokenizer's `encode` may return a list or a tensor."""
    return torch.as_tensor(tokenizer.encode(text, **options), dtype=torch.long).flatten()


class TextTokenInput(InterpretableInput):
    """A text as ids of its tokens: the features are the tokens, without `skip_tokens` (texts, or ids)."""

    def __init__(
        self,
        text: str,
        tokenizer: Any,
        baselines: int | str = 0,
        skip_tokens: Sequence[int] | Sequence[str] | Tensor | None = None,
    ) -> None:
        skipped = skip_tokens.flatten().tolist() if isinstance(skip_tokens, Tensor) else list(skip_tokens or [])
        if skipped and isinstance(skipped[0], str):
            skipped = tokenizer.convert_tokens_to_ids(skipped)
        self.inp_tensor = self.itp_tensor = token_ids(tokenizer, text)[None]  # (1, L)
        self.itp_mask: Tensor | None = None
        if skipped:
            self.itp_mask = ~torch.isin(self.inp_tensor, torch.tensor(skipped))
            self.itp_tensor = self.inp_tensor[self.itp_mask][None]
        self.skip_tokens = None if skip_tokens is None else skipped
        self.tokenizer = tokenizer
        self.values = tokenizer.convert_ids_to_tokens(self.itp_tensor[0].tolist())
        self.n_itp_features = len(self.values)
        is_id = isinstance(baselines, int)
        self.baselines: int = baselines if is_id else tokenizer.convert_tokens_to_ids([baselines])[0]  # type: ignore[assignment]

    def to_tensor(self) -> Tensor:
        return torch.ones_like(self.itp_tensor)

    def to_model_input(self, perturbed_tensor: Tensor | None = None) -> Tensor:
        """The ids (R, L) for R rows of features; the baseline's id where a feature is not 1."""
        if perturbed_tensor is None:
            return self.inp_tensor
        rows, device = len(perturbed_tensor), perturbed_tensor.device
        tokens = self.itp_tensor.to(device).expand(rows, -1)
        tokens = torch.where(perturbed_tensor == 1, tokens, self.baselines)
        if self.itp_mask is None:
            return tokens
        ids = self.inp_tensor.to(device).repeat(rows, 1)
        ids[:, self.itp_mask[0].to(device)] = tokens
        return ids


class ImageMaskInput(InterpretableInput):
    """An image whose features are regions: numbers in `mask`, or masks of their own in `mask_list`, which may overlap.

    Without either the whole image is one. An absent region has the colour `baseline`. `processor_fn` makes the model's
    input from an image.
    """

    def __init__(
        self,
        image: Image,
        mask: Tensor | None = None,
        mask_list: list[Tensor] | None = None,
        baseline: tuple[int, int, int] = (255, 255, 255),
        processor_fn: Callable[[Image], Any] = lambda image: image,
    ) -> None:
        self.image, self.baseline, self.processor_fn = image, baseline, processor_fn
        shape = (image.size[1], image.size[0])  # (height, width)
        for region in mask_list if mask_list is not None else [] if mask is None else [mask]:
            if region.shape != shape:
                raise CaptumAssertion(f"a mask has the shape of its image, {shape}; got {tuple(region.shape)}.")
        if mask_list is not None:
            ids, mask = list(range(len(mask_list))), torch.empty(0)
        else:
            mask = torch.zeros(shape, dtype=torch.int32) if mask is None else mask
            ids = [int(number) for number in mask.unique().tolist()]
        self.mask, self.mask_list = mask, mask_list or []
        self.mask_id_to_idx = {number: i for i, number in enumerate(ids)}
        self.n_itp_features = len(ids)
        self.values = [f"image_feature_{number}" for number in ids]
        self.original_model_inputs = processor_fn(image)

    def to_model_input(self, perturbed_tensor: Tensor | None = None) -> Any:
        if perturbed_tensor is None:
            return self.original_model_inputs
        import numpy as np
        from PIL import Image

        pixels = np.array(self.image)
        for region, present in zip(self.get_mask_list(), perturbed_tensor[0].tolist(), strict=True):
            if not present:
                pixels[region.bool().cpu().numpy()] = self.baseline
        return self.processor_fn(Image.fromarray(pixels.astype("uint8")))

    def get_mask_list(self) -> list[Tensor]:
        """A mask for each feature: (height, width) each."""
        return self.mask_list or [self.mask == number for number in self.mask_id_to_idx]

    def format_pixel_attr(self, itp_attr: Tensor) -> Tensor:
        """Scores of the pixels (…, height, width): the sum over the features that cover them."""
        regions = torch.stack(self.get_mask_list()).to(itp_attr)
        return torch.einsum("...m,mhw->...hw", itp_attr, regions)

    def plot_mask_overlay(
        self, show: bool = False, border_width: int = 0, show_legends: bool = True
    ) -> tuple[Figure, Axes] | None:
        """Draw the image under its regions, with a border and a number each: figure and axes, or None after `show`."""
        figure, (ax,) = views.panels(1, fig_size=(6.4, 4.8), pyplot=True)
        ax.imshow(self.image)
        colours = [hsv_to_rgb(i * 0.618 % 1, 0.7, 0.95) for i in range(self.n_itp_features)]  # the golden ratio
        self.draw_regions(ax, [(*colour, 0.8) for colour in colours], border_width, show_legends, filled=0.6)
        return finished(figure, ax, show)

    def draw_regions(
        self, ax: Axes, colours: Any, border_width: int, show_legends: bool, filled: float | None = None
    ) -> None:
        """Draw a border and a number for each region. colours: (M, 4). filled: the opacity of its area, if any."""
        for name, mask, colour in zip(self.mask_id_to_idx, self.get_mask_list(), colours, strict=True):
            region = mask.bool().cpu().numpy()
            if filled is not None:
                ax.imshow(region[:, :, None] * [*colour[:3], filled])
            if border_width > 0:
                views.draw_mask_border(ax, region, border_width, colour)
            if show_legends:
                views.draw_mask_legend(ax, region, str(name))
        ax.axis("off")


def finished(figure: Figure, ax: Axes, show: bool) -> tuple[Figure, Axes] | None:
    """The figure and its axes; after `show` None."""
    figure.set_facecolor("white")
    if not show:
        return figure, ax
    views.show()
    return None


class ProductBaselines:
    """Draws each feature's baseline from its list; features under one key, a tuple of names, are drawn together.

    It is called without arguments, so that it can be the `baselines` of a `TextTemplateInput`. Random numbers come from
    the global `random`.
    """

    def __init__(self, baseline_values: list[list[Any]] | dict[str | tuple[str, ...], list[Any]]) -> None:
        self.dict_keys = list(baseline_values) if isinstance(baseline_values, dict) else []
        self.baseline_values = list(baseline_values.values()) if isinstance(baseline_values, dict) else baseline_values

    def sample(self) -> list[Any] | dict[str, Any]:
        """A baseline for each feature."""
        choices = [random.choice(values) for values in self.baseline_values]
        if not self.dict_keys:
            return choices
        named: dict[str, Any] = {}
        for key, value in zip(self.dict_keys, choices, strict=True):
            named.update(zip(key, value, strict=True) if isinstance(key, tuple) else [(key, value)])
        return named

    def __call__(self) -> list[Any] | dict[str, Any]:
        return self.sample()
