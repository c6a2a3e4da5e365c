"""The frozen result of an explanation: read it, redraw it, save it, load it, compare it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_nlp.core.arrays import BESIDE, Array, AttentionAttribution, plain, read_array, read_matrices
from xai_nlp.core.image import ImageAttribution
from xai_nlp.core.reductions import Span, assign, word_spans
from xai_nlp.errors import InvalidInput, UnreadableFile

if TYPE_CHECKING:
    import numpy as np

FORMAT = 3
SPECIAL = -1


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One signed score per token and image region, and everything needed to read, redraw and recompute it.

    Scores are raw, in `unit`; if the method is `complete` they add up to `value − baseline_value` but for `residual`,
    those of tokens and of regions together.
    A token knows its text by `segment` (an index into `segments`, −1 for special tokens) and `offsets` (characters).
    """

    segments: tuple[str, ...]  # the text, or the two texts of a pair, as given
    tokens: tuple[str, ...]  # L of them, as they read: cut from the text; special ones as "[CLS]"
    offsets: tuple[Span, ...]  # L of (start, end), in characters of the token's segment
    segment: tuple[int, ...]  # L indices into `segments`; SPECIAL for special tokens
    scores: tuple[float, ...]  # L numbers, signed, in `unit`; never rescaled
    unit: str  # "logit", "probability"; "" where a method's scores have none
    target: str  # what was explained: "POSITIVE", "POSITIVE-NEGATIVE"
    value: float  # f(x), in `unit`
    baseline_value: float  # f(x₀), in `unit`
    outputs: Mapping[str, float]  # every label's or answer's probability, or raw output for a regression
    method: str  # registry name
    baseline: str  # what x was compared with: "pad", "mask", …; "none" if nothing
    complete: bool  # does the method promise Σ scores = f(x) − f(x₀)?
    task: str = "text-classification"
    model: str = ""
    seed: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)  # options asked for, and steps used
    versions: Mapping[str, str] = field(default_factory=dict)
    answer: tuple[int, Span] | None = None  # where the answer explained stands: its segment, and characters there
    parts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # of each embedding; they add up to `scores`
    layers: Array | None = None  # (layers, L): what flowed through each token at each layer's output
    attention: Mapping[str, AttentionAttribution] = field(
        default_factory=dict
    )  # "self"; "encoder", "decoder", "cross", "image"
    picture: ImageAttribution | None = None  # the image that was looked at, with its regions' scores

    def __post_init__(self) -> None:
        lengths = {len(self.tokens), len(self.offsets), len(self.segment), len(self.scores)}
        lengths |= {len(part) for part in self.parts.values()}
        if self.layers is not None:
            lengths.add(self.layers.shape[-1])
        if len(lengths) != 1:
            raise InvalidInput(
                f"an Explanation needs one offset, segment and score per token; got {len(self.tokens)} tokens, "
                f"{len(self.offsets)} offsets, {len(self.segment)} segments, {len(self.scores)} scores."
            )
        regions = () if self.picture is None else self.picture.scores
        if not all(map(math.isfinite, (*self.scores, *regions, self.value, self.baseline_value))):
            raise InvalidInput(
                "the scores are not finite: the model gave NaN or infinity on this input. "
                "Load it in float32, or check the input and the weights."
            )

    # What it says ---------------------------------------------------------------------------------------------

    @property
    def explained(self) -> float:
        """f(x) − f(x₀): what there is to share out, in `unit`."""
        return self.value - self.baseline_value

    @property
    def residual(self) -> float:
        """f(x) − f(x₀) − Σ scores, in `unit`: what a complete method left unexplained."""
        regions = () if self.picture is None else self.picture.scores
        return self.explained - math.fsum((*self.scores, *regions))

    @property
    def shares(self) -> dict[str, float]:
        """How much of all that was scored lies in the text, how much in the image: Σ|scores| of each, adding up to 1.

        Shares of Shapley values are MM-SHAP. {} without an image, or where every score is zero.
        Source: Parcalabescu & Frank 2023, eq. 3–4 (arXiv:2212.08158).
        """
        if self.picture is None:
            return {}
        sizes = {"text": math.fsum(map(abs, self.scores)), "image": math.fsum(map(abs, self.picture.scores))}
        total = math.fsum(sizes.values())
        return {name: size / total for name, size in sizes.items()} if total else {}

    @property
    def prediction(self) -> str:
        """The label or answer the model gives most to; "" where nothing is known of its outputs."""
        return max(self.outputs, key=lambda label: self.outputs[label], default="")

    def words(self) -> Explanation:
        """The same explanation over whole words: subwords merged through their offsets, sums kept."""
        return self._merged(self.word_groups())

    def word_groups(self) -> list[list[int]]:
        """Which tokens make up each word of `words()`, in order."""
        return self._groups([(i, span) for i, text in enumerate(self.segments) for span in word_spans(text)])

    def spans(self, spans: Sequence[tuple[int, Span]]) -> Explanation:
        """The same explanation over given spans, each `(segment, (start, end))`; tokens in none stay themselves.

        >>> why = Explanation(segments=("so good",), tokens=("so", "go", "od"), offsets=((0, 2), (3, 5), (5, 7)),
        ...     segment=(0, 0, 0), scores=(0.5, 1.0, 0.25), unit="logit", target="POSITIVE", value=2.0,
        ...     baseline_value=0.0, outputs={"POSITIVE": 0.9}, method="occlusion", baseline="pad", complete=False)
        >>> why.spans([(0, (3, 7))]).tokens, why.spans([(0, (3, 7))]).scores
        (('so', 'good'), (0.5, 1.25))
        """
        return self._merged(self._groups(spans))

    def _groups(self, spans: Sequence[tuple[int, Span]]) -> list[list[int]]:
        owner: list[int | None] = [None] * len(self.tokens)
        for segment in range(len(self.segments)):
            mine = [i for i, s in enumerate(self.segment) if s == segment]
            known = sorted((k for k, (s, _) in enumerate(spans) if s == segment), key=lambda k: spans[k][1])
            found = assign([self.offsets[i] for i in mine], [spans[k][1] for k in known])
            for i, k in zip(mine, found, strict=True):
                owner[i] = None if k is None else known[k]
        order = range(len(self.tokens))
        return [list(run) for _, run in groupby(order, key=lambda i: ~i if owner[i] is None else owner[i])]

    def _merged(self, groups: Sequence[Sequence[int]]) -> Explanation:
        """Each group of neighbouring tokens becomes one; a group of one keeps its token as it is."""
        offsets = tuple((self.offsets[g[0]][0], max(self.offsets[i][1] for i in g)) for g in groups)
        segment = tuple(self.segment[g[0]] for g in groups)
        tokens = tuple(
            self.tokens[g[0]] if len(g) == 1 else self.segments[s][start:end]
            for g, s, (start, end) in zip(groups, segment, offsets, strict=True)
        )

        def summed(scores: Sequence[float]) -> tuple[float, ...]:
            return tuple(math.fsum(scores[i] for i in g) for g in groups)

        return replace(
            self,
            tokens=tokens,
            offsets=offsets,
            segment=segment,
            scores=summed(self.scores),
            parts={name: summed(part) for name, part in self.parts.items()},
            layers=None if self.layers is None else self.layers.merged(groups, 1),
            attention={name: stack.merged(groups) for name, stack in self.attention.items()},
        )

    # How it is kept -------------------------------------------------------------------------------------------

    def to_json(self, *, indent: int | None = None) -> str:
        """JSON with a format number; numbers and Unicode come back exactly."""
        return self._json(indent)

    def _json(self, indent: int | None, beside: dict[str, Any] | None = None, file: str = "") -> str:
        data = {f.name: plain(getattr(self, f.name), beside, file, f.name) for f in fields(self) if f.name != "picture"}
        data["picture"] = None if self.picture is None else self.picture.plain(beside, file)
        return json.dumps({"format": FORMAT, **data}, indent=indent, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, *, folder: Path | None = None) -> Explanation:
        """The explanation that `to_json` wrote. Raises UnreadableFile for any other format.

        folder: where the file with its large arrays is, for what `save` wrote.
        """
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise UnreadableFile(f"this is not an explanation saved as JSON: {error}.") from None
        found = data.pop("format", None) if isinstance(data, dict) else None
        if found != FORMAT:
            raise UnreadableFile(f"explanation format {found!r} cannot be read; this version reads format {FORMAT}.")
        names = {f.name for f in fields(cls)}
        if names != set(data):
            raise UnreadableFile(
                f"fields missing or unknown: {sorted(names ^ set(data))}. The file was changed by hand."
            )
        data["offsets"] = tuple((start, end) for start, end in data["offsets"])
        for name in ("segments", "tokens", "segment", "scores"):
            data[name] = tuple(data[name])
        data["parts"] = {name: tuple(part) for name, part in data["parts"].items()}
        if data["answer"] is not None:
            segment, (start, end) = data["answer"]
            data["answer"] = (segment, (start, end))
        data["layers"] = None if data["layers"] is None else read_array(data["layers"], folder)
        data["picture"] = None if data["picture"] is None else ImageAttribution.read(data["picture"], folder)
        data["attention"] = {name: read_matrices(stack, folder) for name, stack in data["attention"].items()}
        return cls(**data)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON; `Explanation.load` reads it back equal.

        Where there are many numbers (attention matrices), they go into a safetensors file of the same name beside it.
        """
        path = Path(path)
        arrays = [stack.scores for stack in self.attention.values()]
        arrays += [] if self.layers is None else [self.layers]
        arrays += [] if self.picture is None or self.picture.shapes is None else [self.picture.shapes]
        if sum(4 * math.prod(array.shape) for array in arrays) <= BESIDE:
            path.write_text(self.to_json(indent=1), encoding="utf-8")
            return
        from safetensors.numpy import save_file

        beside: dict[str, Any] = {}
        file = path.with_suffix(".safetensors")
        text = self._json(1, beside, file.name)
        save_file(beside, file)
        path.write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Explanation:
        """Read what `save` wrote; large arrays stay in their file until they are looked at."""
        path = Path(path)
        return cls.from_json(path.read_text(encoding="utf-8"), folder=path.parent)

    # How it looks ---------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        top = sorted(zip(self.tokens, self.scores, strict=True), key=lambda pair: -abs(pair[1]))[:3]
        shown = ", ".join(f"{token[:20]!r} {score:+.3g}" for token, score in top)
        return f"<Explanation {self.method} of {self.target[:40]}: {len(self.tokens)} tokens; {shown}>"

    def _repr_html_(self) -> str:
        return Explanations([self])._repr_html_()

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write a page that needs no network: tokens, numbers, prediction, residual."""
        Explanations([self]).to_html(path)

    def to_png(self, path: str | os.PathLike[str]) -> None:
        """Write a picture of the coloured tokens; `.svg` gives a vector one."""
        from xai_nlp.viz.plots import save_tokens

        save_tokens(self, path)

    def to_ansi(self) -> str:
        """Coloured text for a terminal."""
        from xai_nlp.viz.ansi import tokens_ansi

        return tokens_ansi(self)


class Explanations(tuple[Explanation, ...]):
    """Several explanations, shown together: methods side by side, or many texts. A plain tuple otherwise."""

    __slots__ = ()

    def __new__(cls, items: Iterable[Explanation] = ()) -> Explanations:
        return super().__new__(cls, items)

    def words(self) -> Explanations:
        """Every one over whole words."""
        return Explanations(item.words() for item in self)

    def head_importance(self, stack: str = "self") -> np.ndarray:
        """How much each head matters: the size of what it carries, averaged over these explanations, (layers, H).

        Of `attention_x_gradient` it is the expected sensitivity to a factor on the head.
        Source: Michel, Levy & Neubig 2019, eq. 2 (arXiv:1905.10650).
        """
        heads = [abs(item.attention[stack].heads()) for item in self if stack in item.attention]
        if not heads:
            raise InvalidInput(f"no {stack!r} attention here; explain with method='attention_x_gradient'.")
        return sum(heads[1:], heads[0]) / len(heads)

    def _repr_html_(self) -> str:
        from xai_nlp.viz.html import fragment

        return fragment(self)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write one page with all of them."""
        from xai_nlp.viz.html import page

        Path(path).write_text(page(self), encoding="utf-8")
