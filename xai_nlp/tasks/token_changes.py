"""What a model gives once tokens are taken out of a text, or replaced by those that a masked language model expects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.batching import Batching, default_rows
from xai_nlp.core.features import NO_FEATURE, FeatureMask
from xai_nlp.core.targets import Target
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.offload import device_of
from xai_nlp.models.tokenization import TokenWindow, pad_batch
from xai_nlp.tasks.run import predict
from xai_nlp.tasks.two_texts import TextPair
from xai_nlp.tasks.window_features import WindowFeatures

if TYPE_CHECKING:
    from xai_nlp.tasks.explainer import Explainer

ROWS_TO_SORT = 8  # times as many rows as one pass takes are sorted by their length


@dataclass(frozen=True, eq=False)
class TokenChanges:
    """Tokens are taken out of the text, or replaced by those that a masked language model expects."""

    explainer: Explainer
    part: WindowFeatures
    link: str
    batching: Batching
    filler: Explainer | None  # None takes tokens out

    def __post_init__(self) -> None:
        for window, words in zip(self.part.batch.windows, self.part.removable_words, strict=True):
            if self.filler is None:  # is there a token for an empty text, if it is needed?
                self._shortened([window], (words != NO_FEATURE)[None])

    @property
    def rows(self) -> int:
        device = self.part.batch.movable.device.type
        return max(1, ROWS_TO_SORT * default_rows(self.part.entries, device) // len(self.part.words))

    def values(self, removed: Tensor) -> Tensor:
        last_is_none = np.pad(removed.cpu().numpy(), ((0, 0), (0, 1)))  # NO_FEATURE is the last column
        sums: list[Tensor] = []
        part = self.part
        for window, words, weights in zip(part.batch.windows, part.removable_words, part.weights, strict=True):
            gone = last_is_none[:, words]
            rows = [self._with_regions(window, own) for own in removed]
            if self.filler is None:
                rows, kept = self._shortened(rows, gone)
            else:
                rows, kept = _filled(self.filler, rows, gone, self.batching), np.ones_like(gone)
            sums.append(self._read(rows, kept, weights))
        return torch.stack(sums).sum(0)

    def _with_regions(self, window: TokenWindow, removed: Tensor) -> TokenWindow:
        """The window, and its image without the features `removed` (M,)."""
        image = window.image
        regions = removed[None, self.part.count :].cpu()
        if image is None or not regions.any():
            return window
        (mask,) = FeatureMask((image.regions.ids,), len(image.regions)).ablation_mask(torch.zeros(1).long(), regions)
        pixels = torch.where(mask, image.baseline, image.inputs[image.argument])
        return replace(window, image=replace(image, inputs={**image.inputs, image.argument: pixels}))

    def _shortened(self, windows: Sequence[TokenWindow], gone: np.ndarray) -> tuple[list[TokenWindow], np.ndarray]:
        """Copies of one window without some tokens each (R, L) bool, and which ones they keep (R, L)."""
        gone, empty = gone.copy(), np.zeros_like(gone)
        for places in _texts(windows[0]):
            without_text = gone[:, places].all(1)
            empty[without_text, places[0]] = True
        if empty.any():
            gone, stands_for_nothing = gone & ~empty, self._empty_text()
            windows = [_with_ids(one, at, stands_for_nothing) for one, at in zip(windows, empty, strict=True)]
        return [one.without(own) for one, own in zip(windows, gone, strict=True)], ~gone

    def _empty_text(self) -> int:
        """The token that an empty text is read as. Raises InvalidInput if there is none."""
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            if (token := self.explainer.token_id(name)) is not None:
                return token
        raise InvalidInput(
            f"'delete' may take out all words, and {self.explainer.name} has no token that an empty text could begin "
            "with; remove words by 'zero' or 'mean'."
        )

    def _read(self, rows: Sequence[TokenWindow], kept: np.ndarray, weights: Tensor) -> Tensor:
        """The T numbers of windows (R, T), given the weights (T, *C) of the outputs of the window with all tokens."""
        lengths: dict[int, list[int]] = defaultdict(list)
        for r, row in enumerate(rows):
            lengths[len(row) if row.answer_ids else 0].append(r)  # answers are read from the end
        outputs: dict[int, Tensor] = {}
        for members in lengths.values():
            outputs.update(
                zip(members, predict(self.explainer, [rows[r] for r in members], self.batching), strict=True)
            )
        axis, numbers = self.explainer.token_axis, []
        for r, own in enumerate(kept):
            output, own_weights = outputs[r], weights
            if axis is not None:
                places = torch.from_numpy(own).to(weights.device).nonzero()[:, 0]
                output, own_weights = output.narrow(axis, 0, len(places)), weights.index_select(1 + axis, places)
            if output.shape != own_weights.shape[1:]:
                raise InvalidInput(
                    f"'delete' changes the shape of what {self.explainer.task.title.lower()} reads; "
                    "remove words by 'pad', 'mask', 'zero' or 'mean'."
                )
            target = Target(weights=own_weights[None], unit=self.link)
            numbers.append(target(output[None], torch.zeros(1, dtype=torch.long)))
        return torch.cat(numbers)


def _texts(window: TokenWindow) -> list[np.ndarray]:
    """The positions that a model reads as one text each; those of an answer that follows it are not of it."""
    ids = window.inputs.get("input_ids", ())
    if isinstance(window, TextPair):
        ends = [0, *np.cumsum(window.sides)]
    else:
        n = len(window.answer_ids)
        ends = [0, len(ids) - (n if n and tuple(ids[-n:]) == window.answer_ids else 0)]
    read = np.array(window.inputs.get("attention_mask", np.ones(len(ids)))) > 0
    texts = [start + np.flatnonzero(read[start:end]) for start, end in pairwise(ends)]
    return [text for text in texts if len(text)]


def _with_ids(window: TokenWindow, places: np.ndarray, ids: Any) -> TokenWindow:
    """The window with other token ids (L,), or one id, at some places (L,) bool."""
    changed = np.where(places, ids, window.inputs["input_ids"]).tolist()
    return replace(window, inputs={**window.inputs, "input_ids": changed})


def _filled(
    filler: Explainer, windows: Sequence[TokenWindow], places: np.ndarray, batching: Batching
) -> list[TokenWindow]:
    """The windows with the likeliest tokens, but special ones, at some places (R, L) bool, all masked in one pass."""
    masked = [_with_ids(one, at, filler.token_id("mask_token_id")) for one, at in zip(windows, places, strict=True)]
    device = device_of(filler.model)
    inputs, _ = pad_batch(masked, filler.pad, device)

    def work(part: slice) -> Tensor:
        logits = filler.model(**{name: rows[part] for name, rows in inputs.items()}).logits
        logits[:, :, filler.tokenizer.all_special_ids] = -torch.inf
        return logits.argmax(2)

    with torch.no_grad(), frozen_model(filler.model, evaluate=True):
        likeliest = [ids for _, ids in batching.chunks(len(masked), places.shape[1] * filler.width, device, work)]
    ids = torch.cat(likeliest).cpu().numpy()
    return [_with_ids(*each) for each in zip(windows, places, ids, strict=True)]
