"""Texts into model inputs: token ids, each token's characters in the text, windows of long texts, padded batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Self

from xai_nlp.core.result import SPECIAL
from xai_nlp.errors import InvalidInput

if TYPE_CHECKING:
    from tokenizers import Encoding

Text = str | tuple[str, str]

ENOUGH = 16  # windows of a batch that needs no shorter ones

#: character code -> is it white space; no code above the last one is
_IS_SPACE = np.array([chr(code).isspace() for code in range(0x3002)])


@dataclass(frozen=True, eq=False)
class TokenWindow:
    """One window of one text: L tokens as the model reads them. Offsets and segments may be given as tuples."""

    example: int  # index of the text in the list that was encoded
    inputs: Mapping[str, Sequence[int]]  # arguments of the model, L numbers each: input_ids, attention_mask, …
    tokens: Sequence[str]  # L names of the tokenizer
    offsets: np.ndarray  # (L, 2) first character and end of each token in its segment, white space left out
    segment: np.ndarray  # (L,) the segment of the text that holds the token, or SPECIAL
    visible_positions: tuple[int, ...] | None = None  # tokens that the explanation lists; None for all
    image: Any = None  # the image that accompanies the text (tasks/)
    answer_ids: tuple[int, ...] = ()  # the tokens of the answer, for a model that writes it
    contrast_ids: tuple[int, ...] = ()  # the tokens that `answer_ids` are compared with
    target_position: int | None = None  # the token whose output is explained, where it is one

    def __post_init__(self) -> None:
        object.__setattr__(self, "offsets", np.asarray(self.offsets, dtype=np.int64).reshape(-1, 2))
        object.__setattr__(self, "segment", np.asarray(self.segment, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.segment)

    @property
    def positions(self) -> list[int]:
        """Positions of the tokens that the explanation lists."""
        return list(range(len(self)) if self.visible_positions is None else self.visible_positions)

    def visible(self) -> TokenWindow:
        """The window reduced to the tokens that the explanation lists; `inputs` keep all L."""
        if self.visible_positions is None:
            return self
        at = self.positions
        tokens = tuple(self.tokens[i] for i in at)
        return replace(self, tokens=tokens, offsets=self.offsets[at], segment=self.segment[at], visible_positions=None)

    def without(self, gone: np.ndarray) -> Self:
        """The window without some of its tokens (L,) bool; positions that it names are those of the same tokens."""
        kept, places = np.flatnonzero(~gone).tolist(), np.cumsum(~gone) - 1
        return replace(
            self,
            inputs={name: [values[i] for i in kept] for name, values in self.inputs.items()},
            tokens=tuple(self.tokens[i] for i in kept),
            offsets=self.offsets[kept],
            segment=self.segment[kept],
            visible_positions=None
            if self.visible_positions is None
            else tuple(int(places[i]) for i in self.visible_positions if not gone[i]),
            target_position=None if self.target_position is None else int(places[self.target_position]),
        )


def segments_of(text: Text, name: str = "the text") -> tuple[str, ...]:
    """The text as a tuple of one segment, or the two segments of a pair.

    Raises InvalidInput, which calls the text `name`, for another type, for white space only, and for a lone surrogate.

    >>> segments_of("a film"), segments_of(("Who wrote it?", "Mary did."))
    (('a film',), ('Who wrote it?', 'Mary did.'))
    """
    parts = (text,) if isinstance(text, str) else text
    if not isinstance(parts, (tuple, list)) or len(parts) not in (1, 2) or not all(isinstance(p, str) for p in parts):
        raise InvalidInput(
            f"{name} has the wrong type: a text is a string or a pair of strings; got {type(text).__name__} "
            f"{str(text)[:60]!r}."
        )
    if not any(part.strip() for part in parts):
        raise InvalidInput(f"{name} is empty or only white space: there is nothing to explain.")
    check_unicode("".join(parts), name)
    return tuple(parts)


def check_unicode(text: str, name: str) -> None:
    """Raise InvalidInput, which calls the text `name`, for a lone surrogate: half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        where = f"a lone surrogate at character {error.start}"
        raise InvalidInput(f"{name} is not valid Unicode: it has {where}.") from None


def encode(
    tokenizer: Any,
    texts: Sequence[Text],
    *,
    max_length: int,
    stride: int | None,
    names: Iterable[str],
    cut: int | None = None,
) -> list[TokenWindow]:
    """The windows of each text, text by text: one, or overlapping ones where it has more than `max_length` tokens.

    The tokenizer is called once for all texts, and once more for the long ones.

    stride: number of tokens that neighbouring windows share; None refuses long texts.
    names: the model's input names; other outputs of the tokenizer are dropped.
    cut: segment of a pair that is divided into windows; None divides the longer one.

    Raises InvalidInput, with the text's index if there are several, for a text that `segments_of` refuses, that has no
    token, that is too long, or whose other segment leaves no room for a window.
    """
    labels = [f"text {i}" for i in range(len(texts))] if len(texts) > 1 else ["the text"]
    segments = [segments_of(text, label) for text, label in zip(texts, labels, strict=False)]
    encodings = _encodings(tokenizer, segments)
    options: dict[tuple[str, int], list[int]] = defaultdict(list)  # of the windows' call -> long texts
    for i, (encoding,) in enumerate(encodings):
        if len(encoding) > max_length:
            options[_window_options(encoding, labels[i], max_length, stride, cut)].append(i)
    for (truncation, shared), members in options.items():
        windows = _encodings(
            tokenizer,
            [segments[i] for i in members],
            truncation=truncation,
            max_length=max_length,
            stride=shared,
            return_overflowing_tokens=True,
        )
        for i, of_text in zip(members, windows, strict=True):
            encodings[i] = of_text
    return _token_windows(encodings, segments, labels, set(names))


def _encodings(tokenizer: Any, segments: Sequence[tuple[str, ...]], **options: Any) -> list[list[Encoding]]:
    """The encodings of each text; one call of the tokenizer for single texts, one for pairs."""
    results: list[list[Encoding]] = [[] for _ in segments]
    for count in {len(parts) for parts in segments}:
        members = [i for i, parts in enumerate(segments) if len(parts) == count]
        columns = zip(*(segments[i] for i in members), strict=True)
        try:
            batch = tokenizer(*map(list, columns), verbose=False, return_attention_mask=False, **options)
        except Exception as error:  # a broken vocabulary: tokenizers has no type of its own for it
            reason = " ".join(str(error).split())[:200]
            raise InvalidInput(
                f"the tokenizer fails: {reason}. Is it the model's own, and its file complete?"
            ) from error
        owners = batch.get("overflow_to_sample_mapping", range(len(members)))
        for owner, encoding in zip(owners, batch.encodings, strict=True):
            results[members[owner]].append(encoding)
    return results


def _window_options(
    encoding: Encoding, name: str, max_length: int, stride: int | None, cut: int | None
) -> tuple[str, int]:
    """How the tokenizer truncates a long text, and the number of tokens that its windows share."""
    if stride is None:
        raise InvalidInput(
            f"{name} has {len(encoding)} tokens and the model takes {max_length}. "
            "Shorten it, or let it be read in overlapping windows (long='windows')."
        )
    owners = encoding.sequence_ids
    lengths = [owners.count(k) for k in range(encoding.n_sequences)]
    longer = lengths.index(max(lengths)) if cut is None or len(lengths) == 1 else cut
    room = max_length - (len(owners) - lengths[longer])
    if room < 2:
        raise InvalidInput(
            f"{name} has parts of {' and '.join(map(str, lengths))} tokens, which leave no room for windows in "
            f"{max_length}. Shorten the {'first' if longer else 'second'} text, or allow more with max_length."
        )
    return ("only_first", "only_second")[longer], min(stride, room - 1)


def _token_windows(
    encodings: Sequence[Sequence[Encoding]],
    segments: Sequence[tuple[str, ...]],
    labels: Sequence[str],
    names: set[str],
) -> list[TokenWindow]:
    """Windows whose arrays are slices of one array for all texts (N tokens), so that no loop runs over tokens."""
    flat = [(i, encoding) for i, of_text in enumerate(encodings) for encoding in of_text]
    if not flat:
        return []
    ends = np.cumsum([len(encoding) for _, encoding in flat])
    segment = np.array(list(chain.from_iterable(e.sequence_ids for _, e in flat)), dtype=np.float64)  # None: NaN
    segment = np.where(np.isnan(segment), SPECIAL, segment).astype(np.int64)
    spans = chain.from_iterable(chain.from_iterable(e.offsets for _, e in flat))
    offsets = np.fromiter(spans, dtype=np.int64).reshape(-1, 2)
    example = np.repeat([i for i, _ in flat], np.diff(ends, prepend=0))
    textless = set(range(len(segments))) - set(example[segment != SPECIAL].tolist())
    if textless:
        i = min(textless)
        raise InvalidInput(
            f"the tokenizer finds no token in {labels[i]}: there is nothing to explain in {segments[i][0][:60]!r}."
        )
    offsets = _trimmed(offsets, example, segment, segments)
    windows = []
    for (i, encoding), end in zip(flat, ends.tolist(), strict=True):
        part, ids = slice(end - len(encoding), end), encoding.ids
        arguments = {"input_ids": ids, "attention_mask": [1] * len(ids), "token_type_ids": encoding.type_ids}
        inputs = {name: values for name, values in arguments.items() if name in names}
        windows.append(TokenWindow(i, inputs, encoding.tokens, offsets[part], segment[part]))
    return windows


def _trimmed(
    offsets: np.ndarray, example: np.ndarray, segment: np.ndarray, segments: Sequence[tuple[str, ...]]
) -> np.ndarray:
    """Offsets (N, 2) without white space at the ends, which byte-level tokenizers include; (0, 0) for special tokens.

    A token of white space only keeps its offsets.
    """
    text = "".join(chain.from_iterable(segments))
    space = _IS_SPACE[np.minimum(np.frombuffer(text.encode("utf-32-le"), dtype="<u4"), len(_IS_SPACE) - 1)]
    places = np.arange(len(text) + 1)
    following = np.minimum.accumulate(np.where(np.append(space, False), len(text), places)[::-1])[::-1]
    preceding = np.maximum.accumulate(np.where(np.insert(space, 0, False), 0, places))
    lengths = np.array([(len(parts[0]), len(parts[-1]) if len(parts) == 2 else 0) for parts in segments])
    first = np.cumsum(lengths).reshape(-1, 2) - lengths  # (texts, 2) where each segment begins in `text`
    base = first[example, np.maximum(segment, 0)][:, None]
    start, end = following[offsets[:, 0] + base[:, 0]], preceding[offsets[:, 1] + base[:, 0]]
    trimmed = np.where((start < end)[:, None], np.stack([start, end], 1) - base, offsets)
    trimmed[segment == SPECIAL] = 0
    return trimmed


def windows_of_examples(windows: Sequence[TokenWindow], count: int) -> list[list[int]]:
    """The indices of the windows of each of so many examples."""
    members: list[list[int]] = [[] for _ in range(count)]
    for w, window in enumerate(windows):
        members[window.example].append(w)
    return members


def pad_batch(
    windows: Sequence[TokenWindow], pad: int | None, device: torch.device | str
) -> tuple[dict[str, Tensor], Tensor]:
    """The inputs of B windows in tensors (B, L) each, and which tokens are of the text (B, L).

    Shorter windows are filled with `pad` and masked; special tokens and padding are not of the text.

    Raises InvalidInput for windows of several lengths if there is no pad token.
    """
    if pad is None and len({len(window) for window in windows}) > 1:
        raise InvalidInput(
            "texts of several lengths cannot share a batch: neither tokenizer nor model has a pad token."
        )
    inputs = {
        name: _filled([window.inputs[name] for window in windows], (pad or 0) if name == "input_ids" else 0).to(device)
        for name in windows[0].inputs
    }
    return inputs, _filled([window.segment for window in windows], SPECIAL).ne(SPECIAL).to(device)


def _filled(rows: Sequence[Sequence[int] | np.ndarray], fill: int) -> Tensor:
    """Rows of several lengths as one tensor (B, L), filled up on the right."""
    lengths = np.array([len(row) for row in rows])
    filled = np.full((len(rows), lengths.max()), fill, dtype=np.int64)
    filled[np.arange(lengths.max()) < lengths[:, None]] = np.concatenate(rows)
    return torch.from_numpy(filled)


def batches(windows: Sequence[TokenWindow], entries: int, *, even: bool) -> list[list[int]]:
    """Indices of the windows that share a batch: sorted by length, at most `entries` tokens a batch.

    Padding takes less than an eighth of a batch; none with `even`. A batch that is large enough ends with its length.
    """
    order = sorted(range(len(windows)), key=lambda i: (-len(windows[i]), i))
    groups: list[list[int]] = []
    for i in order:
        group, length = groups[-1] if groups else [], len(windows[i])
        longest, last = (len(windows[group[k]]) if group else 0 for k in (0, -1))
        may_pad = not even and len(group) < ENOUGH and length >= longest * 7 / 8 - 1
        if group and (len(group) + 1) * longest <= entries and (length == last or may_pad):
            group.append(i)
        else:
            groups.append([i])
    return groups
