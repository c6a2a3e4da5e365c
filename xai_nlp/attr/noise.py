"""Captum's names for scores of noisy copies of the inputs, and of random points of their paths.

Random numbers come from the global generators in the order in which Captum takes them (normal noise from torch's, the
choice of baselines and of points from numpy's), so that the same seeds give the same numbers. The registered methods
`smoothgrad`, `smoothgrad_squared`, `vargrad` and `gradient_shap` have a seed of their own instead.
"""

from __future__ import annotations

from collections.abc import Callable
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
)
from xai_nlp.attr.forward import (
    Baselines,
    CaptumAssertion,
    Distribution,
    Forward,
    Selector,
    TargetType,
    TensorOrTuple,
    UnknownChoice,
    as_tuple,
    drawn_for,
)
from xai_nlp.core.moments import Moments
from xai_nlp.core.problem import Tensors
from xai_nlp.methods.noise import SMOOTHINGS, GradientAtPathPoint


def _smoothed(
    attribute: Callable[..., Any],
    inputs: TensorOrTuple,
    stdevs: float | tuple[float, ...],
    arguments: dict[str, Any],
    *,
    smoothing: str = "smoothgrad",
    samples: int,
    together: int | None = None,
    draw: bool,
    with_delta: bool,
) -> Any:
    """Scores of noisy copies of the inputs, `together` of each example at once, made one; deltas of all copies."""
    given = Forward.of(attribute, inputs).inputs
    if smoothing not in SMOOTHINGS:
        raise UnknownChoice("noise tunnel type", smoothing, SMOOTHINGS)
    together = min(together or samples, samples)
    if together < 1:
        raise CaptumAssertion(f"the number of samples must be at least 1; got {samples}, {together} at a time.")
    found: list[Moments] = []
    scores: Any = ()
    deltas = []
    whole, rest = divmod(samples, together)
    for count, times in ((together, whole), (rest, 1)):
        if not count:
            continue
        options = {name: _repeated(name, value, given, count, draw) for name, value in arguments.items()}
        for _ in range(times):
            copies = _noisy(given, stdevs, count)
            scores = attribute(copies if isinstance(inputs, tuple) else copies[0], **options)
            if with_delta:
                scores, delta = scores
                deltas.append(delta)
            if not all(isinstance(t, Tensor) for t in as_tuple(scores)):
                raise CaptumAssertion("noise goes with scores that are a tensor or a tuple of tensors: name one layer.")
            found = found or [Moments() for _ in as_tuple(scores)]
            for moments, tensor in zip(found, as_tuple(scores), strict=True):
                moments.add(tensor.unflatten(0, (-1, count)).transpose(0, 1))
    made = tuple(SMOOTHINGS[smoothing](moments).to(t.dtype) for moments, t in zip(found, as_tuple(scores), strict=True))
    shaped = made if isinstance(scores, tuple) else made[0]
    return (shaped, torch.cat(deltas)) if with_delta else shaped


def _noisy(inputs: Tensors, stdevs: float | tuple[float, ...], count: int) -> Tensors:
    """So many copies of each example, one after the other, each with noise of its own: (B · count, …) each."""
    each = stdevs if isinstance(stdevs, tuple) else (stdevs,) * len(inputs)
    if len(each) != len(inputs) or not all(isinstance(stdev, (int, float)) for stdev in each):
        raise CaptumAssertion(
            f"stdevs is a number, or a tuple with one for each of {len(inputs)} inputs; got {stdevs!r}."
        )

    def noisy(x: Tensor, stdev: float) -> Tensor:
        many = x.repeat_interleave(count, 0)
        noised = many + torch.randn(many.shape, device=x.device) * stdev
        return noised.to(x.dtype) if x.is_floating_point() else noised

    return tuple(noisy(x.detach(), stdev) for x, stdev in zip(inputs, each, strict=True))


def _repeated(name: str, value: Any, inputs: Tensors, count: int, draw: bool) -> Any:
    """An argument of `attribute` for copies of the examples: what has a row for each gets one for each copy."""
    B = len(inputs[0])
    if name == "target":
        if isinstance(value, list):
            return [target for target in value for _ in range(count)]
        return value.repeat_interleave(count, 0) if isinstance(value, Tensor) and value.numel() > 1 else value
    if name == "baselines" and draw:
        return _each(value, lambda t: t[np.random.choice(len(t), count * B).tolist()])
    if name == "additional_forward_args":
        return _each(value, lambda t: t.repeat_interleave(count, 0) if t.ndim and len(t) == B else t)
    if name in ("baselines", "feature_mask"):
        ndims = {x.ndim for x in inputs}
        return _each(value, lambda t: t.repeat_interleave(count, 0) if t.ndim in ndims and len(t) == B > 1 else t)
    return value


def _each(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A value with its tensors changed, be it one or a tuple of them."""
    changed = tuple(change(item) if isinstance(item, Tensor) else item for item in as_tuple(value))
    return changed if isinstance(value, tuple) else changed[0]


class NoiseTunnel(Attribution):
    """Another attribution, of `nt_samples` noisy copies of the inputs: the scores' mean, mean square or variance.

    As Captum's it draws the baselines once and uses them for all batches of `nt_samples_batch_size`.
    """

    def __init__(self, attribution_method: Attribution) -> None:
        super().__init__(attribution_method.forward_func)
        self.attribution_method = attribution_method
        self._multiply_by_inputs = attribution_method.multiplies_by_inputs

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
        return _smoothed(
            self.attribution_method.attribute,
            inputs,
            stdevs,
            kwargs,
            smoothing=nt_type,
            samples=nt_samples,
            together=nt_samples_batch_size,
            draw=draw_baseline_from_distrib,
            with_delta=self.has_convergence_delta() and bool(kwargs.get("return_convergence_delta")),
        )


class _Expected(GradientAttribution):
    """Expected gradients: `methods.noise.GradientAtPathPoint` of noisy copies, with drawn baselines and points."""

    def has_convergence_delta(self) -> bool:
        return True

    def _expected(
        self,
        scores: Callable[[GradientAtPathPoint, Forward, Baselines], Any],
        inputs: TensorOrTuple,
        baselines: Distribution,
        samples: int,
        stdevs: float | tuple[float, ...],
        target: TargetType = None,
        extra: object | None = None,
        with_delta: bool = False,
    ) -> Any:
        """`scores` gives those of one sample of each example."""
        given = drawn_for(inputs, baselines)
        if not isinstance(given[0], Tensor):
            raise CaptumAssertion(
                f"baselines are tensors to draw from, or a function that gives some; got {baselines!r}."
            )

        def sample(
            inputs: TensorOrTuple, baselines: Baselines, target: TargetType, additional_forward_args: Any
        ) -> Any:
            forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
            where = torch.from_numpy(np.random.uniform(size=forward.examples)).to(forward.inputs[0].device)
            how = GradientAtPathPoint(t=where, multiply=self.multiplies_by_inputs)
            return self._with_delta(with_delta, scores(how, forward, baselines), forward, baselines)

        return _smoothed(
            sample,
            inputs,
            stdevs,
            {"baselines": given, "target": target, "additional_forward_args": extra},
            samples=samples,
            draw=True,
            with_delta=with_delta,
        )


class GradientShap(_Expected, Contributions):
    """Gradients at random points between baselines that are drawn and noisy copies of the inputs, times the way."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        baselines: Distribution,
        n_samples: int = 5,
        stdevs: float | tuple[float, ...] = 0.0,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        return_convergence_delta: bool = False,
    ) -> Any:
        given = (n_samples, stdevs, target, additional_forward_args, return_convergence_delta)
        return self._expected(self._of_inputs, inputs, baselines, *given)


class LayerGradientShap(InternalContributions, LayerAttribution, _Expected):
    """The same at a layer: its gradient while the inputs are on the way, times how far it goes from end to end."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        baselines: Distribution,
        n_samples: int = 5,
        stdevs: float | tuple[float, ...] = 0.0,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        return_convergence_delta: bool = False,
        attribute_to_layer_input: bool = False,
    ) -> Any:
        def scores(how: GradientAtPathPoint, forward: Forward, x0: Baselines) -> Any:
            return self._at_layer(how, forward, attribute_to_layer_input, x0)

        given = (n_samples, stdevs, target, additional_forward_args, return_convergence_delta)
        return self._expected(scores, inputs, baselines, *given)


class NeuronGradientShap(InternalContributions, NeuronAttribution, _Expected):
    """The same for a neuron instead of the function's output."""

    def has_convergence_delta(self) -> bool:
        return False

    def attribute(
        self,
        inputs: TensorOrTuple,
        neuron_selector: Selector,
        baselines: Distribution,
        n_samples: int = 5,
        stdevs: float = 0.0,
        additional_forward_args: object | None = None,
        attribute_to_neuron_input: bool = False,
    ) -> Any:
        def scores(how: GradientAtPathPoint, forward: Forward, x0: Baselines) -> Any:
            return self._of_neuron(how, forward, neuron_selector, attribute_to_neuron_input, x0)

        return self._expected(scores, inputs, baselines, n_samples, stdevs, extra=additional_forward_args)
