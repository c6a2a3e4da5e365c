"""The windows of a long text put together again, so that sums stay true."""

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
class Scored:
    """A row with what a method said of it, for one target."""

    row: TokenWindow
    scores: np.ndarray  # (S, L) float64 without padding: S scores a token
    value: float
    baseline_value: float
    steps: int | None


@dataclass(frozen=True)
class Stitched:
    """A text's tokens and scores: f is the mean over its windows, so Σ scores shares out that f's change."""

    tokens: tuple[str, ...]
    offsets: tuple[Span, ...]
    segment: tuple[int, ...]
    scores: np.ndarray  # (S, tokens)
    value: float
    baseline_value: float
    steps: int | None
    groups: list[list[int]] | None  # which of a single window's tokens became one


Key = tuple[int, Span, int]  # segment, where, and which of several tokens at the same place


def _keys(row: TokenWindow) -> list[Key]:
    """What makes a token the same in two windows: its place in the text; for special tokens their order."""
    seen: Counter[tuple[int, Span]] = Counter()
    keys = []
    for place in zip(row.segment.tolist(), map(tuple, row.offsets.tolist()), strict=True):
        keys.append((*place, seen[place]))
        seen[place] += 1
    return keys


def stitched(segments: Sequence[str], windows: Sequence[Scored]) -> Stitched:
    """One token where windows overlap, with the mean of what each window gave it (a window without it gave 0)."""
    shares: dict[Key, list[np.ndarray]] = defaultdict(list)
    names: dict[Key, str] = {}
    of_segment: dict[int, list[Key]] = defaultdict(list)
    for window in windows:
        for key, name, score in zip(_keys(window.row), window.row.tokens, window.scores.T, strict=True):
            if key not in names:
                of_segment[key[0]].append(key)
            names.setdefault(key, name)
            shares[key].append(score / len(windows))
    order: list[Key] = []
    for key in _keys(windows[0].row):  # the first window's layout, each segment's tokens all at its first
        if key[0] == SPECIAL:
            order.append(key)
        else:
            order.extend(of_segment.pop(key[0], ()))
    order.extend(key for segment, keys in of_segment.items() if segment != SPECIAL for key in keys)
    groups = _joined(segments, _characters(order))
    steps = [window.steps for window in windows if window.steps is not None]
    return Stitched(
        tokens=tuple(_text(segments, group, names) for group in groups),
        offsets=tuple(_span(group) for group in groups),
        segment=tuple(group[0][0] for group in groups),
        scores=np.stack([np.sum([share for key in group for share in shares[key]], 0) for group in groups], 1),
        value=math.fsum(window.value for window in windows) / len(windows),
        baseline_value=math.fsum(window.baseline_value for window in windows) / len(windows),
        steps=max(steps, default=None),
        groups=_places(_keys(windows[0].row), groups) if len(windows) == 1 else None,
    )


def _places(keys: Sequence[Key], groups: Sequence[Sequence[Key]]) -> list[list[int]]:
    place = {key: i for i, key in enumerate(keys)}
    return [[place[key] for key in group] for group in groups]


def _characters(order: Sequence[Key]) -> list[list[Key]]:
    """Tokens that hold bytes of the same character (byte-level tokenizers, emoji) belong together."""
    groups: list[list[Key]] = []
    for key in order:
        segment, (start, end), _ = key
        last = groups[-1] if groups else None
        if last and segment != SPECIAL and segment == last[0][0] and start < _span(last)[1] and end > start:
            last.append(key)
        else:
            groups.append([key])
    return groups


def _joined(segments: Sequence[str], groups: Sequence[list[Key]]) -> list[list[Key]]:
    """A token of white space (byte-level tokenizers, runs of spaces) belongs to the one before it, or after."""
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
