"""The words and regions of one example as features, numbered the same way in each of its windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.features import NO_FEATURE, FeatureMask
from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.batch import WindowBatch
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.merge_windows import WindowScores, merge_windows

if TYPE_CHECKING:
    from xai_nlp.tasks.explainer import Explainer


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowFeatures:
    """Windows of the example that share a batch, and the features in them."""

    batch: WindowBatch
    weights: tuple[Tensor, ...]  # of each window (T, *C)
    words: tuple[np.ndarray, ...]  # of each window (L,) the word of each token, or NO_FEATURE
    removable_words: tuple[np.ndarray, ...]  # the same without the words that stay
    count: int  # words of the example
    entries: int  # numbers of one row of the model

    def features(self, words: Sequence[np.ndarray]) -> FeatureMask:
        """Words (L,) of each window, and then the regions, as features of the embeddings and of the pixels."""
        images, ids = self.batch.images, []
        if self.batch.has_text:
            text = torch.full(self.batch.movable.shape, NO_FEATURE)
            for row, of_window in zip(text, words, strict=True):
                row[: len(of_window)] = torch.from_numpy(of_window)
            ids.append(text[:, :, None].to(self.batch.movable.device))
        if images is not None:
            ids.append(images.features(self.count))
        return FeatureMask(tuple(ids), self.count + (0 if images is None else images.count))

    @property
    def removable(self) -> Tensor:
        """Which features can be removed from one of the windows: (M,) bool."""
        return self.features(self.removable_words).present(len(self.words)).any(0)


def window_features(
    explainer: Explainer, target: ExampleTarget, windows: Sequence[TokenWindow], *, pinned: bool
) -> list[WindowFeatures]:
    """The windows of the example in batches. With `pinned`, words whose own outputs are read cannot be removed."""
    groups = explainer.groups(windows)
    batches = [explainer.batch([windows[w] for w in group]) for group in groups]
    numbers, count = word_numbers(target, [window for batch in batches for window in batch.windows])
    rest, parts = iter(numbers), []
    for group, batch in zip(groups, batches, strict=True):
        weights = tuple(target.weights[w] for w in group)
        words = tuple(islice(rest, len(group)))
        removable = []
        for movable, own, weight in zip(batch.movable.cpu().numpy(), words, weights, strict=True):
            stays = ~movable[: len(own)]
            if pinned:
                stays |= np.isin(own, own[_read_positions(explainer, weight)])
            removable.append(np.where(stays, NO_FEATURE, own))
        parts.append(
            WindowFeatures(
                batch=batch,
                weights=weights,
                words=words,
                removable_words=tuple(removable),
                count=count,
                entries=explainer.row_entries(batch) + (0 if batch.images is None else batch.images.pixels[0].numel()),
            )
        )
    return parts


def _read_positions(explainer: Explainer, weights: Tensor) -> list[int]:
    """The tokens whose own outputs a target (T, *C) reads."""
    if explainer.token_axis is None:
        return []
    return weights.movedim(1 + explainer.token_axis, 0).flatten(1).any(1).nonzero()[:, 0].tolist()


def word_numbers(target: ExampleTarget, windows: Sequence[TokenWindow]) -> tuple[list[np.ndarray], int]:
    """The number of each token's word (L,) in each window, NO_FEATURE for special tokens, and the number of words.

    Merging windows is linear in their scores, so a score of 1 for one token says which merged token it belongs to.
    """
    places = [np.array(window.positions, dtype=np.int64) for window in windows]
    ends = np.cumsum([0, *map(len, places)])
    one_each = np.split(np.eye(ends[-1]), ends[1:-1], axis=1)
    if not ends[-1]:
        return [np.full(len(window), NO_FEATURE) for window in windows], 0
    merged = merge_windows(
        target.segments,
        [WindowScores(w.visible(), each, 0.0, 0.0, None) for w, each in zip(windows, one_each, strict=True)],
    )
    tokens = Explanation(
        segments=target.segments, tokens=merged.tokens, offsets=merged.offsets, segment=merged.segment,
        scores=(0.0,) * len(merged.tokens), unit="", target=target.specs[0], value=0.0, baseline_value=0.0,
        outputs={}, method="", baseline="none", complete=False,
    )  # fmt: skip
    of_merged, count = np.full(len(merged.tokens), NO_FEATURE), 0
    for group in tokens.word_groups():
        if merged.segment[group[0]] != SPECIAL:
            of_merged[group] = count
            count += 1
    of_tokens = of_merged[merged.scores.argmax(1)]
    numbers = [np.full(len(window), NO_FEATURE) for window in windows]
    for own, at, of_window in zip(numbers, places, np.split(of_tokens, ends[1:-1]), strict=True):
        own[at] = of_window
    return numbers, count
