"""Captum's names for scores from replacing parts of the input by the baseline.

The engine evaluates several perturbations at once also by default, since scores do not depend on it;
`perturbations_per_eval` above 1 sets how many. A function that gives one number for the whole batch, or that fails with
other batches than the one given, sees batches of that size only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from xai_nlp.attr.ablation import (
    AblationAttribution,
    DenseMask,
    feature_masks,
    largest,
    masked_features,
    row_limit,
    target_shape,
)
from xai_nlp.attr.base import LayerAttribution, NeuronAttribution, PerturbationAttribution, check_count
from xai_nlp.attr.problems import Selector, from_layer, layer_points, of_neuron
from xai_nlp.core.captum_types import Baselines, CaptumAssertion, TargetType, TensorOrTuple
from xai_nlp.core.coalitions import features_of, from_coalitions, leave_one_out
from xai_nlp.core.features import NO_FEATURE, Features, SlidingWindows
from xai_nlp.core.forward import Forward
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.errors import InvalidInput
from xai_nlp.methods.shapley import (
    MAX_FEATURES,
    all_subsets,
    coalitions_of_orders,
    shapley_from_orders,
    shapley_from_subsets,
)

log = logging.getLogger(__name__)


def occlusion(problem: Problem, value: Tensor | None) -> Tensors:
    """f(x) − f(x without each feature), as `methods.perturbation.OcclusionMethod`. value: f(x), if it is known."""
    value, without = leave_one_out(problem, value)
    return features_of(problem).to_entries(value[:, :, None] - without)


class FeatureAblation(AblationAttribution):
    """`methods.perturbation.OcclusionMethod` with features named by a mask.

    >>> ablation = FeatureAblation(lambda x: x[:, 0] * x[:, 1] + x[:, 2])
    >>> ablation.attribute(torch.tensor([[2.0, 3.0, 4.0]]))
    tensor([[6., 6., 4.]])
    """

    use_weights: bool = False  # True: features overlap, so that an entry's score is a mean
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
        """f(x) − f(x without its feature) for each entry, in the shape of `inputs` and the unit of the target.

        kwargs: ignored.

        An output of N numbers in all gives (N, …) instead of (B, …). If one of a feature's inputs has fewer than
        `_min_examples_per_batch_grouped` rows, the feature is left out and scores 0.
        """
        forward = self._bind(inputs, additional_forward_args, target, batch_output=True)
        with forward.frozen():
            scores = self._ablated(forward, baselines, feature_mask, perturbations_per_eval, show_progress)
        return forward.like_inputs(scores)

    def _ablated(
        self, forward: Forward, baselines: Baselines, feature_mask: TensorOrTuple | None, per_eval: int, *options: Any
    ) -> Tensors:
        masks = self._with_enough_rows(forward.inputs, feature_masks(forward.inputs, feature_mask))
        starts = self._replacements(forward, baselines, masks, per_eval)
        return self._run_ablation(occlusion, forward, starts, masked_features(masks), per_eval, *options)

    def _replacements(self, forward: Forward, baselines: Baselines, masks: Tensors, per_eval: int) -> Baselines:
        """The values that features are replaced by."""
        return baselines

    def _with_enough_rows(self, inputs: Tensors, masks: Tensors) -> Tensors:
        """The masks without features of inputs that have too few rows."""
        least = self._min_examples_per_batch_grouped or 0
        few = [mask.flatten() for mask, x in zip(masks, inputs, strict=True) if len(x) < least]
        excluded = torch.cat(few).unique() if few else masks[0].new_empty(0)
        if few:
            log.warning("features %s are left out: an input has fewer than %d rows", excluded.tolist(), least)
        return tuple(
            torch.where(torch.isin(mask, excluded), NO_FEATURE, mask) if len(x) else torch.full_like(mask, NO_FEATURE)
            for mask, x in zip(masks, inputs, strict=True)
        )


class Occlusion(FeatureAblation):
    """`FeatureAblation` of a sliding window."""

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
        """The mean of f(x) − f(x without a window) over an entry's windows, in the shape of `inputs`: (B, …) each.

        sliding_window_shapes: the window's shape, without the batch; a tuple of shapes for several inputs.
        strides: steps of the window along each dimension, 1 by default; a tuple with one for each of several inputs.

        Raises CaptumAssertion for a window larger than its input, or a stride that leaves entries out.
        """
        forward = self._bind(inputs, additional_forward_args, target, batch_output=True)
        x = forward.inputs
        shapes: Any = sliding_window_shapes
        windows = (shapes,) if isinstance(shapes[0], int) else tuple(shapes)
        steps: Any = (1,) * len(x) if strides is None else strides
        if len(x) == 1 and not (isinstance(steps, tuple) and len(steps) == 1):
            steps = (steps,)
        if len(windows) != len(x) or not isinstance(steps, tuple) or len(steps) != len(x):
            raise CaptumAssertion(f"{len(x)} inputs need as many windows and strides; got {windows} and {strides}.")
        steps = [(s,) * len(w) if isinstance(s, int) else tuple(s) for s, w in zip(steps, windows, strict=True)]

        def features(batch: bool) -> Features:
            if not batch:
                return SlidingWindows.over(x, windows, steps)
            all_rows = [((len(t), *w), (len(t), *s)) for t, w, s in zip(x, windows, steps, strict=True)]
            return SlidingWindows.over(tuple(t[None] for t in x), *zip(*all_rows, strict=True))

        try:
            features(False)
        except InvalidInput as error:
            raise CaptumAssertion(str(error)) from None
        with forward.frozen():
            scores = self._run_ablation(occlusion, forward, baselines, features, perturbations_per_eval, show_progress)
        return forward.like_inputs(scores)

    attribute_future = PerturbationAttribution.attribute_future


def _permute_feature(x: Tensor, feature_mask: Tensor) -> Tensor:
    """x with the feature's entries from other rows of the batch, in any order but their own."""
    if len(x) < 2:
        raise CaptumAssertion("one example alone has no other to take a feature from; give a larger batch.")
    own = torch.arange(len(x))
    while (order := torch.randperm(len(x))).equal(own):
        pass
    return torch.where(feature_mask, x[order.to(x.device)], x)


class FeaturePermutation(FeatureAblation):
    """The target's loss when a feature's values are shuffled among the examples of the batch.

    That is ablation with another example's entries for a baseline; so only the entries where the mask is True count of
    what `perm_func(x, mask)` returns. Captum's permutations are drawn in its order, from torch's global generator.
    There is no registered method of that name, since an example's scores depend on the rest of its batch.
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
        """f(x) − f(x with its feature shuffled) for each entry, in the shape of `inputs` and the unit of the target.

        perturbations_per_eval: features for each forward pass; 1 lets the engine choose. Permutations are drawn for so
            many features at a time.
        kwargs: ignored.
        """
        options = (target, additional_forward_args, feature_mask, perturbations_per_eval, show_progress)
        return super().attribute(inputs, None, *options)

    def _replacements(self, forward: Forward, baselines: Baselines, masks: Tensors, per_eval: int) -> Baselines:
        row_limit(per_eval, forward.examples)  # refuses an invalid number of perturbations
        inputs_of: dict[int, set[int]] = {}
        for i, mask in enumerate(masks):
            for feature in mask.unique().tolist():
                inputs_of.setdefault(feature, set()).add(i)
        inputs_of.pop(NO_FEATURE, None)
        features, shuffled = list(inputs_of), list(forward.inputs)
        for start in range(0, len(features), per_eval):
            block = features[start : start + per_eval]
            for i in sorted(set().union(*(inputs_of[feature] for feature in block))):
                for feature in block:
                    here = masks[i] == feature
                    shuffled[i] = torch.where(here, self.perm_func(forward.inputs[i], here), shuffled[i])
        return tuple(shuffled)


class ShapleyValueSampling(AblationAttribution):
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
        """Shapley values of the entries' features: the target's shape in the output, then the inputs'; (B, …) each.

        n_samples: the number of random orders of the features.
        """
        forward = self._bind(inputs, additional_forward_args, target, batch_output=True)
        masks = feature_masks(forward.inputs, feature_mask)
        check_count("n_samples", n_samples)
        orders = torch.stack([torch.randperm(largest(masks) + 1) for _ in range(n_samples)])
        rule = (lambda _: coalitions_of_orders(orders), shapley_from_orders)
        features = masked_features(masks, DenseMask.of)
        return self._shapley_values(forward, *rule, baselines, features, perturbations_per_eval, show_progress)

    def _shapley_values(
        self,
        forward: Forward,
        draw: Callable[[int], Tensor],
        solve: Callable[[Tensor, Tensor], Tensor],
        *options: Any,
    ) -> TensorOrTuple:
        """Shapley values from the values of coalitions; options are the last ones of `_run_ablation`."""

        def score(problem: Problem, value: Tensor | None) -> Tensors:
            return from_coalitions(problem, draw, solve).tensors

        with forward.frozen():
            scores = self._run_ablation(score, forward, *options)
            shape = target_shape(forward)
        return forward.like_inputs([s.reshape(*shape, *s.shape[1:]) for s in scores])


class ShapleyValues(ShapleyValueSampling):
    """Exact Shapley values, from the 2^m subsets of m features, as `methods.shapley.Shapley` where m is small."""

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
        """Shapley values of the entries' features: the target's shape in the output, then the inputs'; (B, …) each.

        Raises CaptumAssertion for too many features; ShapleyValueSampling takes any number.
        """
        forward = self._bind(inputs, additional_forward_args, target, batch_output=True)
        features = masked_features(feature_masks(forward.inputs, feature_mask))
        options = (baselines, features, perturbations_per_eval, show_progress)
        return self._shapley_values(forward, _subsets, shapley_from_subsets, *options)


def _subsets(m: int) -> Tensor:
    if m > MAX_FEATURES:
        raise CaptumAssertion(f"{m} features have 2^{m} subsets; group them by a mask, or use ShapleyValueSampling.")
    return all_subsets(m)


# At a layer, or of a neuron. ----------------------------------------------------------------------------------------


class LayerFeatureAblation(LayerAttribution, FeatureAblation):
    """`FeatureAblation` of the tensors at a layer."""

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
        """f(x) − f(x without its feature) for each entry of the layer, in its shape: (B, …) for each tensor.

        layer_baselines: the values that features are replaced by: tensors of the layer's shape, or of one row; or
            numbers, 0 by default.
        layer_mask: numbers that say to which feature an entry of the layer belongs, of a shape that broadcasts to the
            layer's; None makes each entry a feature.
        """
        forward = self._bind(inputs, additional_forward_args, target)
        with forward.frozen():
            inner = from_layer(forward, self.layer, layer_input=attribute_to_layer_input)
            scores = self._ablated(inner, layer_baselines, layer_mask, perturbations_per_eval)
        return inner.like_inputs(scores)

    attribute_future = PerturbationAttribution.attribute_future


class LayerFeaturePermutation(LayerFeatureAblation, FeaturePermutation):
    """`FeaturePermutation` of the tensors at a layer."""

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        layer_mask: TensorOrTuple | None = None,
        perturbations_per_eval: int = 1,
    ) -> Any:
        """f(x) − f(x with its feature shuffled) for each entry of the layer, in its shape: (B, …) for each tensor.

        layer_mask: numbers that say to which feature an entry of the layer belongs, of a shape that broadcasts to the
            layer's; None makes each entry a feature.
        """
        options = (None, target, additional_forward_args, layer_mask, False, perturbations_per_eval)
        return super().attribute(inputs, *options)


class NeuronFeatureAblation(NeuronAttribution, AblationAttribution):
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
        """The neuron's value, less its value without the entry's feature, in the shape of `inputs`: (B, …) each.

        If the neuron_selector returns one number for the batch, (1, …).
        """
        forward = self._bind(inputs, additional_forward_args, batch_output=True)
        (point,) = layer_points(self.layer, layer_input=attribute_to_neuron_input)
        features = masked_features(feature_masks(forward.inputs, feature_mask))
        with forward.frozen():
            neuron = of_neuron(forward, point, neuron_selector)
            scores = self._run_ablation(occlusion, neuron, baselines, features, perturbations_per_eval)
        return forward.like_inputs(scores)

    attribute_future = PerturbationAttribution.attribute_future
