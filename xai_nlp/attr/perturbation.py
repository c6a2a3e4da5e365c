"""Captum's names for scores from taking parts of the input away.

Several perturbations are evaluated at once also by default, since scores do not depend on it; `perturbations_per_eval`
above 1 sets how many.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from xai_nlp.attr.ablation import DenseMask, Sweeping, largest, limit_of, masks_of, shape_of
from xai_nlp.attr.base import LayerAttribution, NeuronAttribution, PerturbationAttribution
from xai_nlp.attr.forward import (
    Baselines,
    CaptumAssertion,
    Forward,
    Layers,
    Selector,
    TargetType,
    TensorOrTuple,
    prefix_of,
    site_tensors,
    sites_of,
)
from xai_nlp.core.coalitions import from_coalitions
from xai_nlp.core.features import NO_FEATURE, FeatureMask, Features, SlidingWindows
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.replace import replaced, skipped
from xai_nlp.methods.perturbation import OcclusionMethod as Leave
from xai_nlp.methods.shapley import (
    MAX_FEATURES,
    all_subsets,
    coalitions_of_orders,
    shapley_from_orders,
    shapley_from_subsets,
)

ExplainRequest = tuple[Callable[[int], Tensor], Callable[[Tensor, Tensor], Tensor]]

log = logging.getLogger(__name__)


def left_out(problem: Problem) -> Tensors:
    return Leave().scores(problem).tensors


class FeatureAblation(Sweeping):
    """`methods.perturbation.Occlusion` with features given by a mask; without one every entry is a feature.

    A mask's number may occur in several inputs. Where one of them has fewer than `_min_examples_per_batch_grouped`
    rows, the feature is left out and scores 0.

    >>> ablation = FeatureAblation(lambda x: x[:, 0] * x[:, 1] + x[:, 2])
    >>> ablation.attribute(torch.tensor([[2.0, 3.0, 4.0]]))
    tensor([[6., 6., 4.]])
    """

    use_weights: bool = False  # do features overlap, so that an entry's score is a mean?
    _min_examples_per_batch_grouped: int | None = None

    def attribute(
        self,
        inputs: TensorOrTuple,
        baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        feature_mask: TensorOrTuple | None = None,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
        **kwargs: Any,
    ) -> Any:
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target, of_batch=True)
        with forward.lent():
            scores = self._ablated(forward, baselines, feature_mask, perturbations_per_eval, show_progress)
        return forward.shaped(scores)

    def attribute_future(self, *args: Any, **kwargs: Any) -> Any:
        return self._promised(*args, **kwargs)

    def _ablated(self, forward: Forward, baselines: Baselines, given: TensorOrTuple | None, *how: Any) -> Tensors:
        masks = self._enough(forward.inputs, masks_of(forward.inputs, given))
        return self._masked(
            left_out, forward, self._instead(forward, baselines, masks, *how), masks, *how, of=FeatureMask.of
        )

    def _instead(self, forward: Forward, baselines: Baselines, masks: Tensors, *how: Any) -> Baselines:
        """What features are replaced by."""
        return baselines

    def _enough(self, inputs: Tensors, masks: Tensors) -> Tensors:
        least = self._min_examples_per_batch_grouped or 0
        few = [mask.flatten() for mask, x in zip(masks, inputs, strict=True) if len(x) < least]
        out = torch.cat(few).unique() if few else masks[0].new_empty(0)
        if few:
            log.warning("features %s are left out: an input has fewer than %d rows", out.tolist(), least)
        return tuple(
            torch.where(torch.isin(mask, out), NO_FEATURE, mask) if len(x) else torch.full_like(mask, NO_FEATURE)
            for mask, x in zip(masks, inputs, strict=True)
        )


class Occlusion(FeatureAblation):
    """A window slid over the inputs and replaced by the baseline; an entry's score is the mean over its windows."""

    use_weights = True

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        sliding_window_shapes: tuple[int, ...] | tuple[tuple[int, ...], ...],
        strides: int | tuple[int, ...] | tuple[int | tuple[int, ...], ...] | None = None,
        baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
    ) -> Any:
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        x = forward.inputs
        given: Any = sliding_window_shapes
        windows = (given,) if isinstance(given[0], int) else tuple(given)
        steps: Any = (1,) * len(x) if strides is None else strides
        if len(x) == 1 and not (isinstance(steps, tuple) and len(steps) == 1):
            steps = (steps,)
        if len(windows) != len(x) or not isinstance(steps, tuple) or len(steps) != len(x):
            raise CaptumAssertion(f"{len(x)} inputs need as many windows and strides; got {windows} and {strides}.")
        steps = [(s,) * len(w) if isinstance(s, int) else tuple(s) for s, w in zip(steps, windows, strict=True)]

        def features(whole: bool) -> Features:
            if not whole:
                return SlidingWindows.over(x, windows, steps)
            all_rows = [((len(t), *w), (len(t), *s)) for t, w, s in zip(x, windows, steps, strict=True)]
            return SlidingWindows.over(tuple(t[None] for t in x), *zip(*all_rows, strict=True))

        try:
            features(False)
        except InvalidInput as error:
            raise CaptumAssertion(str(error)) from None
        with forward.lent():
            scores = self._run_ablation(left_out, forward, baselines, features, perturbations_per_eval, show_progress)
        return forward.shaped(scores)

    attribute_future = PerturbationAttribution.attribute_future


def _permute_feature(x: Tensor, feature_mask: Tensor) -> Tensor:
    """The feature's entries from other rows of the batch, in any order but their own."""
    if len(x) < 2:
        raise CaptumAssertion("one example alone has no other to take a feature from; give a larger batch.")
    own = torch.arange(len(x))
    while (order := torch.randperm(len(x))).equal(own):
        pass
    return torch.where(feature_mask, x[order.to(x.device)], x)


class FeaturePermutation(FeatureAblation):
    """What the target loses when a feature's values are dealt out anew among the examples of the batch.

    That is ablation, with another example's entries for a baseline; so `perm_func(x, mask)` counts only where the mask
    is. Captum's draws are drawn in its order, from torch's global generator. There is no method of that name: what an
    example's scores are depends on the rest of its batch.
    Source: Breiman 2001, sec. 10; Fisher, Rudin & Dominici 2019, sec. 3.2 (arXiv:1801.01489).
    """

    _min_examples_per_batch_grouped = 2

    def __init__(
        self, forward_func: Callable[..., Any], perm_func: Callable[[Tensor, Tensor], Tensor] = _permute_feature
    ) -> None:
        super().__init__(forward_func)
        self.perm_func = perm_func

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        feature_mask: TensorOrTuple | None = None,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
        **kwargs: Any,
    ) -> Any:
        how = (target, additional_forward_args, feature_mask, perturbations_per_eval, show_progress)
        return FeatureAblation.attribute(self, inputs, None, *how)

    def _instead(self, forward: Forward, baselines: Baselines, masks: Tensors, per_eval: int = 1, *_: Any) -> Baselines:
        limit_of(per_eval, forward.examples)  # refuses what is no number of perturbations
        homes: dict[int, set[int]] = {}
        for i, mask in enumerate(masks):
            for feature in mask.unique().tolist():
                homes.setdefault(feature, set()).add(i)
        homes.pop(NO_FEATURE, None)
        features, dealt = list(homes), list(forward.inputs)
        for start in range(0, len(features), per_eval):
            block = features[start : start + per_eval]
            for i in sorted(set().union(*(homes[feature] for feature in block))):
                for feature in block:
                    here = masks[i] == feature
                    dealt[i] = torch.where(here, self.perm_func(forward.inputs[i], here), dealt[i])
        return tuple(dealt)


class ShapleyValueSampling(Sweeping):
    """`methods.shapley.Shapley`, over `n_samples` orders drawn from torch's global generator, as Captum draws them."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: Any = None,
        feature_mask: TensorOrTuple | None = None,
        n_samples: int = 25,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
    ) -> Any:
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target, of_batch=True)
        masks = masks_of(forward.inputs, feature_mask)
        if n_samples < 1:
            raise CaptumAssertion(f"n_samples must be at least 1; got {n_samples}.")
        orders = torch.stack([torch.randperm(largest(masks) + 1) for _ in range(n_samples)])
        ask = (lambda _: coalitions_of_orders(orders), shapley_from_orders)
        return self._shared_out(ask, forward, baselines, masks, perturbations_per_eval, show_progress, of=DenseMask.of)

    def attribute_future(self, *args: Any, **kwargs: Any) -> Any:
        return self._promised(*args, **kwargs)

    def _shared_out(self, ask: ExplainRequest, forward: Forward, *how: Any, of: Any) -> TensorOrTuple:
        """Scores in the shape of the output followed by the inputs', from coalitions and what solves them."""

        def score(problem: Problem) -> Tensors:
            return from_coalitions(problem, *ask).tensors

        with forward.lent():
            scores = self._masked(score, forward, *how, of=of)
            shape = shape_of(forward)
        return forward.shaped([s.reshape(*shape, *s.shape[1:]) for s in scores])


def every_subset(m: int) -> Tensor:
    if m > MAX_FEATURES:
        raise CaptumAssertion(f"{m} features have 2^{m} subsets; group them by a mask, or use ShapleyValueSampling.")
    return all_subsets(m)


class ShapleyValues(ShapleyValueSampling):
    """Exact Shapley values, from the 2^m subsets of m features. `methods.shapley.Shapley` where m is small."""

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        feature_mask: TensorOrTuple | None = None,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
    ) -> Any:
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target, of_batch=True)
        masks = masks_of(forward.inputs, feature_mask)

        ask = (every_subset, shapley_from_subsets)
        return self._shared_out(
            ask, forward, baselines, masks, perturbations_per_eval, show_progress, of=FeatureMask.of
        )


# At a layer, or of a neuron. ----------------------------------------------------------------------------------------


def reentered(forward: Forward, layer: Layers, *, layer_input: bool = False) -> Forward:
    """The same function of what passes at the layer; its own inputs follow along."""
    sites = sites_of(layer, layer_input=layer_input)
    (tensors,) = site_tensors(forward, forward.inputs, sites)
    passed = prefix_of(forward, sites)

    def from_layer(*args: Any) -> Any:
        instead = [t.clone() for t in args[: len(tensors)]]  # what comes next may change them in place
        owner, *rest = args[len(tensors) :]
        with skipped(passed, owner, forward.examples), replaced([(sites[0], instead)]):
            return forward.func(*rest)

    extra = (forward.everyone, *forward.inputs, *forward.extra)
    return Forward(from_layer, tensors, extra, forward.target, len(tensors) > 1)


class LayerFeatureAblation(LayerAttribution, FeatureAblation):
    """`FeatureAblation` of what passes at a layer."""

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        layer_baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        layer_mask: TensorOrTuple | None = None,
        attribute_to_layer_input: bool = False,
        perturbations_per_eval: int = 1,
    ) -> Any:
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        with forward.lent():
            inside = reentered(forward, self.layer, layer_input=attribute_to_layer_input)
            scores = self._ablated(inside, layer_baselines, layer_mask, perturbations_per_eval)
        return inside.shaped(scores)

    attribute_future = PerturbationAttribution.attribute_future


class LayerFeaturePermutation(LayerAttribution, FeaturePermutation):
    """`FeaturePermutation` of what passes at a layer."""

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        layer_mask: TensorOrTuple | None = None,
        perturbations_per_eval: int = 1,
    ) -> Any:
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        with forward.lent():
            inside = reentered(forward, self.layer)
            scores = self._ablated(inside, None, layer_mask, perturbations_per_eval)
        return inside.shaped(scores)

    attribute_future = PerturbationAttribution.attribute_future


class NeuronFeatureAblation(NeuronAttribution, PerturbationAttribution):
    """`FeatureAblation` of the inputs, for one neuron of a layer."""

    def attribute(
        self,
        inputs: TensorOrTuple,
        neuron_selector: Selector,
        baselines: Baselines = None,
        additional_forward_args: object | None = None,
        feature_mask: TensorOrTuple | None = None,
        attribute_to_neuron_input: bool = False,
        perturbations_per_eval: int = 1,
    ) -> Any:
        forward = Forward.of(self.forward_func, inputs, additional_forward_args)
        limit = limit_of(perturbations_per_eval, forward.examples)
        features = FeatureMask.of(masks_of(forward.inputs, feature_mask))
        with forward.lent():
            problem = self._problem(forward, neuron_selector, attribute_to_neuron_input, baselines, limit)
            found = left_out(replace(problem, features=features))
        scores = tuple(s[:, 0].expand_as(x) for s, x in zip(found, forward.inputs, strict=True))
        return forward.shaped(scores)
