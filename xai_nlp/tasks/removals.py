"""Ways to remove words and regions from one example: each is a Subject whose one input says which of them are there.

Metrics of `xai_nlp.metrics` take such a subject and `feature_scores` of an explanation. Its features are the words of
the text, or of both texts, in the order of `Explanation.words()` without special tokens, and then the regions of the
image. T numbers are read, those of the example's target, as the mean over its windows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.baselines import BASELINES
from xai_nlp.core.batching import Batching, default_rows
from xai_nlp.core.coalitions import ablate
from xai_nlp.core.features import NO_FEATURE, FeatureMask
from xai_nlp.core.problem import Problem, row_entries
from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.core.subject import MovableInput, Subject
from xai_nlp.core.targets import Target
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.offload import device_of
from xai_nlp.models.images import IMAGE_BASELINES
from xai_nlp.models.tokenization import TokenWindow, pad_batch
from xai_nlp.models.vision_language import RegionFeatureModel
from xai_nlp.tasks.batch import TextSubject, WindowBatch
from xai_nlp.tasks.merge_windows import WindowScores, merge_windows
from xai_nlp.tasks.options import Request
from xai_nlp.tasks.run import ExampleTarget, padded_weights, predict
from xai_nlp.tasks.two_texts import TextPair

if TYPE_CHECKING:
    from xai_nlp.tasks.explainer import Explainer

DELETE, FILL = "delete", "fill"
REMOVALS = (*BASELINES, DELETE, FILL)  # of words
ROWS_TO_SORT = 8  # times as many rows as one pass takes are sorted by their length


def feature_scores(explanation: Explanation) -> list[float]:
    """The scores of an explanation's words, special tokens left out, and then of its image's regions.

    >>> from xai_nlp.core.result import TargetSpec
    >>> why = Explanation(segments=("so good",), tokens=("[CLS]", "so", "go", "od"), segment=(-1, 0, 0, 0),
    ...     offsets=((0, 0), (0, 2), (3, 5), (5, 7)), scores=(0.1, 0.5, 1.0, 0.25), value=2.0, baseline_value=0.0,
    ...     target=TargetSpec(kind="label", label="POSITIVE"), outputs={"POSITIVE": 0.9}, method="occlusion",
    ...     baseline="pad", complete=False, unit="logit")
    >>> feature_scores(why)
    [0.5, 1.25]
    """
    words = explanation.words()
    of_words = [score for score, segment in zip(words.scores, words.segment, strict=True) if segment != SPECIAL]
    return [*of_words, *(() if explanation.image is None else explanation.image.scores)]


def removal_subject(
    explainer: Explainer,
    request: Request,
    windows: Sequence[TokenWindow],
    target: ExampleTarget,
    removal: str,
    *,
    image_baseline: str | None = None,
    filler: Explainer | None = None,
    batching: Batching | None = None,
) -> Subject:
    """One example, from which words and regions can be removed: its input "present" (1, M) goes from 1 to 0.

    A feature that cannot be removed keeps its 1: a mask of `fill-mask`, a part that does not move, and, where tokens
    are deleted, the words whose own outputs are read (an answer's start and end, an entity).

    request, windows, target: of a call of `tasks.run.explain`.
    removal: of words. "pad", "mask", "zero" and "mean" replace their vectors; positions and types stay. "delete" takes
        their tokens out of the text. "fill" replaces them by the likeliest tokens of a masked language model that
        reads the rest; all are filled at once. Of an image alone: the name of an image baseline.
    image_baseline: what regions are replaced by; None is that of the request.
    filler: the explainer of task "fill-mask" that fills words; None is the explainer itself. It has the same tokens.
    batching: of the passes; None is that of the request.

    Raises UnknownName for another removal or image baseline, InvalidInput for one that this model or task cannot do.
    """
    own = [_with_baseline(explainer, windows[w], image_baseline) for w in target.windows]
    _check(explainer, own, removal, filler or explainer)
    parts = _parts(explainer, target, own, pinned=removal == DELETE)
    options, link = request.options, target.link
    with torch.no_grad(), frozen_model(explainer.model, evaluate=True):
        removers: list[_Remover] = [
            _TokenChanges(explainer, part, link, options.batching, filler if removal == FILL else None)
            if removal in (DELETE, FILL)
            else _VectorChanges.of(explainer, part, link, removal, options.batching)
            for part in parts
        ]
    device, batching = device_of(explainer.model), batching or options.batching
    removable = torch.stack([part.removable for part in parts]).any(0)[None].to(device)
    present = torch.ones(removable.shape, device=device)

    def values(arguments: Mapping[str, Tensor], owner: Tensor) -> Tensor:
        removed = arguments.get("present", present[owner]) == 0
        with frozen_model(explainer.model, evaluate=True):
            return torch.stack([remover.values(removed) for remover in removers]).sum(0) / len(own)

    features = torch.arange(present.shape[1], device=device)[None]
    return Subject(
        forward=values,
        read=lambda run, owner: run(),
        inputs={"present": MovableInput(x=(present,), baseline=((~removable).to(present),), features=features)},
        examples=1,
        device=device,
        batching=replace(batching, limit=batching.limit or min(remover.rows for remover in removers)),
    )


def vector_subject(
    explainer: Explainer,
    request: Request,
    windows: Sequence[TokenWindow],
    target: ExampleTarget,
    baseline: str,
    *,
    image_baseline: str | None = None,
    batching: Batching | None = None,
) -> Subject:
    """The same features over word vectors and pixels, which move themselves: each window is an example of its own.

    For metrics that move entries a little or apart (`metrics.soft`, `metrics.sensitivity`) and for methods.
    baseline: "pad", "mask", "zero", "mean", "reference" or a text. The other arguments are those of `removal_subject`.
    Call it, and what takes it, while the model is frozen (`hooks.model_state.frozen_model`).
    Raises UnknownName for another baseline, InvalidInput for windows that cannot share a batch.
    """
    own = [_with_baseline(explainer, windows[w], image_baseline) for w in target.windows]
    parts = _parts(explainer, target, own, pinned=False)
    if len(parts) > 1:
        raise InvalidInput("the windows of this text cannot share a batch; shorten the text.")
    with torch.no_grad():
        subject = _text_subject(explainer, parts[0], target.link, baseline, batching or request.options.batching)
    ids = parts[0].features(parts[0].words).ids
    inputs = zip(subject.inputs.items(), ids, strict=True)
    return replace(subject, inputs={name: replace(one, features=own_ids) for (name, one), own_ids in inputs})


def _check(explainer: Explainer, windows: Sequence[TokenWindow], removal: str, filler: Explainer) -> None:
    """Raise UnknownName or InvalidInput for a removal that there is not, or that this model or task cannot do."""
    if not explainer.task.reads_text:
        if removal not in IMAGE_BASELINES:
            raise UnknownName("removal", removal, IMAGE_BASELINES, "An image alone has no words to remove.")
        return
    if removal not in REMOVALS:
        raise UnknownName("removal", removal, REMOVALS)
    if removal == FILL:
        if filler.task.name != "fill-mask":
            raise InvalidInput(
                f"'fill' needs a masked language model, and {filler.name} is none; give one that has the same tokens: "
                "filler=load(…, task='fill-mask')."
            )
        if filler is not explainer and filler.tokenizer.get_vocab() != explainer.tokenizer.get_vocab():
            raise InvalidInput(
                f"the tokens of {filler.name} are not those of {explainer.name}, so it cannot fill them."
            )
        if any(isinstance(window, TextPair) for window in windows):
            raise InvalidInput("'fill' reads one text at a time, and here two texts are read apart; use 'delete'.")


def _with_baseline(explainer: Any, window: TokenWindow, name: str | None) -> TokenWindow:
    """The window, and its image with another baseline. Raises UnknownName for one that there is not."""
    if name is None or window.image is None:
        return window
    if isinstance(explainer.family, RegionFeatureModel):
        raise InvalidInput("regions that a detector found are replaced by zeros alone; leave out image_baseline=….")
    return replace(window, image=window.image.with_baseline(explainer.family, name))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
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


def _parts(explainer: Explainer, target: ExampleTarget, windows: Sequence[TokenWindow], *, pinned: bool) -> list[_Part]:
    """The windows of the example in batches. With `pinned`, words whose own outputs are read cannot be removed."""
    groups = explainer.groups(windows)
    batches = [explainer.batch([windows[w] for w in group]) for group in groups]
    numbers, count = _word_numbers(target, [window for batch in batches for window in batch.windows])
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
            _Part(
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


def _word_numbers(target: ExampleTarget, windows: Sequence[TokenWindow]) -> tuple[list[np.ndarray], int]:
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


class _Remover(Protocol):
    """Evaluates the model without features.

    rows: how many sets are evaluated at once.
    values: sets of removed features (R, M) bool -> the sum over the windows of the T numbers (R, T).
    """

    @property
    def rows(self) -> int: ...

    def values(self, removed: Tensor) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class _VectorChanges:
    """Word vectors and pixels are replaced by those of a baseline; tokens, positions and types stay."""

    problem: Problem  # of the windows
    windows: int
    rows: int

    @classmethod
    def of(cls, explainer: Explainer, part: _Part, link: str, baseline: str, batching: Batching) -> _VectorChanges:
        subject, windows = _text_subject(explainer, part, link, baseline, batching), len(part.words)
        problem = replace(subject.problem(), features=part.features(part.words))
        return cls(problem, windows, max(1, default_rows(row_entries(problem.x), subject.device.type) // windows))

    def values(self, removed: Tensor) -> Tensor:
        owner = self.problem.everyone.repeat(len(removed))
        z = ablate(self.problem, owner, removed.repeat_interleave(self.windows, 0))
        return self.problem.value(z, owner).unflatten(0, (-1, self.windows)).sum(1)


def _text_subject(explainer: Explainer, part: _Part, link: str, baseline: str, batching: Batching) -> Subject:
    target = Target(weights=padded_weights(part.weights), unit=link)
    return TextSubject(
        explainer=explainer, batch=part.batch, target=target, baseline=baseline, batching=batching
    ).subject()


@dataclass(frozen=True, eq=False)
class _TokenChanges:
    """Tokens are taken out of the text, or replaced by those that a masked language model expects."""

    explainer: Explainer
    part: _Part
    link: str
    batching: Batching
    filler: Explainer | None  # None takes tokens out

    def __post_init__(self) -> None:
        for window, words in zip(self.part.batch.windows, self.part.removable_words, strict=True):
            if self.filler is None:  # is there a token for an empty text, if it is needed?
                self._shortened([window], (words != NO_FEATURE)[None])

    @property
    def rows(self) -> int:
        device = self.part.batch.movable.device.type
        return max(1, ROWS_TO_SORT * default_rows(self.part.entries, device) // len(self.part.words))

    def values(self, removed: Tensor) -> Tensor:
        last_is_none = np.pad(removed.cpu().numpy(), ((0, 0), (0, 1)))  # NO_FEATURE is the last column
        sums: list[Tensor] = []
        part = self.part
        for window, words, weights in zip(part.batch.windows, part.removable_words, part.weights, strict=True):
            gone = last_is_none[:, words]
            rows = [self._with_regions(window, own) for own in removed]
            if self.filler is None:
                rows, kept = self._shortened(rows, gone)
            else:
                rows, kept = _filled(self.filler, rows, gone, self.batching), np.ones_like(gone)
            sums.append(self._read(rows, kept, weights))
        return torch.stack(sums).sum(0)

    def _with_regions(self, window: TokenWindow, removed: Tensor) -> TokenWindow:
        """The window, and its image without the features `removed` (M,)."""
        image = window.image
        regions = removed[None, self.part.count :].cpu()
        if image is None or not regions.any():
            return window
        (mask,) = FeatureMask((image.regions.ids,), len(image.regions)).ablation_mask(torch.zeros(1).long(), regions)
        pixels = torch.where(mask, image.baseline, image.inputs[image.argument])
        return replace(window, image=replace(image, inputs={**image.inputs, image.argument: pixels}))

    def _shortened(self, windows: Sequence[TokenWindow], gone: np.ndarray) -> tuple[list[TokenWindow], np.ndarray]:
        """Copies of one window without some tokens each (R, L) bool, and which ones they keep (R, L)."""
        gone, empty = gone.copy(), np.zeros_like(gone)
        for places in _texts(windows[0]):
            without_text = gone[:, places].all(1)
            empty[without_text, places[0]] = True
        if empty.any():
            gone, stands_for_nothing = gone & ~empty, self._empty_text()
            windows = [_with_ids(one, at, stands_for_nothing) for one, at in zip(windows, empty, strict=True)]
        return [one.without(own) for one, own in zip(windows, gone, strict=True)], ~gone

    def _empty_text(self) -> int:
        """The token that an empty text is read as. Raises InvalidInput if there is none."""
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            if (token := self.explainer.token_id(name)) is not None:
                return token
        raise InvalidInput(
            f"'delete' may take out all words, and {self.explainer.name} has no token that an empty text could begin "
            "with; remove words by 'zero' or 'mean'."
        )

    def _read(self, rows: Sequence[TokenWindow], kept: np.ndarray, weights: Tensor) -> Tensor:
        """The T numbers of windows (R, T), given the weights (T, *C) of the outputs of the window with all tokens."""
        lengths: dict[int, list[int]] = defaultdict(list)
        for r, row in enumerate(rows):
            lengths[len(row) if row.answer_ids else 0].append(r)  # answers are read from the end
        outputs: dict[int, Tensor] = {}
        for members in lengths.values():
            outputs.update(
                zip(members, predict(self.explainer, [rows[r] for r in members], self.batching), strict=True)
            )
        axis, numbers = self.explainer.token_axis, []
        for r, own in enumerate(kept):
            output, own_weights = outputs[r], weights
            if axis is not None:
                places = torch.from_numpy(own).to(weights.device).nonzero()[:, 0]
                output, own_weights = output.narrow(axis, 0, len(places)), weights.index_select(1 + axis, places)
            if output.shape != own_weights.shape[1:]:
                raise InvalidInput(
                    f"'delete' changes the shape of what {self.explainer.task.title.lower()} reads; "
                    "remove words by 'pad', 'mask', 'zero' or 'mean'."
                )
            target = Target(weights=own_weights[None], unit=self.link)
            numbers.append(target(output[None], torch.zeros(1, dtype=torch.long)))
        return torch.cat(numbers)


def _texts(window: TokenWindow) -> list[np.ndarray]:
    """The positions that a model reads as one text each; those of an answer that follows it are not of it."""
    ids = window.inputs.get("input_ids", ())
    if isinstance(window, TextPair):
        ends = [0, *np.cumsum(window.sides)]
    else:
        n = len(window.answer_ids)
        ends = [0, len(ids) - (n if n and tuple(ids[-n:]) == window.answer_ids else 0)]
    read = np.array(window.inputs.get("attention_mask", np.ones(len(ids)))) > 0
    texts = [start + np.flatnonzero(read[start:end]) for start, end in pairwise(ends)]
    return [text for text in texts if len(text)]


def _with_ids(window: TokenWindow, places: np.ndarray, ids: Any) -> TokenWindow:
    """The window with other token ids (L,), or one id, at some places (L,) bool."""
    changed = np.where(places, ids, window.inputs["input_ids"]).tolist()
    return replace(window, inputs={**window.inputs, "input_ids": changed})


def _filled(
    filler: Explainer, windows: Sequence[TokenWindow], places: np.ndarray, batching: Batching
) -> list[TokenWindow]:
    """The windows with the likeliest tokens, but special ones, at some places (R, L) bool, all masked in one pass."""
    masked = [_with_ids(one, at, filler.token_id("mask_token_id")) for one, at in zip(windows, places, strict=True)]
    device = device_of(filler.model)
    inputs, _ = pad_batch(masked, filler.pad, device)

    def work(part: slice) -> Tensor:
        logits = filler.model(**{name: rows[part] for name, rows in inputs.items()}).logits
        logits[:, :, filler.tokenizer.all_special_ids] = -torch.inf
        return logits.argmax(2)

    with torch.no_grad(), frozen_model(filler.model, evaluate=True):
        likeliest = [ids for _, ids in batching.chunks(len(masked), places.shape[1] * filler.width, device, work)]
    ids = torch.cat(likeliest).cpu().numpy()
    return [_with_ids(*each) for each in zip(windows, places, ids, strict=True)]
