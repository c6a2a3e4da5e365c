"""A method's scores of a batch, as scores of tokens, image regions, layers and attention matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.arrays import Array, AttentionAttribution
from xai_nlp.core.image import ImageAttribution
from xai_nlp.core.reductions import REDUCTIONS
from xai_nlp.core.registry import Method, Scores
from xai_nlp.core.subject import Subject
from xai_nlp.errors import InvalidInput, NotFinite
from xai_nlp.hooks.precision import products_in
from xai_nlp.hooks.scope import HookPoint
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.batch import WindowBatch
from xai_nlp.tasks.image_inputs import ImageBatch
from xai_nlp.tasks.merge_windows import WindowScores
from xai_nlp.tasks.options import ExplainOptions
from xai_nlp.tasks.precision import LOWER, passes_in, whole_calls_in

Names = tuple[str, ...] | None  # None for the explanation's own tokens
NEGLIGIBLE = 1e-4  # a change of the output that may be rounding
Parts = tuple[Tensor, Tensor | None]  # scores of tokens (B, T, L) and of regions (B, T, M)


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchAttribution:
    """The scores of B windows and T targets, on the host.

    tokens: the scores first, then those of each embedding in `parts`, then the flow through each of `layers`.
    """

    batch: WindowBatch
    tokens: np.ndarray  # (C, B, T, L) float64
    parts: tuple[str, ...]
    layers: int
    value: np.ndarray  # (B, T)
    baseline_value: np.ndarray  # (B, T); 0 if the method has no baseline
    steps: np.ndarray | None  # (B,)
    regions: np.ndarray | None  # (B, T, M)
    matrices: tuple[Tensor, ...]  # (B, T, H, Q, K) each, where and as they were computed
    stacks: tuple[str, ...]  # the stack of each matrix
    residuals: np.ndarray | None  # (B, T, matrices)
    baseline: str  # the method's own baseline; "" for the input's
    precision: str | None = None  # of the passes; None for torch's setting

    @property
    def residual(self) -> np.ndarray:
        """What the scores leave of f(x) − f(x₀): (B, T)."""
        regions = 0 if self.regions is None else self.regions.sum(-1)
        residual: np.ndarray = self.value - self.baseline_value - self.tokens[0].sum(-1) - regions
        return residual

    def of_window(self, index: int) -> WindowAttribution:
        return WindowAttribution(self, index, self.batch.windows[index])

    @property
    def on_accelerator(self) -> int:
        """The bytes of the matrices that are not in the host's memory."""
        return sum(matrix.nbytes for matrix in self.matrices if matrix.device.type != "cpu")

    def on_host(self) -> BatchAttribution:
        """The same with its matrices in the host's memory."""
        return replace(self, matrices=tuple(matrix.cpu() for matrix in self.matrices))


def attribute_batch(
    method: Method, subject: Subject, batch: WindowBatch, options: ExplainOptions, precision: str | None = None
) -> BatchAttribution:
    """The scores of a batch by one method. Raises InvalidInput if a score is not finite.

    precision: of the products in the model's passes; f(x) and f(x₀) of moving inputs are computed in float32.
    """
    with whole_calls_in(precision, subject.device):
        lowered = passes_in(precision, subject)
        scores, flows, matrices, points = _scored(method, lowered, options)
    if precision in LOWER and method.operates_on == "inputs":
        with products_in("float32", subject.device):
            unread = replace(scores, value=None, baseline_value=None)
            scores = unread.with_ends(subject.problem(), needs_baseline=method.needs_baseline)
    layers = [_joint(batch, REDUCTIONS["sum"](layer.double()))[0] for layer in flows]
    names: tuple[str, ...] = ()
    if scores.sequences:
        tokens, regions = _of_sequences(batch, scores.sequences)
    else:
        each, regions = _of_inputs(batch, subject, scores, method.reduction)
        none = scores.tensors[0].new_zeros(*scores.tensors[0].shape[:2], 0).double()  # of an image alone
        tokens = torch.stack(list(each.values())).sum(0) if batch.has_text else none
        if options.parts:
            names, layers = tuple(each), [*each.values(), *layers]
    assert scores.value is not None
    value, start = scores.value, scores.baseline_value
    stacked = _host(torch.stack([tokens, *layers]))
    ends = [_host(value), np.zeros(tuple(value.shape)) if start is None else _host(start)]
    on_host = None if regions is None else _host(regions)
    if not all(np.isfinite(numbers).all() for numbers in (stacked, *ends, *([] if on_host is None else [on_host]))):
        raise NotFinite
    if not all(matrix.isfinite().all() for matrix in matrices):
        raise NotFinite
    _check_not_all_zero(method, stacked[0], on_host, ends[0] - ends[1])
    return BatchAttribution(
        batch=batch,
        tokens=stacked,
        parts=names,
        layers=len(layers) - len(names),
        value=ends[0],
        baseline_value=ends[1],
        steps=None if scores.steps is None else scores.steps.cpu().numpy(),
        regions=on_host,
        matrices=tuple(matrix.detach() for matrix in matrices),
        stacks=tuple(getattr(point, "stack", "self") for point in points),
        residuals=None if scores.residuals is None else _host(scores.residuals),
        baseline=scores.baseline,
        precision=precision,
    )


def _scored(
    method: Method, subject: Subject, options: ExplainOptions
) -> tuple[Scores, tuple[Tensor, ...], tuple[Tensor, ...], tuple[HookPoint, ...]]:
    """The scores; what flows through layers; attention matrices, and the point of each."""
    if options.layers or options.attention:
        assert subject.points is not None
        observed = subject.points.layers if options.layers else ()
        sweep = method.sweep(subject, observed, subject.attention if options.attention else ())
        return sweep.inputs, sweep.layers, sweep.attention, sweep.points
    scores = method.attribute(subject)
    return (scores, (), scores.tensors, scores.points) if scores.points else (scores, (), (), ())


def _check_not_all_zero(method: Method, tokens: np.ndarray, regions: np.ndarray | None, change: np.ndarray) -> None:
    """Refuse scores that should add up to a change of the output, and are all zero: gradients got lost on their way."""
    sizes = abs(tokens).sum(-1) + (0 if regions is None else abs(regions).sum(-1))  # (B, T)
    lost = (sizes == 0) & (abs(change) > NEGLIGIBLE)
    if method.complete and method.operates_on == "inputs" and lost.any():
        raise InvalidInput(
            f"every score of {method.name} is 0, and the output changes by {change[lost][0]:+.3g} from the baseline to "
            "the input: no gradient passes this model, as in dynamic quantisation. These methods need none: occlusion, "
            "shapley, kernel_shap, lime."
        )


def _host(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().cpu().numpy()


def _of_inputs(
    batch: WindowBatch, subject: Subject, scores: Scores, reduction: str
) -> tuple[dict[str, Tensor], Tensor | None]:
    """Scores of embeddings by name (B, T, L), and of the image's regions."""
    by_name = dict(zip(subject.inputs, scores.tensors, strict=True))
    image = by_name.pop("image", None)
    regions = None if image is None or batch.images is None else batch.images.by_region(image.double(), reduction)
    return {name: REDUCTIONS[reduction](tensor.double()) for name, tensor in by_name.items()}, regions


def _of_sequences(batch: WindowBatch, sequences: Mapping[str, Tensor]) -> Parts:
    """Scores of a text's positions, and of an image's where it has a sequence of its own."""
    images = batch.images
    if images is not None and not batch.has_text:
        ((name, along),) = sequences.items()
        return along.new_zeros(*along.shape[:2], 0), images.of_places(along.double(), shared=name != "map")
    if images is None:
        return next(iter(sequences.values())).double(), None
    if "image" not in sequences and (images.positions is not None or "joint" in sequences):
        return _joint(batch, next(iter(sequences.values())))
    text, image = sequences.get("text"), sequences.get("image")
    like = text if text is not None else image
    assert like is not None
    tokens = like.new_zeros(*like.shape[:2], batch.movable.shape[1]) if text is None else text
    if image is None:
        return tokens.double(), like.new_zeros(*like.shape[:2], images.count).double()
    return tokens.double(), images.of_image(image.double(), images.alone(image.shape[-1]))


def _joint(batch: WindowBatch, along: Tensor) -> Parts:
    """Scores of a sequence (B, T, S) that may hold the patches of an image."""
    return (along.double(), None) if batch.images is None else batch.images.split(along.double())


@dataclass(frozen=True)
class WindowAttribution:
    """The part of a batch's scores that belongs to one window."""

    of_batch: BatchAttribution
    index: int
    window: TokenWindow

    def scores(self, target: int) -> WindowScores:
        """The scores of the tokens that the explanation lists."""
        b, batch = self.index, self.of_batch
        steps = None if batch.steps is None else int(batch.steps[b])
        return WindowScores(
            self.window.visible(),
            batch.tokens[:, b, target][:, self.window.positions],
            float(batch.value[b, target]),
            float(batch.baseline_value[b, target]),
            steps,
        )

    def image(self, target: int) -> ImageAttribution | None:
        """The image with its regions' scores."""
        image, regions = self.window.image, self.of_batch.regions
        if image is None:
            return None
        return image.attribution(
            [0.0] * len(image.regions) if regions is None else regions[self.index, target].tolist()
        )

    def attention(self, method: Method, unit: str, target: int, starts: list[int]) -> dict[str, AttentionAttribution]:
        """The matrices that were scored, those of one stack together; tokens are merged at `starts`."""
        if not self.of_batch.batch.has_text:
            return {}  # regions × regions: too many to keep
        members: dict[str, list[int]] = {}
        for number, stack in enumerate(self.of_batch.stacks):
            if stack != "vision":  # regions × regions: too many to keep
                members.setdefault(stack, []).append(number)
        result = {stack: self._stack(method, unit, target, stack, numbers) for stack, numbers in members.items()}
        if self._images is not None and "self" in members and self._images.positions is not None:
            result["image"] = self._stack(method, unit, target, "joint", members["self"])
        length = len(self.window.positions)
        return {stack: matrices.merged(starts, length) for stack, matrices in result.items()}

    @property
    def _images(self) -> ImageBatch | None:
        return self.of_batch.batch.images

    def _stack(
        self, method: Method, unit: str, target: int, stack: str, numbers: Sequence[int]
    ) -> AttentionAttribution:
        """Matrices of one stack without padding, and names for positions that are not the explanation's tokens."""
        of_batch, own = self.of_batch, len(self.window.positions)
        matrices = [of_batch.matrices[n][self.index, target] for n in numbers]  # (H, Q, K) each
        H, Q, _ = matrices[0].shape
        queries, keys = self._names(stack, Q)
        sizes = (own if names is None else len(names) for names in (queries, keys))
        residuals = of_batch.residuals
        return AttentionAttribution(
            scores=Array.deferred((len(matrices), H, *sizes), lambda: [self._kept(stack, one) for one in matrices]),
            layers=tuple(f"layer {k}" for k in range(len(numbers))),
            method="attention_conductance" if method.operates_on == "inputs" else method.name,
            unit="" if method.row_stochastic else unit,
            row_stochastic=method.row_stochastic,
            residuals=()
            if residuals is None or residuals.shape[2] != len(of_batch.matrices)
            else tuple(residuals[self.index, target, list(numbers)].tolist()),
            queries=queries,
            keys=keys,
        )

    def _names(self, stack: str, queries: int) -> tuple[Names, Names]:
        """Names of the queries and keys that an explanation keeps, None for its tokens."""
        if stack in ("decoder", "cross"):
            outputs = tuple(f"output {i}" for i in range(queries))
            return outputs, outputs if stack == "decoder" else None
        if stack in ("joint", "image"):  # words look at regions
            return None, self.window.image.regions.names
        if stack == "words":  # regions look at words
            return self.window.image.regions.names, None
        return None, None

    def _kept(self, stack: str, matrix: Tensor) -> np.ndarray:
        """The part of a matrix (H, Q, K) that an explanation keeps, on the host."""
        words, matrix = self.window.positions, matrix.float()
        if stack in ("joint", "image"):
            matrix = self._by_region(matrix[:, words], joint=stack == "joint")
        elif stack == "words":
            matrix = self._by_region(matrix[..., words].transpose(1, 2), joint=False).transpose(1, 2)
        elif stack == "cross":
            matrix = matrix[..., words]
        elif stack != "decoder":
            matrix = matrix[:, words][..., words]
        return matrix.cpu().numpy()

    def _by_region(self, matrix: Tensor, *, joint: bool) -> Tensor:
        """Keys that are patches of the image (H, Q, K) as its regions: (H, Q, M)."""
        images = self._images
        assert images is not None
        flat = matrix.to(images.patch_regions.device)
        positions = images.positions if joint and images.positions else images.alone(flat.shape[-1])
        return images.by_patch(flat[:, :, positions.patches], positions.patch_ids, self.index)
