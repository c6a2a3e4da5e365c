"""Ways to remove words and regions from one example: each is a Subject whose one input says which of them are there.

Metrics of `xai_nlp.metrics` take such a subject and `feature_scores` of an explanation. Its features are the words of
the text, or of both texts, in the order of `Explanation.words()` without special tokens, and then the regions of the
image. T numbers are read, those of the example's target, as the mean over its windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from xai_nlp.core.baselines import BASELINES
from xai_nlp.core.batching import Batching, default_rows
from xai_nlp.core.coalitions import ablate
from xai_nlp.core.problem import Problem, row_entries
from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.core.subject import MovableInput, Subject
from xai_nlp.core.targets import Target
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.offload import device_of
from xai_nlp.models.images import IMAGE_BASELINES
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.models.vision_language import RegionFeatureModel
from xai_nlp.tasks.batch import TextSubject
from xai_nlp.tasks.example_target import ExampleTarget, padded_weights
from xai_nlp.tasks.options import Request
from xai_nlp.tasks.token_changes import TokenChanges
from xai_nlp.tasks.two_texts import TextPair
from xai_nlp.tasks.window_features import WindowFeatures, window_features

if TYPE_CHECKING:
    from xai_nlp.tasks.explainer import Explainer

DELETE, FILL = "delete", "fill"
REMOVALS = (*BASELINES, DELETE, FILL)  # of words


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
    parts = window_features(explainer, target, own, pinned=removal == DELETE)
    options, link = request.options, target.link
    with torch.no_grad(), frozen_model(explainer.model, evaluate=True):
        removers: list[_Remover] = [
            TokenChanges(explainer, part, link, options.batching, (filler or explainer) if removal == FILL else None)
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
    parts = window_features(explainer, target, own, pinned=False)
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
    def of(
        cls, explainer: Explainer, part: WindowFeatures, link: str, baseline: str, batching: Batching
    ) -> _VectorChanges:
        subject, windows = _text_subject(explainer, part, link, baseline, batching), len(part.words)
        problem = replace(subject.problem(), features=part.features(part.words))
        return cls(problem, windows, max(1, default_rows(row_entries(problem.x), subject.device.type) // windows))

    def values(self, removed: Tensor) -> Tensor:
        owner = self.problem.everyone.repeat(len(removed))
        z = ablate(self.problem, owner, removed.repeat_interleave(self.windows, 0))
        return self.problem.value(z, owner).unflatten(0, (-1, self.windows)).sum(1)


def _text_subject(explainer: Explainer, part: WindowFeatures, link: str, baseline: str, batching: Batching) -> Subject:
    target = Target(weights=padded_weights(part.weights), unit=link)
    return TextSubject(
        explainer=explainer, batch=part.batch, target=target, baseline=baseline, batching=batching
    ).subject()
