"""Captum's names for scores of noisy copies of the inputs, and of random points of their paths.

Random numbers come from the global generators in the order in which Captum takes them (normal noise from torch's, the
choice of baselines and of points from numpy's), so that the same seeds give the same numbers. The registered methods
`smoothgrad`, `smoothgrad_squared`, `vargrad` and `gradient_shap` have a seed of their own instead.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xai_nlp.attr.base import (
    Attribution,
    Contributions,
    GradientAttribution,
    InternalContributions,
    LayerAttribution,
    NeuronAttribution,
    check_count,
)
from xai_nlp.attr.problems import Selector
from xai_nlp.core.captum_types import (
    BaselineDistribution,
    CaptumAssertion,
    TargetType,
    TensorOrTuple,
    UnknownChoice,
)
from xai_nlp.core.forward import Forward, as_tuple, baseline_distribution
from xai_nlp.core.moments import Moments
from xai_nlp.core.problem import Tensors
from xai_nlp.methods.noise import SMOOTHINGS, GradientAtPathPoint


class NoiseTunnel(Attribution):
    """Another attribution, of noisy copies of the inputs: the scores' mean, mean square or variance."""

    def __init__(self, attribution_method: Attribution) -> None:
        super().__init__(attribution_method.forward_func)
        self.attribution_method = attribution_method
        self.multiplies_by_inputs = attribution_method.multiplies_by_inputs

    def has_convergence_delta(self) -> bool:
        return self.attribution_method.has_convergence_delta()

    def attribute(
        self,
        inputs: TensorOrTuple,
        nt_type: str = "smoothgrad",
        nt_samples: int = 5,
        nt_samples_batch_size: int | None = None,
        stdevs: float | tuple[float, ...] = 1.0,
        draw_baseline_from_distrib: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The mean, mean square or variance of the other method's scores, in their shape; deltas are of all copies.

        nt_type: smoothgrad, smoothgrad_sq or vargrad.
        nt_samples: the number of noisy copies of each example.
        nt_samples_batch_size: copies of each example for each call of the other method; None takes all at once.
        draw_baseline_from_distrib: take random rows of `baselines` for each copy.
        kwargs: arguments of the other method's `attribute`.

        Raises UnknownChoice for another nt_type. As in Captum, baselines are drawn once and used for all batches.
        """
        x = Forward.bind(self.forward_func, inputs).inputs
        if nt_type not in SMOOTHINGS:
            raise UnknownChoice("noise tunnel type", nt_type, SMOOTHINGS)
        nt_samples = check_count("nt_samples", nt_samples)
        batch = nt_samples
        if nt_samples_batch_size is not None:
            batch = min(check_count("nt_samples_batch_size", nt_samples_batch_size), nt_samples)
        with_delta = self.has_convergence_delta() and bool(kwargs.get("return_convergence_delta"))
        moments: list[Moments] = []
        scores: Any = ()
        deltas = []
        for count, batches in ((batch, nt_samples // batch), (nt_samples % batch, 1)):
            if not count:
                continue
            options = {
                name: repeat_argument(name, value, x, count, draw_baseline_from_distrib)
                for name, value in kwargs.items()
            }
            for _ in range(batches):
                copies = _noisy_copies(x, stdevs, count)
                scores = self.attribution_method.attribute(
                    copies if isinstance(inputs, tuple) else copies[0], **options
                )
                if with_delta:
                    scores, delta = scores
                    deltas.append(delta)
                moments = moments or [Moments() for _ in _score_tensors(scores)]
                for running, tensor in zip(moments, _score_tensors(scores), strict=True):
                    running.add(tensor.unflatten(0, (-1, count)).transpose(0, 1))
        smoothed = tuple(
            SMOOTHINGS[nt_type](running).to(t.dtype) for running, t in zip(moments, as_tuple(scores), strict=True)
        )
        result = smoothed if isinstance(scores, tuple) else smoothed[0]
        return (result, torch.cat(deltas)) if with_delta else result


def _score_tensors(scores: Any) -> Tensors:
    if not all(isinstance(t, Tensor) for t in as_tuple(scores)):
        raise CaptumAssertion("noise goes with scores that are a tensor or a tuple of tensors: name one layer.")
    return as_tuple(scores)


def _noisy_copies(inputs: Tensors, stdevs: float | tuple[float, ...], count: int) -> Tensors:
    """`count` copies of each example, one after the other, each with its own noise: (B · count, …) each."""
    by_input = stdevs if isinstance(stdevs, tuple) else (stdevs,) * len(inputs)
    if len(by_input) != len(inputs) or not all(isinstance(stdev, Real) and stdev >= 0 for stdev in by_input):
        raise CaptumAssertion(
            f"stdevs is a number of at least 0, or a tuple with one for each of {len(inputs)} inputs; got {stdevs!r}."
        )

    def noisy(x: Tensor, stdev: float) -> Tensor:
        copies = x.repeat_interleave(count, 0)
        result = copies + torch.randn(copies.shape, device=x.device) * stdev
        return result.to(x.dtype) if x.is_floating_point() else result

    return tuple(noisy(x.detach(), stdev) for x, stdev in zip(inputs, by_input, strict=True))


def repeat_argument(name: str, value: Any, inputs: Tensors, count: int, draw: bool = False) -> Any:
    """An argument of `attribute` for `count` copies of each example: rows of examples become rows of copies."""
    B = len(inputs[0])
    if name == "target":
        if isinstance(value, list):
            return [target for target in value for _ in range(count)]
        return value.repeat_interleave(count, 0) if isinstance(value, Tensor) and value.numel() > 1 else value
    if name == "baselines" and draw:
        return _draw_rows(value, count * B)
    if name == "additional_forward_args":
        return _each_tensor(value, lambda t: t.repeat_interleave(count, 0) if t.ndim and len(t) == B else t)
    if name in ("baselines", "feature_mask"):
        ndims = {x.ndim for x in inputs}
        return _each_tensor(
            value, lambda t: t.repeat_interleave(count, 0) if t.ndim in ndims and len(t) == B > 1 else t
        )
    return value


def _draw_rows(distribution: Any, count: int) -> Any:
    """So many random rows of each tensor of a distribution of baselines."""
    return _each_tensor(distribution, lambda t: t[np.random.choice(len(t), count).tolist()])


def _each_tensor(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A value with its tensors changed, be it one or a tuple of them."""
    changed = tuple(change(item) if isinstance(item, Tensor) else item for item in as_tuple(value))
    return changed if isinstance(value, tuple) else changed[0]


class _ExpectedGradients(GradientAttribution):
    """Expected gradients: the mean of `methods.noise.GradientAtPathPoint` over random baselines, points and noise."""

    _has_delta = True
    _draws_by_example = False  # True: draw all that one example needs before the next, as calls for one each would

    def _expected(
        self,
        place: Any,
        inputs: TensorOrTuple,
        baselines: BaselineDistribution,
        samples: int,
        stdevs: float | tuple[float, ...],
        target: TargetType = None,
        extra: object | None = None,
        with_delta: bool = False,
        rows: int | None = None,
    ) -> Any:
        """Mean scores, and with deltas those of all samples."""
        samples = check_count("n_samples", samples)
        x = self._bind(inputs, extra, target).inputs
        distribution = baseline_distribution(inputs, baselines)
        if not isinstance(distribution[0], Tensor):
            raise CaptumAssertion(
                f"baselines are tensors to draw from, or a function that gives some; got {baselines!r}."
            )

        def draw(examples: Tensors) -> tuple[Tensors, Tensors, Tensors]:
            rows = samples * len(examples[0])
            starts, copies = _draw_rows(distribution, rows), _noisy_copies(examples, stdevs, samples)
            return copies, starts, (torch.from_numpy(np.random.uniform(size=rows)).to(copies[0].device),)

        parts = list(zip(*(t.split(1) for t in x), strict=True)) if self._draws_by_example else [x]
        draws = zip(*map(draw, parts), strict=True)
        copies, starts, (where,) = (tuple(map(torch.cat, zip(*tensors, strict=True))) for tensors in draws)
        forward = self._bind(
            copies if isinstance(inputs, tuple) else copies[0],
            repeat_argument("additional_forward_args", extra, x, samples),
            repeat_argument("target", target, x, samples),
        )
        method = GradientAtPathPoint(t=where, multiply=self.multiplies_by_inputs)
        result = self._scores(method, forward, place, starts, rows, with_delta)
        scores, *deltas = result if with_delta else (result,)
        means = tuple(t.unflatten(0, (-1, samples)).mean(1) for t in _score_tensors(scores))
        shaped = means if isinstance(scores, tuple) else means[0]
        return (shaped, *deltas) if with_delta else shaped


class GradientShap(_ExpectedGradients, Contributions):
    """Gradients at random points between random baselines and noisy copies of the inputs, times the displacement."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        baselines: BaselineDistribution,
        n_samples: int = 5,
        stdevs: float | tuple[float, ...] = 0.0,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        return_convergence_delta: bool = False,
        *,
        internal_batch_size: int | None = None,
    ) -> Any:
        """Expected gradients of the inputs' entries, in the shape of `inputs` and the unit of the target: (B, …) each.

        return_convergence_delta: also return Σ scores − (f(x) − f(x₀)) of each sample, (B · n_samples,), as in a pair.
        """
        options = (n_samples, stdevs, target, additional_forward_args, return_convergence_delta, internal_batch_size)
        return self._expected(None, inputs, baselines, *options)


class LayerGradientShap(InternalContributions, LayerAttribution, _ExpectedGradients):
    """The same at a layer: its gradient at random points of the inputs' paths, times the layer's displacement."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        baselines: BaselineDistribution,
        n_samples: int = 5,
        stdevs: float | tuple[float, ...] = 0.0,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        return_convergence_delta: bool = False,
        attribute_to_layer_input: bool = False,
        *,
        internal_batch_size: int | None = None,
    ) -> Any:
        """Expected gradients of the layer's entries, in its shape and the unit of the target: (B, …) for each tensor.

        return_convergence_delta: also return Σ scores − (f(x) − f(x₀)) of each sample, (B · n_samples,), as in a pair.
        """
        options = (n_samples, stdevs, target, additional_forward_args, return_convergence_delta, internal_batch_size)
        return self._expected(attribute_to_layer_input, inputs, baselines, *options)


class NeuronGradientShap(InternalContributions, NeuronAttribution, _ExpectedGradients):
    """The same for a neuron instead of the function's output."""

    _has_delta = False

    def attribute(
        self,
        inputs: TensorOrTuple,
        neuron_selector: Selector,
        baselines: BaselineDistribution,
        n_samples: int = 5,
        stdevs: float = 0.0,
        additional_forward_args: object | None = None,
        attribute_to_neuron_input: bool = False,
        *,
        internal_batch_size: int | None = None,
    ) -> Any:
        """Expected gradients of the inputs' entries for the neuron, in the shape of `inputs`: (B, …) each."""
        neuron, options = (neuron_selector, attribute_to_neuron_input), (n_samples, stdevs, None)
        return self._expected(neuron, inputs, baselines, *options, additional_forward_args, rows=internal_batch_size)
