"""Texts into model rows: token ids, where each token stands in the text, windows for long texts, padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from xai_nlp.core.reductions import Span
from xai_nlp.core.result import SPECIAL
from xai_nlp.errors import InvalidInput

Text = str | tuple[str, str]


@dataclass(frozen=True)
class TokenWindow:
    """One window of one text, as the model will see it: everything L long."""

    example: int  # which of the texts it comes from
    inputs: dict[str, list[int]]  # input_ids and what else the tokenizer gives
    tokens: tuple[str, ...]  # as the tokenizer names them
    offsets: tuple[Span, ...]  # in characters of the token's segment, white space left out
    segment: tuple[int, ...]  # which of the text's segments; SPECIAL for special tokens
    visible_positions: tuple[int, ...] | None = None  # the tokens that an explanation tells of; all of them if None
    image: Any = None  # the image that goes with it (tasks.sight.Sight)
    answer_ids: tuple[int, ...] = ()  # the tokens of the answer, in a model that writes it
    contrast_ids: tuple[int, ...] = ()  # what those are compared with

    @property
    def positions(self) -> list[int]:
        """Which tokens an explanation tells of."""
        return list(range(len(self)) if self.visible_positions is None else self.visible_positions)

    def __len__(self) -> int:
        return len(self.offsets)

    def visible(self) -> TokenWindow:
        """With the tokens alone that an explanation tells of."""
        if self.visible_positions is None:
            return self
        return replace(
            self,
            tokens=tuple(self.tokens[i] for i in self.visible_positions),
            offsets=tuple(self.offsets[i] for i in self.visible_positions),
            segment=tuple(self.segment[i] for i in self.visible_positions),
            visible_positions=None,
        )


def segments_of(text: Text) -> tuple[str, ...]:
    """The text, or the two texts of a pair. Raises InvalidInput for anything else, or for nothing to read."""
    parts = (text,) if isinstance(text, str) else text
    if not isinstance(parts, (tuple, list)) or len(parts) not in (1, 2) or not all(isinstance(p, str) for p in parts):
        raise InvalidInput(f"a text is a string or a pair of strings; got {type(text).__name__} {str(text)[:60]!r}.")
    if not any(part.strip() for part in parts):
        raise InvalidInput("there is nothing to explain: the text is empty or only white space.")
    try:
        "".join(parts).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"the text is not valid Unicode: a lone surrogate at character {error.start}.") from None
    return tuple(parts)


def encode(
    tokenizer: Any,
    texts: Sequence[Text],
    *,
    max_length: int,
    stride: int | None,
    names: Sequence[str],
    cut: int | None = None,
) -> list[TokenWindow]:
    """The rows of each text: one, or overlapping windows of at most `max_length` tokens where it is longer.

    stride: how many tokens neighbouring windows share; None refuses long texts.
    names: the model's input names; what else the tokenizer gives is dropped.
    cut: which text of a pair is read in windows; None is the longer.
    """
    rows = []
    for example, text in enumerate(texts):
        segments = segments_of(text)
        whole = tokenizer(*segments, return_offsets_mapping=True, verbose=False)
        length = len(whole["input_ids"])
        if length <= max_length:
            windows = whole.encodings
        elif stride is None:
            raise InvalidInput(
                f"the text has {length} tokens and the model takes {max_length}. "
                "Shorten it, or let it be read in overlapping windows (long='windows')."
            )
        else:
            windows = _windows(tokenizer, segments, whole, max_length, stride, cut)
        for window in windows:
            rows.append(_row(example, window, segments, names))
        if not any(s != SPECIAL for row in rows if row.example == example for s in row.segment):
            raise InvalidInput(f"there is nothing to explain: the tokenizer finds no token in {segments[0][:60]!r}.")
    return rows


def _windows(
    tokenizer: Any, segments: tuple[str, ...], whole: Any, max_length: int, stride: int, cut: int | None
) -> list[Any]:
    """The encodings of overlapping windows of the text that is cut."""
    owners = whole.sequence_ids(0)
    lengths = [owners.count(k) for k in range(len(segments))]
    longer = lengths.index(max(lengths)) if cut is None else cut
    room = max_length - (len(owners) - lengths[longer])
    if room < 2:
        raise InvalidInput(
            f"texts of {' and '.join(map(str, lengths))} tokens leave no room for windows in {max_length}. "
            f"Shorten the {'first' if longer else 'second'} text, or allow more with max_length."
        )
    overlapping = tokenizer(
        *segments,
        truncation=("only_first", "only_second")[longer] if len(segments) == 2 else True,
        max_length=max_length,
        stride=min(stride, room - 1),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        verbose=False,
    )
    return overlapping.encodings


def _row(example: int, encoding: Any, segments: tuple[str, ...], names: Sequence[str]) -> TokenWindow:
    given = {"input_ids": encoding.ids, "attention_mask": encoding.attention_mask, "token_type_ids": encoding.type_ids}
    segment = tuple(SPECIAL if s is None else s for s in encoding.sequence_ids)
    offsets = tuple(
        (0, 0) if s == SPECIAL else _trimmed(segments[s], start, end)
        for s, (start, end) in zip(segment, encoding.offsets, strict=True)
    )
    return TokenWindow(
        example, {name: list(given[name]) for name in given if name in names}, tuple(encoding.tokens), offsets, segment
    )


def _trimmed(text: str, start: int, end: int) -> Span:
    """The span without white space at its ends, which byte-level tokenizers count in; as it is if nothing is left."""
    piece = text[start:end]
    kept = piece.strip()
    if not kept:
        return start, end
    start += len(piece) - len(piece.lstrip())
    return start, start + len(kept)


def pad_batch(rows: Sequence[TokenWindow], pad: int | None, device: torch.device) -> dict[str, Tensor]:
    """Rows side by side, the short ones filled up and masked out: (B, L) each.

    Raises InvalidInput for rows of several lengths where there is no pad token.
    """
    longest = max(map(len, rows))
    if pad is None and any(len(row) != longest for row in rows):
        raise InvalidInput(
            "texts of several lengths cannot share a batch: neither tokenizer nor model has a pad token."
        )
    fill = {"input_ids": pad or 0}
    return {
        name: torch.tensor(
            [row.inputs[name] + [fill.get(name, 0)] * (longest - len(row)) for row in rows], device=device
        )
        for name in rows[0].inputs
    }


def batches(rows: Sequence[TokenWindow], entries: int, *, even: bool) -> list[list[int]]:
    """Which rows go together: sorted by length, at most `entries` tokens, padding under an eighth (none if `even`)."""
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i]), i))
    groups: list[list[int]] = []
    for i in order:
        longest = len(rows[groups[-1][0]]) if groups else 0
        fits = groups and (len(groups[-1]) + 1) * longest <= entries
        if fits and (len(rows[i]) == longest or (not even and len(rows[i]) >= longest * 7 / 8 - 1)):
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups
