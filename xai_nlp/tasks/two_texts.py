"""Two texts that one encoder reads apart, as rows of one pass: their tokens side by side, and hook points for both."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor
from typing_extensions import Self

from xai_nlp.core.result import SPECIAL
from xai_nlp.hooks.scope import EditFn, ModulePoint, tensors_of, with_tensors
from xai_nlp.models.tokenization import TokenWindow


@dataclass(frozen=True, eq=False)
class TextPair(TokenWindow):
    """The tokens of a text, then those of the text that it is compared with. Each is a row of the encoder's pass."""

    sides: tuple[int, int] = (0, 0)  # how many tokens each text has
    pooling: str | None = None
    moves: str = "both"  # or "text" or "pair": the words that leave the baseline

    @classmethod
    def of(cls, text: TokenWindow, pair: TokenWindow, pooling: str | None = None, moves: str = "both") -> TextPair:
        return cls(
            example=text.example,
            inputs={name: [*text.inputs[name], *pair.inputs[name]] for name in text.inputs},
            tokens=[*text.tokens, *pair.tokens],
            offsets=np.concatenate([text.offsets, pair.offsets]),
            segment=np.concatenate([text.segment, np.where(pair.segment == SPECIAL, SPECIAL, 1)]),
            sides=(len(text), len(pair)),
            pooling=pooling,
            moves=moves,
        )

    def padded(self, side: int, pad: int) -> TextPair:
        """Both texts filled up to `side` tokens; the explanation lists the tokens that were there before."""
        first, second = self.sides
        places = [*range(first), *range(side, side + second)]

        def spread(values: Sequence[Any] | np.ndarray, fill: Any) -> list[Any]:
            filled = [fill] * (2 * side)
            for place, value in zip(places, values, strict=True):
                filled[place] = value
            return filled

        return replace(
            self,
            inputs={n: spread(values, pad if n == "input_ids" else 0) for n, values in self.inputs.items()},
            tokens=spread(self.tokens, ""),
            offsets=np.array(spread(self.offsets, (0, 0))),
            segment=np.array(spread(self.segment, SPECIAL)),
            visible_positions=tuple(places),
            sides=(side, side),
        )

    def without(self, gone: np.ndarray) -> Self:
        first = int((~gone[: self.sides[0]]).sum())
        return replace(super().without(gone), sides=(first, int((~gone).sum()) - first))


@dataclass(frozen=True)
class TwoTextPoint(ModulePoint):
    """A place in an encoder that reads two texts as neighbouring rows. Here both are one row: (R, 2 L, …)."""

    @classmethod
    def of(cls, point: ModulePoint) -> TwoTextPoint:
        return cls(point.module, point.side, point.call, point.name, point.root)

    def open(self, edit: EditFn) -> AbstractContextManager[None]:
        def edit_both(value: Any) -> Any:
            edited = edit(with_tensors(value, map(_joined, tensors_of(value))))
            return None if edited is None else with_tensors(edited, map(_apart, tensors_of(edited)))

        return super().open(edit_both)


def _joined(rows: Tensor) -> Tensor:
    """Two rows of L positions as one of 2 L; a row that all share (positions) stands twice."""
    if len(rows) == 1:
        rows = rows.expand(2, *rows.shape[1:])
    return rows.unflatten(0, (-1, 2)).flatten(1, 2)


def _apart(rows: Tensor) -> Tensor:
    return rows.unflatten(1, (2, -1)).flatten(0, 1)
