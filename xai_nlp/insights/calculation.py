"""The calculation of one example: the model's output, and the contributions of the features."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.attr import Occlusion
from xai_nlp.attr.base import Attribution
from xai_nlp.core.forward import as_tuple, output_tensor
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.insights.config import needs_baseline
from xai_nlp.insights.features import BaseFeature

TOP = 4  # classes with the highest scores


#: A class and its score: (score, its place among the classes, its name).
OutputScore = namedtuple("OutputScore", "score index label")


class Batch:
    """Examples to explain: inputs (one tensor a feature, examples along the first dimension), labels, other arguments.

    labels: the right class of each example, or None; additional_args: what the model takes after the inputs, whose
    tensors have one row an example too.
    """

    def __init__(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        labels: Tensor | Sequence[int] | None,
        additional_args: Any = None,
    ) -> None:
        self.inputs = inputs
        self.labels = labels
        self.additional_args = additional_args

    def examples(self) -> Iterator[Sample]:
        """One by one, each with a batch dimension of 1. Raises InvalidInput where sizes differ."""
        inputs = as_tuple(self.inputs)
        extra = () if self.additional_args is None else as_tuple(self.additional_args)
        count = len(inputs[0])
        sizes = {len(tensor) for tensor in inputs} | ({len(self.labels)} if self.labels is not None else set())
        if sizes != {count}:
            raise InvalidInput(f"inputs and labels of a batch have one row an example; got {sorted(sizes)} rows.")
        for row in range(count):
            cut = slice(row, row + 1)
            yield Sample(
                tuple(tensor[cut] for tensor in inputs),
                tuple(one[cut] if isinstance(one, Tensor) and len(one) == count else one for one in extra),
                None if self.labels is None else int(self.labels[row]),
            )


@dataclass(frozen=True)
class Sample:
    """One example of a batch."""

    inputs: tuple[Tensor, ...]  # (1, …) each
    extra: tuple[Any, ...]
    label: int | None
    baselines: tuple[Tensor, ...] = ()  # of each input, once it is transformed


def transform(features: Sequence[BaseFeature], sample: Sample) -> Sample:
    """An example through its features' transforms, with its baselines.

    Raises InvalidInput if features and inputs differ in number.
    """
    if len(sample.inputs) != len(features):
        raise InvalidInput(f"{len(sample.inputs)} inputs need as many features; got {len(features)}.")
    inputs, baselines = [], []
    for feature, tensor in zip(features, sample.inputs, strict=True):
        x = transformed(feature.input_transforms, tensor)
        inputs.append(x)
        first = feature.baseline_transforms[:1]
        baselines.append(transformed(first, x) if first else torch.zeros_like(x))
    return replace(sample, inputs=tuple(inputs), baselines=tuple(baselines))


def model_output(model: nn.Module, inputs: tuple[Tensor, ...], extra: tuple[Any, ...]) -> Tensor:
    """The model's output for one example: (1, classes), or (1,)."""
    with frozen_model(model, evaluate=True), torch.no_grad():
        return output_tensor(model(*inputs, *extra))


def top_classes(scores: Tensor, classes: Sequence[str]) -> list[OutputScore]:
    """The classes with the highest scores, highest first; of a single number, the class that it rounds to."""
    scores = scores.detach().cpu().double()
    if scores.numel() == 1:
        index = min(max(round(float(scores)), 0), len(classes) - 1)
        return [OutputScore(float(scores), index, classes[index])]
    best = scores.flatten().topk(min(TOP, scores.numel()))
    pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
    return [OutputScore(score, index, classes[index]) for score, index in pairs]


def attribute(
    model: nn.Module, example: Sample, target: int | None, method: type[Attribution], options: dict[str, Any]
) -> tuple[Tensor, ...]:
    """The scores of each entry of each input for the target's output."""
    if needs_baseline(method):
        options = {**options, "baselines": example.baselines}
    if method is Occlusion:
        options |= windows(example.inputs, options.get("sliding_window_shapes"), options.get("strides"))
    extra = example.extra or None
    with frozen_model(model, evaluate=True):
        scores = method(model).attribute(example.inputs, additional_forward_args=extra, target=target, **options)
    return tuple(one.detach() for one in as_tuple(scores))


def windows(
    inputs: Sequence[Tensor], shape: tuple[int, ...] | None = None, strides: tuple[int, ...] | None = None
) -> dict[str, tuple[tuple[int, ...], ...]]:
    """The arguments of `Occlusion`: a window and its steps for each input; `shape` and `strides` where they fit it.

    Else an eighth of an image's sides through all channels, a word with all of its embedding, or one number, and steps
    as large as the window.

    >>> windows([torch.zeros(1, 3, 32, 32), torch.zeros(1, 5, 16)])["sliding_window_shapes"]
    ((3, 4, 4), (1, 16))
    """
    shapes = [shape if shape and len(shape) == x.ndim - 1 else _window(x) for x in inputs]
    steps = [strides if strides and len(strides) == len(one) else one for one in shapes]
    if shape and not strides:  # as Captum steps by default: one by one
        steps = [(1,) * len(one) if one == shape else one for one in shapes]
    return {"sliding_window_shapes": tuple(shapes), "strides": tuple(steps)}


def _window(x: Tensor) -> tuple[int, ...]:
    sizes = tuple(x.shape[1:])
    if len(sizes) == 3:
        return sizes[0], max(1, sizes[1] // 8), max(1, sizes[2] // 8)
    return (1, *sizes[1:])


def transformed(transforms: Sequence[Callable[[Tensor], Tensor]], tensor: Tensor) -> Tensor:
    """A tensor through its transforms, which see it without its batch dimension of 1."""
    tensor = tensor.squeeze(0)
    for transform in transforms:
        tensor = transform(tensor)
    return tensor.detach().unsqueeze(0)


def net_contributions(attributions: Sequence[Tensor]) -> list[float]:
    """Each feature's sum over the sum of all their sizes, in [−1, 1]; zeros where all are.

    >>> net_contributions([torch.tensor([1.0, 2.0]), torch.tensor([-1.0])])
    [0.75, -0.25]
    """
    sums = [float(attribution.double().sum()) for attribution in attributions]
    total = sum(map(abs, sums))
    return [one / total if total else 0.0 for one in sums]
