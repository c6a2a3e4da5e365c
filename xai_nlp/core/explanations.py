"""Several explanations: a lazy sequence to show, save, load and tabulate."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from xai_nlp.core.explanation_files import read_explanations
from xai_nlp.core.files import PART, write_file
from xai_nlp.core.result import Explanation
from xai_nlp.core.score_table import ScoreRow, score_rows
from xai_nlp.core.two_files import json_path, load_two
from xai_nlp.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    import pandas


class Explanations(Sequence[Explanation]):
    """Several explanations, shown together: methods side by side, or many texts. Equal to any sequence of equal ones.

    errors: the inputs that could not be explained, by their index, where `on_error="record"` was asked for.
    inputs: of which input each is, by its index, where `explain` made them; () elsewhere.

    >>> made = Explanations.lazy(3, lambda i: print("made", i))
    >>> len(made), len(made[1:])
    (3, 2)
    >>> made[1]
    made 1
    """

    __slots__ = ("_items", "_make", "errors", "inputs")

    def __init__(
        self,
        items: Iterable[Explanation] = (),
        errors: Mapping[int, str] | None = None,
        inputs: Iterable[int] = (),
    ) -> None:
        self._items: list[Explanation | None] = list(items)
        self._make: Callable[[int], Explanation] | None = None
        self.errors = dict(errors or {})  # index of an input that was not explained -> why; of on_error="record"
        self.inputs = tuple(inputs)

    @classmethod
    def lazy(cls, count: int, make: Callable[[int], Explanation], inputs: Iterable[int] = ()) -> Explanations:
        """`count` explanations; `make(i)` gives the i-th when it is first read, once."""
        explanations = cls(inputs=inputs)
        explanations._items, explanations._make = [None] * count, make
        return explanations

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Explanation: ...
    @overload
    def __getitem__(self, index: slice) -> Explanations: ...
    def __getitem__(self, index: int | slice) -> Explanation | Explanations:
        if isinstance(index, slice):
            places = range(len(self))[index]
            return Explanations.lazy(len(places), lambda i: self[places[i]])
        item = self._items[index]
        if item is None and self._make is not None:
            item = self._items[index] = self._make(range(len(self))[index])
        return item  # type: ignore[return-value]

    def __iter__(self) -> Iterator[Explanation]:
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, (str, bytes)):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[Explanations], tuple[list[Explanation], dict[int, str], tuple[int, ...]]]:
        return Explanations, (list(self), self.errors, self.inputs)

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:2])) + ", …" * (len(self) > 2)
        failed = f", {len(self.errors)} failed" if self.errors else ""
        return f"<Explanations, {len(self)}{failed}: {shown}>"

    def words(self) -> Explanations:
        """Every one over whole words."""
        return Explanations.lazy(len(self), lambda i: self[i].words())

    def head_importance(self, stack: str = "self") -> np.ndarray:
        """How much each head matters: the size of what it carries, averaged over these explanations, (layers, H).

        Of `attention_x_gradient` it is the expected sensitivity to a factor on the head.
        Source: Michel, Levy & Neubig 2019, eq. 2 (arXiv:1905.10650).
        """
        heads = [abs(item.attention[stack].heads()) for item in self if stack in item.attention]
        if not heads:
            raise InvalidInput(f"no {stack!r} attention here; explain with method='attention_x_gradient'.")
        return sum(heads[1:], heads[0]) / len(heads)

    def summary(self) -> pandas.DataFrame:
        """The words that counted most for each label: label, word, mean score, its interval, examples.

        mean, low, high: over the examples that hold the word, with a 95 % interval; overall: over all of the label's.
        Raises InvalidInput for explanations of images alone.
        """
        if self and not any(item.tokens for item in self):
            raise InvalidInput(
                "summary() counts words, and these explanations have none: to_pandas() lists the regions."
            )
        import pandas

        from xai_nlp.core.statistics import word_effects

        nothing = (math.nan, math.nan)
        rows = [
            (label, one.word, one.present.mean, *(one.present.interval or nothing), one.present.count, one.overall)
            for label, of_label in word_effects(self, least=1).items()
            for one in of_label.effects
        ]
        return pandas.DataFrame(rows, columns=["label", "word", "mean", "low", "high", "examples", "overall"])

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each token and region of each explanation: `core.score_table.ScoreRow`."""
        import pandas

        return pandas.DataFrame(score_rows(self), columns=list(ScoreRow._fields))

    def to_json(self) -> str:
        """JSON lines: one explanation a line, with its numbers."""
        return "".join(f"{item.to_json()}\n" for item in self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON lines, whole or not at all; `Explanations.load` reads them back equal."""
        write_file(json_path(path), self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Explanations:
        """Read JSON lines, a JSON list, or one file of `Explanation.save`. Raises UnreadableFile, with the line.

        Of a file that ends in ".part", which a command that was killed left, the lines that are whole.
        """

        def read(content: bytes) -> Explanations:
            if Path(path).suffix == PART:
                content = content[: content.rfind(b"\n") + 1]
            return cls(read_explanations(content, str(path), Path(path).parent))

        return load_two(path, read)

    def _repr_html_(self) -> str:
        from xai_nlp.viz.page.notebook import notebook_html

        return notebook_html(self)

    def to_png(self, path: str | os.PathLike[str]) -> None:
        """Write the pictures of `Explanation.to_png`, one under the other."""
        from xai_nlp.viz.figure.column import save_column

        save_column(self, path)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write one page with all of them."""
        from xai_nlp.viz.page.html import page

        write_file(path, page(self).encode())
