"""The windows of a long text merged into one list of tokens, so that sums stay true."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xai_nlp.core.result import SPECIAL
from xai_nlp.core.spans import Span
from xai_nlp.models.tokenization import TokenWindow


@dataclass(frozen=True)
class WindowScores:
    """The scores of one window for one target."""

    window: TokenWindow
    scores: np.ndarray  # (C, L) float64 without padding: C channels
    value: float
    baseline_value: float
    steps: int | None


@dataclass(frozen=True)
class MergedScores:
    """A text's tokens and scores: f is the mean over its windows, so Σ scores shares out that f's change.

    starts: the first of the window's tokens that make up each token, if there was one window.
    """

    tokens: tuple[str, ...]
    offsets: tuple[Span, ...]
    segment: tuple[int, ...]
    scores: np.ndarray  # (C, tokens)
    value: float
    baseline_value: float
    steps: int | None
    starts: list[int] | None


Key = tuple[int, Span, int]  # segment, characters, and the number among tokens at the same characters


def merge_windows(segments: Sequence[str], windows: Sequence[WindowScores]) -> MergedScores:
    """One token where windows overlap, with the mean of its scores in each window (a window without it counts as 0).

    Tokens that hold bytes of one character (byte-level tokenizers, emoji) become one token. A token of white space
    joins the one before it, or after.
    """
    steps = [window.steps for window in windows if window.steps is not None]
    if len(windows) == 1 and (plain := _plain_window(segments, windows[0])):
        return plain
    shares: dict[Key, list[np.ndarray]] = defaultdict(list)
    names: dict[Key, str] = {}
    of_segment: dict[int, list[Key]] = defaultdict(list)
    for window in windows:
        for key, name, score in zip(_keys(window.window), window.window.tokens, window.scores.T, strict=True):
            if key not in names:
                of_segment[key[0]].append(key)
            names.setdefault(key, name)
            shares[key].append(score / len(windows))
    order: list[Key] = []
    for key in _keys(windows[0].window):  # the first window's layout, each segment's tokens all at its first
        if key[0] == SPECIAL:
            order.append(key)
        else:
            order.extend(of_segment.pop(key[0], ()))
    order.extend(key for segment, keys in of_segment.items() if segment != SPECIAL for key in keys)
    groups = _with_blanks(segments, _characters(order))
    places = {key: i for i, key in enumerate(_keys(windows[0].window))}
    return MergedScores(
        tokens=tuple(_text(segments, group, names) for group in groups),
        offsets=tuple(_span(group) for group in groups),
        segment=tuple(group[0][0] for group in groups),
        scores=np.stack([np.sum([share for key in group for share in shares[key]], 0) for group in groups], 1),
        value=math.fsum(window.value for window in windows) / len(windows),
        baseline_value=math.fsum(window.baseline_value for window in windows) / len(windows),
        steps=max(steps, default=None),
        starts=[places[group[0]] for group in groups] if len(windows) == 1 else None,
    )


def _plain_window(segments: Sequence[str], one: WindowScores) -> MergedScores | None:
    """A single window whose tokens need no merging; None if some hold white space only or share a character."""
    offsets, segment = one.window.offsets, one.window.segment
    inside = segment != SPECIAL
    same = inside[1:] & inside[:-1] & (segment[1:] == segment[:-1])
    if (same & (offsets[1:, 0] < offsets[:-1, 1])).any():
        return None
    places, owners = offsets.tolist(), segment.tolist()
    tokens = tuple(
        [
            name if owner < 0 else segments[owner][start:end]
            for name, owner, (start, end) in zip(one.window.tokens, owners, places, strict=True)
        ]
    )
    if any(owner >= 0 and (not token or token.isspace()) for token, owner in zip(tokens, owners, strict=True)):
        return None
    return MergedScores(
        tokens=tokens,
        offsets=tuple([(start, end) for start, end in places]),
        segment=tuple(owners),
        scores=one.scores,
        value=one.value,
        baseline_value=one.baseline_value,
        steps=one.steps,
        starts=list(range(len(tokens))),
    )


def _keys(window: TokenWindow) -> list[Key]:
    """A token is the same in two windows if its characters are; special tokens go by their order."""
    counts: Counter[tuple[int, Span]] = Counter()
    keys = []
    for segment, (start, end) in zip(window.segment.tolist(), window.offsets.tolist(), strict=True):
        place = (segment, (start, end))
        keys.append((*place, counts[place]))
        counts[place] += 1
    return keys


def _characters(order: Sequence[Key]) -> list[list[Key]]:
    """Tokens that hold bytes of the same character belong together."""
    groups: list[list[Key]] = []
    for key in order:
        segment, (start, end), _ = key
        last = groups[-1] if groups else None
        if last and segment != SPECIAL and segment == last[0][0] and start < _span(last)[1] and end > start:
            last.append(key)
        else:
            groups.append([key])
    return groups


def _with_blanks(segments: Sequence[str], groups: Sequence[list[Key]]) -> list[list[Key]]:
    """A token of white space joins the one before it, or after."""
    joined: list[list[Key]] = []
    for group in groups:
        same = bool(joined) and group[0][0] != SPECIAL and joined[-1][0][0] == group[0][0]
        if same and (_blank(segments, group) or _blank(segments, joined[-1])):
            joined[-1].extend(group)
        else:
            joined.append(list(group))
    return joined


def _blank(segments: Sequence[str], group: Sequence[Key]) -> bool:
    start, end = _span(group)
    return not segments[group[0][0]][start:end].strip()


def _span(group: Sequence[Key]) -> Span:
    """From the first character to the last; tokens without any do not count, unless there are no others."""
    spans = [key[1] for key in group if key[1][1] > key[1][0]] or [group[0][1]]
    return min(start for start, _ in spans), max(end for _, end in spans)


def _text(segments: Sequence[str], group: Sequence[Key], names: dict[Key, str]) -> str:
    start, end = _span(group)
    segment = group[0][0]
    return names[group[0]] if segment == SPECIAL else segments[segment][start:end]
