"""The frozen results of influence: training texts behind a prediction, and training texts with suspect labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import shorten
from typing import TYPE_CHECKING, overload

from xai_nlp.core.files import write_file
from xai_nlp.core.spans import Span

if TYPE_CHECKING:
    import numpy as np
    import pandas

Text = str | tuple[str, str]

#: method -> what it says.
METHODS: Mapping[str, str] = {
    "word_embeddings": "gradients of the word embeddings, which split over shared words (TracIn-WE)",
    "all": "gradients of all parameters that require them (TracIn)",
    "last_layer": "gradients of the weight that gives the logits (TracIn, fast)",
    "similarity": "cosine of what enters the last layer: no influence, but the baseline to beat",
}


@dataclass(frozen=True, kw_only=True)
class TokenPlaces:
    """The tokens of a text, where they stand: `segment` and `offsets` as in `core.result.Explanation`."""

    tokens: tuple[str, ...] = ()
    offsets: tuple[Span, ...] = ()
    segment: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrainingExample(TokenPlaces):
    """A training text with its influence on a prediction, or on its own.

    index: its row in the training data. label: its label there. token_scores: for word embeddings, the part of the
    influence of each of its tokens; query_token_scores: the same by tokens of the text that was asked about;
    shared_words: by token, summed over the text, the strongest first.
    """

    index: int
    text: Text
    label: str
    score: float
    token_scores: tuple[float, ...] = ()
    query_token_scores: tuple[float, ...] = ()

    @property
    def shared_words(self) -> dict[str, float]:
        """The influence by token; only tokens of both texts have a part."""
        sums: dict[str, float] = {}
        for token, score in zip(self.tokens, self.token_scores, strict=True):
            sums[token] = sums.get(token, 0.0) + score
        return dict(sorted(((t, s) for t, s in sums.items() if s), key=lambda pair: -abs(pair[1])))

    def __repr__(self) -> str:
        return f"<TrainingExample {self.index} {self.score:+.4g} {self.label}: {_short(self.text)}>"


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingInfluence(TokenPlaces):
    """The training texts that drove a prediction: proponents lowered the loss of the label, opponents raised it.

    label: the label whose loss it is. scores: the influence of each training text, (N,), in `unit`. tokens: the text's,
    if the influence splits over words. A notebook shows it by itself.
    """

    text: Text
    label: str
    method: str  # a key of METHODS
    proponents: tuple[TrainingExample, ...]
    opponents: tuple[TrainingExample, ...]
    scores: np.ndarray
    model: str = ""

    @property
    def unit(self) -> str:
        """The unit of the scores: "nat", of the loss that one step of training takes away; or "cosine"."""
        return "cosine" if self.method == "similarity" else "nat"

    def __repr__(self) -> str:
        return (
            f"<TrainingInfluence on {self.label} of {_short(self.text)}: "
            f"{len(self.proponents)} proponents, {len(self.opponents)} opponents of {len(self.scores)} texts, "
            f"{self.method}>"
        )

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each proponent and opponent: role, rank, index, score, label, text."""
        import pandas

        roles = {"proponent": self.proponents, "opponent": self.opponents}
        rows = [{"role": role, **row} for role, examples in roles.items() for row in _rows(examples)]
        return pandas.DataFrame(rows, columns=["role", *COLUMNS])

    def _repr_html_(self) -> str:
        from xai_nlp.viz.page.influence import influence_cell

        return influence_cell(self)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write a page that needs no network: each proponent and opponent, with the words that both texts share."""
        from xai_nlp.viz.page.influence import influence_page

        write_file(path, influence_page(self).encode())

    def to_ansi(self) -> str:
        """Coloured text for a terminal."""
        from xai_nlp.viz.terminal.influence import influence_ansi

        return influence_ansi(self)


@dataclass(frozen=True, kw_only=True)
class SuspectLabels(Sequence[TrainingExample]):
    """The training texts with the most suspect labels, the most suspect first. A notebook shows them as a table.

    examples: each with its score, in `unit`. total: how many training texts there were.
    """

    examples: tuple[TrainingExample, ...]
    method: str  # a key of METHODS
    total: int
    model: str = ""

    @property
    def unit(self) -> str:
        """The unit of the scores: "nat", or "" for the share of similar texts that have another label."""
        return "" if self.method == "similarity" else "nat"

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, index: int) -> TrainingExample: ...
    @overload
    def __getitem__(self, index: slice) -> SuspectLabels: ...
    def __getitem__(self, index: int | slice) -> TrainingExample | SuspectLabels:
        if isinstance(index, slice):
            return replace(self, examples=self.examples[index])
        return self.examples[index]

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.examples[:2])) + ", …" * (len(self) > 2)
        return f"<SuspectLabels, {len(self)} of {self.total} texts, {self.method}: {shown}>"

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each text: rank, index, score, label, text."""
        import pandas

        return pandas.DataFrame(_rows(self.examples), columns=COLUMNS)

    def _repr_html_(self) -> str:
        from xai_nlp.viz.page.influence import suspects_cell

        return suspects_cell(self)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the table as a page that needs no network."""
        from xai_nlp.viz.page.influence import suspects_page

        write_file(path, suspects_page(self).encode())

    def to_ansi(self) -> str:
        """Coloured text for a terminal."""
        from xai_nlp.viz.terminal.influence import suspects_ansi

        return suspects_ansi(self)


COLUMNS = ["rank", "index", "score", "label", "text"]


def _rows(examples: Sequence[TrainingExample]) -> list[dict[str, object]]:
    return [
        {"rank": rank, "index": one.index, "score": one.score, "label": one.label, "text": one.text}
        for rank, one in enumerate(examples, 1)
    ]


def _short(text: Text) -> str:
    return repr(shorten(text if isinstance(text, str) else " / ".join(text), 60, placeholder=" …"))
