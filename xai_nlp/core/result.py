"""The frozen result of an explanation: read it, redraw it, save it, load it, compare it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xai_nlp.core.answers import exact_match
from xai_nlp.core.arrays import Array, AttentionAttribution
from xai_nlp.core.files import write_file
from xai_nlp.core.image import ImageAttribution
from xai_nlp.core.serialization import from_data, json_text, parse_json, to_data
from xai_nlp.core.spans import Span, assign, word_spans
from xai_nlp.core.trust import Trust
from xai_nlp.core.two_files import arrays_path, json_path, load_two, save_two
from xai_nlp.errors import InvalidInput, NotFinite, UnreadableFile

if TYPE_CHECKING:
    import numpy as np
    import pandas

SPECIAL = -1
BESIDE = 2**16  # bytes: an explanation with more numbers than this has them in a file of their own
TargetKind = Literal["label", "answer", "start", "end", "span", "token", "word", "entity", "output"]


@dataclass(frozen=True, kw_only=True)
class TargetSpec:
    """The number of the model that was explained.

    kind: "label", a classifier's output; "answer", an answer as a whole; "start", "end" or "span", where an answer
        stands in a context; "token", one token of a written answer; "word", a word at a mask; "entity", the type of a
        stretch of the text; "output", any other number.

    >>> str(TargetSpec(kind="label", label="POSITIVE", contrast="NEGATIVE"))
    'POSITIVE-NEGATIVE'
    >>> str(TargetSpec(kind="token", label=" cat", answer="a cat", position=1))
    "token ' cat' (1)"
    """

    kind: TargetKind
    label: str  # the label; the answer's text; the written token or word; the entity's type. "" is no answer
    contrast: str | None = None  # the label or answer it is compared with: why `label` rather than `contrast`
    position: int | None = None  # of a label its index among the outputs; of a token its index in the answer
    answer: str = ""  # of a token: the whole written answer; of an entity: its text
    unit: str = "logit"  # of `value` and `baseline_value`: "logit", "probability", "log-probability" or "output"

    def __str__(self) -> str:
        """In a few words, for people and logs; code reads the fields."""
        if self.kind == "token":
            return f"token {self.label!r}" + ("" if self.position is None else f" ({self.position})")
        name = self.label if self.contrast is None else f"{self.label}-{self.contrast}"
        return f"{self.kind} of {name or 'no answer'}" if self.kind in ("start", "end", "span") else name


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One signed score per token and image region, and everything needed to read, redraw and recompute it.

    Scores are raw, in `unit`; if the method is `complete` they add up to `value − baseline_value` but for `residual`,
    those of tokens and of regions together.
    A token knows its text by `segment` (an index into `segments`, −1 for special tokens) and `offsets` (characters).
    """

    segments: tuple[str, ...]  # the text, or the two texts of a pair
    tokens: tuple[str, ...]  # L of them, as they read: cut from the text; special ones as "[CLS]"
    offsets: tuple[Span, ...]  # L of (start, end), in characters of the token's segment
    segment: tuple[int, ...]  # L indices into `segments`; SPECIAL for special tokens
    scores: tuple[float, ...]  # L numbers, signed, in `unit`; never rescaled
    unit: str  # "logit", "probability"; "" where a method's scores have none
    target: TargetSpec  # the number that was explained
    value: float  # f(x), in `unit`
    baseline_value: float  # f(x₀), in `unit`
    outputs: Mapping[str, float]  # every label's or answer's probability, or raw output for a regression
    method: str  # registry name
    baseline: str  # what x was compared with: "pad", "mask", …; "none" if nothing
    complete: bool  # does the method promise Σ scores = f(x) − f(x₀)?
    task: str = "text-classification"
    model: str = ""
    seed: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)  # the options, and the steps used
    versions: Mapping[str, str] = field(default_factory=dict)
    answer: tuple[int, Span] | None = None  # where the answer explained stands: its segment, and characters there
    gold: tuple[str, ...] = ()  # the right labels or answers; () where they are not known, ("",) for no answer
    trust: Trust | None = None  # how far the scores can be trusted, where that was measured
    parts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # of each embedding; they add up to `scores`
    layers: Array | None = None  # (layers, L): what flowed through each token at each layer's output
    attention: Mapping[str, AttentionAttribution] = field(default_factory=dict)  # "self", "cross", "image", …
    image: ImageAttribution | None = None  # with its regions' scores

    def __post_init__(self) -> None:
        count, parts = len(self.tokens), self.parts.values()
        if (
            not len(self.offsets) == len(self.segment) == len(self.scores) == count
            or (self.layers is not None and self.layers.shape[1:] != (count,))
            or (parts and any(len(part) != count for part in parts))
        ):
            raise InvalidInput(
                f"an Explanation needs one offset, segment and score per token; got {count} tokens, "
                f"{len(self.offsets)} offsets, {len(self.segment)} segments, {len(self.scores)} scores."
            )
        for name, stack in self.attention.items():
            if self._matrix_shape(stack) != stack.scores.shape[2:]:
                raise InvalidInput(f"attention {name!r} of {count} tokens has matrices {stack.scores.shape[2:]}.")
        numbers = (*self.scores, *self.outputs.values(), self.value, self.baseline_value, *chain(*parts))
        if not all(map(math.isfinite, numbers)):
            raise NotFinite

    def _matrix_shape(self, stack: AttentionAttribution) -> tuple[int, ...]:
        return tuple(len(self.tokens if names is None else names) for names in (stack.queries, stack.keys))

    # What it says ---------------------------------------------------------------------------------------------

    @property
    def explained(self) -> float:
        """f(x) − f(x₀): what there is to share out, in `unit`."""
        return self.value - self.baseline_value

    @property
    def residual(self) -> float:
        """f(x) − f(x₀) − Σ scores, in `unit`: what a complete method left unexplained."""
        regions = () if self.image is None else self.image.scores
        return self.explained - math.fsum((*self.scores, *regions))

    @property
    def shares(self) -> dict[str, float]:
        """How much of all that was scored lies in the text, how much in the image: Σ|scores| of each, adding up to 1.

        Shares of Shapley values are MM-SHAP. {} without an image, or where every score is zero.
        Source: Parcalabescu & Frank 2023, eq. 3–4 (arXiv:2212.08158).
        """
        if self.image is None:
            return {}
        sizes = {"text": math.fsum(map(abs, self.scores)), "image": math.fsum(map(abs, self.image.scores))}
        total = math.fsum(sizes.values())
        return {name: size / total for name, size in sizes.items()} if total else {}

    @property
    def prediction(self) -> str:
        """The label or answer the model gives most to; "" where nothing is known of its outputs."""
        return max(self.outputs, key=lambda label: self.outputs[label], default="")

    @property
    def correct(self) -> bool | None:
        """Is the prediction one of `gold`? None where that is not known.

        Labels are compared without case; answers as SQuAD compares them (`core.answers.normalize_answer`).
        """
        if not self.gold:
            return None
        if self.target.kind in ("label", "output"):
            return self.prediction.casefold() in map(str.casefold, self.gold)
        return bool(exact_match(self.prediction, self.gold))

    def __iter__(self) -> Iterator[tuple[str, float]]:
        """(token, score), token by token; then (region, score) of an image."""
        yield from zip(self.tokens, self.scores, strict=True)
        if self.image is not None:
            yield from zip(self.image.names, self.image.scores, strict=True)

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The k words, or regions of an image, with the largest |score|, the largest first.

        >>> why = Explanation(segments=("so good",), tokens=("so", "good"), offsets=((0, 2), (3, 7)), segment=(0, 0),
        ...     scores=(0.5, -1.0), unit="logit", value=1.0, baseline_value=0.0, outputs={}, method="occlusion",
        ...     target=TargetSpec(kind="label", label="POSITIVE"), baseline="pad", complete=False)
        >>> why.top(1), list(why)
        ([('good', -1.0)], [('so', 0.5), ('good', -1.0)])
        """
        return sorted(self.words(), key=lambda pair: -abs(pair[1]))[:k]

    def sentence(self) -> str:
        """The explanation in words: the prediction, the words that count most, the residual, and the trust verdict.

        >>> why = Explanation(segments=("so good",), tokens=("so", "good"), offsets=((0, 2), (3, 7)), segment=(0, 0),
        ...     scores=(0.0, 1.0), unit="logit", target=TargetSpec(kind="label", label="POSITIVE"), value=1.0,
        ...     baseline_value=0.0, outputs={"POSITIVE": 0.9, "NEGATIVE": 0.1}, method="shapley", baseline="pad",
        ...     complete=True)
        >>> print(why.sentence())
        The model says POSITIVE (90 %). “good” speaks for it most. Scores leave 0 % unexplained.
        """
        from xai_nlp.viz.text.wording import full_sentence

        return full_sentence(self)

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each token and region: `core.score_table.ScoreRow`."""
        from xai_nlp.core.explanations import Explanations

        return Explanations([self]).to_pandas()

    def words(self) -> Explanation:
        """The same explanation over whole words: subwords merged through their offsets, sums kept."""
        return self._merged(self._word_starts())

    def word_groups(self) -> list[list[int]]:
        """The tokens of each word of `words()`, in order."""
        return [list(range(*pair)) for pair in pairwise((*self._word_starts().tolist(), len(self.tokens)))]

    def spans(self, spans: Sequence[tuple[int, Span]]) -> Explanation:
        """The same explanation over given spans, each `(segment, (start, end))`; tokens in none stay themselves.

        >>> why = Explanation(segments=("so good",), tokens=("so", "go", "od"), offsets=((0, 2), (3, 5), (5, 7)),
        ...     segment=(0, 0, 0), scores=(0.5, 1.0, 0.25), unit="logit", value=2.0, baseline_value=0.0,
        ...     target=TargetSpec(kind="label", label="POSITIVE"), outputs={"POSITIVE": 0.9}, method="occlusion",
        ...     baseline="pad", complete=False)
        >>> why.spans([(0, (3, 7))]).tokens, why.spans([(0, (3, 7))]).scores
        (('so', 'good'), (0.5, 1.25))
        """
        return self._merged(self._starts(sorted(spans)))

    def _word_starts(self) -> np.ndarray:
        return self._starts([(i, span) for i, text in enumerate(self.segments) for span in word_spans(text)])

    def _starts(self, spans: Sequence[tuple[int, Span]]) -> np.ndarray:
        """The first token of each run of tokens that belong to one span: (G,). The spans are in order."""
        import numpy as np

        shift = [0]  # of each text, as if they stood one after another; the last is that of special tokens
        for text in self.segments:
            shift.append(shift[-1] + len(text) + 1)
        shift[-1] = 0
        segment = np.array(self.segment, dtype=np.int64)
        tokens = self._positions() + np.array(shift)[segment][:, None]
        tokens[segment < 0] = 0
        owner = assign(tokens, [(shift[s] + start, shift[s] + end) for s, (start, end) in spans if start < end])
        alone = owner < 0
        alone[1:] |= owner[1:] != owner[:-1]
        alone[:1] = True
        return alone.nonzero()[0]

    def _positions(self) -> np.ndarray:
        """The offsets of the tokens: (L, 2)."""
        import numpy as np

        return np.fromiter(chain.from_iterable(self.offsets), np.int64, 2 * len(self.offsets)).reshape(-1, 2)

    def _merged(self, starts: np.ndarray) -> Explanation:
        """Groups of neighbouring tokens become one token each; a group of one keeps its token as it is."""
        import numpy as np

        count = len(self.tokens)
        if len(starts) == count:
            return self
        firsts = starts.tolist()
        ends = np.maximum.reduceat(self._positions()[:, 1], starts).tolist()
        offsets = tuple((self.offsets[i][0], end) for i, end in zip(firsts, ends, strict=True))
        tokens = tuple(
            self.tokens[i] if behind == i + 1 else self.segments[self.segment[i]][start:end]
            for i, behind, (start, end) in zip(firsts, (*firsts[1:], count), offsets, strict=True)
        )
        sums = np.add.reduceat(np.array([self.scores, *self.parts.values()]), starts, axis=1).tolist()
        return replace(
            self,
            tokens=tokens,
            offsets=offsets,
            segment=tuple([self.segment[i] for i in firsts]),
            scores=tuple(sums[0]),
            parts={name: tuple(part) for name, part in zip(self.parts, sums[1:], strict=True)},
            layers=None if self.layers is None else self.layers.merged(firsts, 1),
            attention={name: stack.merged(firsts, count) for name, stack in self.attention.items()},
        )

    # How it is saved ------------------------------------------------------------------------------------------

    def to_json(self, *, indent: int | None = None) -> str:
        """JSON with a format number; numbers and Unicode come back exactly."""
        return json_text(to_data(self), indent)

    @classmethod
    def from_json(cls, text: str | bytes, *, folder: Path | None = None) -> Explanation:
        """The explanation that `to_json` wrote, in this format or an older one.

        folder: where the file with its large arrays is, for a file of `save`.
        Raises UnreadableFile, which names the path to a wrong field.
        """
        return cls.from_data(parse_json(text), folder=folder)

    @classmethod
    def from_data(cls, data: Any, *, folder: Path | None = None) -> Explanation:
        """The explanation of a JSON object that was parsed already; otherwise like `from_json`."""
        explanation = from_data(cls, data, folder=folder)
        explanation.check_as_read()
        return explanation

    def check_as_read(self) -> None:
        """Raise UnreadableFile if a token or the answer stands outside its text, or if the image cannot be drawn."""
        if self.image is not None:
            self.image.picture()
        lengths = (*map(len, self.segments), 0)  # the last is that of special tokens
        places = [(f"offsets[{i}]", *place) for i, place in enumerate(zip(self.segment, self.offsets, strict=True))]
        if self.answer is not None:
            places.append(("answer", *self.answer))
        for path, segment, (start, end) in places:
            least = 0 if path == "answer" else SPECIAL
            if not least <= segment < len(self.segments) or not 0 <= start <= end <= lengths[segment]:
                raise UnreadableFile(
                    f"this explanation cannot be read: characters {start} to {end} are outside of text {segment} - "
                    f"at `$.{path}`."
                )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON; `Explanation.load` reads it back equal.

        Where there are many numbers (attention matrices), they go into a file beside it: `why.json.safetensors`.
        Each file is written whole or not at all.
        Raises InvalidInput if that file exists and holds something else than arrays of an explanation, and for a path
        that ends in ".safetensors".
        """
        path, arrays = json_path(path), self._arrays()
        if sum(4 * math.prod(array.shape) for array in arrays.values()) <= BESIDE:
            write_file(path, self.to_json(indent=1).encode())
            return
        names = {id(array): name for name, array in arrays.items()}
        save_two(path, json_text(to_data(self, names, arrays_path(path).name), 1).encode(), arrays)

    def _arrays(self) -> dict[str, Array]:
        arrays = {f"attention.{name}": stack.scores for name, stack in self.attention.items()}
        if self.layers is not None:
            arrays["layers"] = self.layers
        if self.image is not None and self.image.shapes is not None:
            arrays["image.shapes"] = self.image.shapes
        return arrays

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Explanation:
        """Read a file of `save`; large arrays stay in their file until they are used. Raises UnreadableFile."""

        def read(content: bytes) -> Explanation:
            try:
                return cls.from_json(content, folder=Path(path).parent)
            except UnreadableFile as error:
                raise UnreadableFile(f"{path}: {error}") from None

        return load_two(path, read)

    # How it looks ---------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        names, scores, count = self.tokens, self.scores, f"{len(self.tokens)} tokens"
        if self.image is not None and not names:
            names, scores, count = self.image.names, self.image.scores, f"{len(self.image.scores)} regions"
        top = sorted(zip(names, scores, strict=True), key=lambda pair: -abs(pair[1]))[:3]
        shown = ", ".join(f"{name[:20]!r} {score:+.3g}" for name, score in top)
        return f"<Explanation {self.method} of {str(self.target)[:40]}: {count}; {shown}>"

    def _repr_html_(self) -> str:
        from xai_nlp.core.explanations import Explanations

        return Explanations([self])._repr_html_()

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write a page that needs no network: tokens, numbers, prediction, residual."""
        from xai_nlp.core.explanations import Explanations

        Explanations([self]).to_html(path)

    def to_png(self, path: str | os.PathLike[str]) -> None:
        """Write a picture of the coloured tokens; `.svg` gives a vector one."""
        from xai_nlp.viz.figure.plots import save_tokens

        save_tokens(self, path)

    def to_ansi(self) -> str:
        """Coloured text for a terminal."""
        from xai_nlp.viz.terminal.ansi import tokens_ansi

        return tokens_ansi(self)
