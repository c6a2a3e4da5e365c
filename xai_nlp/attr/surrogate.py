"""Captum's names for linear models fitted to a function around its input.

Random numbers come from torch's global generator in Captum's order.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from inspect import isgeneratorfunction
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from xai_nlp.attr.ablation import (
    DenseMask,
    batch_problem,
    batch_target,
    feature_masks,
    needs_whole_batch,
    row_limit,
    smallest,
)
from xai_nlp.attr.base import PerturbationAttribution, check_count
from xai_nlp.attr.linear_model import SkLearnLasso, SkLearnLinearRegression
from xai_nlp.core.batching import Batching, Progress
from xai_nlp.core.captum_types import BaselineDistribution, Baselines, CaptumAssertion, TargetType, TensorOrTuple
from xai_nlp.core.coalitions import ablate, ablated_values, coalition_values
from xai_nlp.core.features import by_row
from xai_nlp.core.forward import Forward, as_tuple, baseline_distribution, baseline_tensors
from xai_nlp.core.problem import Problem, Tensors

ValuesOf = Callable[[Problem, Tensor], Tensor]  # of one example's samples (N, M): (N, T)
Similarity = Callable[[Sequence[Tensor], Tensor], Any]  # of a point (1, *S) each and its sample (M,)


def random_subset(inputs: TensorOrTuple, *, num_interp_features: int, **_: Any) -> Tensor:
    """A subset that contains each feature with a chance of one half: (1, M)."""
    return torch.bernoulli(torch.full((1, num_interp_features), 0.5)).long()


def kernel_shap_subsets(inputs: TensorOrTuple, *, num_interp_features: int, **_: Any) -> Iterator[Tensor]:
    """All features, none, and then random subsets as often as the Shapley kernel weighs them: (1, M) each."""
    M = num_interp_features
    yield torch.ones(1, M, dtype=torch.long)
    yield torch.zeros(1, M, dtype=torch.long)
    sizes = torch.arange(M, dtype=torch.float)
    chances = torch.tensor(M - 1) / (sizes * (M - sizes))
    chances[0] = 0.0
    while M > 1:
        size = int(torch.multinomial(chances / chances.sum(), 1, replacement=True))
        order = torch.randn(1, M)
        yield (order > order.kthvalue(M - size).values).long()


def joined(weights: list[Any], like: Tensor) -> Tensor:
    """Weights, each a number or a tensor of one, as one tensor: (R,)."""
    return torch.cat([torch.as_tensor(weight, device=like.device).reshape(-1) for weight in weights])


def _coalition_values(problem: Problem, samples: Tensor) -> Tensor:
    """The values of samples (N, M) of one example: (N, T)."""
    return _values_of_each(problem, samples)[0]


def _values_of_each(problem: Problem, samples: Tensor) -> Tensor:
    """The values of the same samples (N, M) for each example: (B, N, T)."""
    numbers = torch.arange(samples.shape[1], device=samples.device)
    return coalition_values(problem, problem.everyone, numbers.expand(problem.examples, -1), samples)


def has_batch_output(forward: Forward) -> bool:
    """True if the function gives one number for the batch. Raises CaptumAssertion for other numbers of outputs."""
    sizes = {len(x) for x in forward.inputs}
    if sizes == {1}:
        return forward.output.ndim == 0
    count = batch_target(forward, forward.output).numel()
    if count != 1 and sizes != {count}:
        raise CaptumAssertion(f"a surrogate needs one output for each example, or one for the batch; got {count}.")
    return count == 1


class LimeBase(PerturbationAttribution):
    """A surrogate of the user's own, fitted to samples of the user's own."""

    multiplies_by_inputs = False

    def __init__(
        self,
        forward_func: Callable[..., Any],
        interpretable_model: Any,
        similarity_func: Callable[..., Any],
        perturb_func: Callable[..., Any],
        perturb_interpretable_space: bool,
        from_interp_rep_transform: Callable[..., Any] | None,
        to_interp_rep_transform: Callable[..., Any] | None,
    ) -> None:
        super().__init__(forward_func)
        if (from_interp_rep_transform if perturb_interpretable_space else to_interp_rep_transform) is None:
            way = "from" if perturb_interpretable_space else "to"
            raise CaptumAssertion(
                f"samples are drawn in one space and needed in both: give {way}_interp_rep_transform."
            )
        self.interpretable_model = interpretable_model
        self.similarity_func = similarity_func
        self.perturb_func = perturb_func
        self.perturb_interpretable_space = perturb_interpretable_space
        self.from_interp_rep_transform = from_interp_rep_transform
        self.to_interp_rep_transform = to_interp_rep_transform

    def attribute(
        self,
        inputs: TensorOrTuple,
        target: TargetType = None,
        additional_forward_args: Any = None,
        n_samples: int = 50,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The `representation()` of the fitted surrogate, as a rule a coefficient for each interpretable feature (M,).

        n_samples: the number of samples that the surrogate is fitted to.
        perturbations_per_eval: samples for each forward pass; 1 lets the engine choose.
        kwargs: further arguments of similarity_func, perturb_func and the two transforms.
        """
        forward = self._bind(inputs, additional_forward_args, target)
        samples, batch = self._draw_samples(inputs, n_samples, kwargs), forward.examples > 1
        join = torch.stack if batch else torch.cat
        with forward.frozen(), torch.no_grad(), self._progress(show_progress) as progress:
            problem = self._problem(forward, forward.inputs, batch, perturbations_per_eval, progress)

            def evaluate(part: slice) -> tuple[Tensor, Tensor, Tensor]:
                pairs = [self._in_both_spaces(sample, inputs, kwargs) for sample in samples[part]]
                z = tuple(join(tensors) for tensors in zip(*(as_tuple(point) for _, point in pairs), strict=True))
                values = problem.value(z, torch.zeros(len(pairs), dtype=torch.long, device=z[0].device))
                weights = [self.similarity_func(inputs, point, features, **kwargs) for features, point in pairs]
                return torch.cat([features for features, _ in pairs]), values, joined(weights, z[0])

            data = zip(*(data for _, data in problem.chunks(len(samples), evaluate)), strict=True)
            return self._fitted(forward, *map(torch.cat, data))

    def _draw_samples(self, inputs: TensorOrTuple, count: int, kwargs: dict[str, Any]) -> list[Any]:
        """Samples from `perturb_func`, a function or a generator."""
        check_count("n_samples", count)
        if not isgeneratorfunction(self.perturb_func):
            return [self.perturb_func(inputs, **kwargs) for _ in range(count)]
        samples = list(islice(self.perturb_func(inputs, **kwargs), count))
        if len(samples) < count:
            warnings.warn(f"the generator of samples ended after {len(samples)} of {count}.", stacklevel=4)
        return samples

    def _in_both_spaces(
        self, sample: Any, inputs: TensorOrTuple, kwargs: dict[str, Any]
    ) -> tuple[Tensor, TensorOrTuple]:
        """A sample as the surrogate takes it, and as the function does."""
        if self.perturb_interpretable_space:
            assert self.from_interp_rep_transform is not None
            return sample, self.from_interp_rep_transform(sample, inputs, **kwargs)
        assert self.to_interp_rep_transform is not None
        return self.to_interp_rep_transform(sample, inputs, **kwargs), sample

    def _problem(self, forward: Forward, x0: Tensors, batch: bool, per_eval: int, progress: Progress | None) -> Problem:
        """The function of single examples; with `batch` of all of them as one, which it gives one number."""
        limit = row_limit(per_eval, 1)
        if batch and limit:
            raise CaptumAssertion("a function with one output for the whole batch takes perturbations_per_eval=1.")
        whole = replace(batch_problem(forward, x0), rows=Batching(progress=progress))
        if batch:
            return whole

        def value(z: Tensors, owner: Tensor) -> Tensor:
            try:
                return forward.value(z, owner)
            except Exception as error:
                if forward.examples > 1 or limit or not needs_whole_batch(error):
                    raise
                return whole.value(tuple(t[:, None] for t in z), owner)

        return Problem(value=value, x=forward.inputs, baseline=x0, rows=Batching(limit=limit, progress=progress))

    def _fitted(self, forward: Forward, features: Tensor, values: Tensor, weights: Tensor) -> Any:
        """The representation of the surrogate, fitted to features (N, M), values (N, 1) and weights (N,)."""
        data = TensorDataset(features.float(), forward.one_number(values)[:, 0].float(), weights.float())
        self.interpretable_model.fit(DataLoader(data, batch_size=len(features)))
        return self.interpretable_model.representation()


class Lime(LimeBase):
    """A linear model of which features are present: `methods.surrogate.LimeMethod` with Captum's samples and lasso."""

    def __init__(
        self,
        forward_func: Callable[..., Any],
        interpretable_model: Any = None,
        similarity_func: Callable[..., Any] | None = None,
        perturb_func: Callable[..., Any] | None = None,
    ) -> None:
        PerturbationAttribution.__init__(self, forward_func)
        self.interpretable_model = interpretable_model or SkLearnLasso(alpha=0.01)
        self.similarity_func = similarity_func  # type: ignore[assignment]  # None: `_weights`, of many samples at once
        self.perturb_func = perturb_func or random_subset

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        baselines: Baselines = None,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        feature_mask: TensorOrTuple | None = None,
        n_samples: int = 25,
        perturbations_per_eval: int = 1,
        return_input_shape: bool = True,
        show_progress: bool = False,
    ) -> Any:
        """The linear model's coefficient of each entry's feature, in the shape of `inputs`: (B, …) each.

        n_samples: the number of samples that the model of each example is fitted to.
        perturbations_per_eval: samples for each forward pass; 1 lets the engine choose.
        return_input_shape: False returns one coefficient for each feature, (B, M), instead of one for each entry.

        Each example has a model of its own; if the function gives one number for the batch, the batch has one.
        """
        forward = self._bind(inputs, additional_forward_args, target, batch_output=True)
        x0 = baseline_tensors(forward.inputs, baselines)
        options = (feature_mask, n_samples, perturbations_per_eval, return_input_shape, show_progress)
        return self._surrogates(forward, x0, _coalition_values, *options)

    def _surrogates(
        self,
        forward: Forward,
        x0: Tensors,
        values_of: ValuesOf,
        feature_mask: TensorOrTuple | None,
        n_samples: int,
        per_eval: int,
        return_input_shape: bool,
        show_progress: bool,
    ) -> Any:
        """The coefficients of the surrogate of each example, fitted to the values that `values_of` gives samples."""
        masks = feature_masks(forward.inputs, feature_mask)
        features = DenseMask.of([mask - smallest(masks) for mask in masks])
        with forward.frozen(), torch.no_grad(), self._progress(show_progress) as progress:
            batch = has_batch_output(forward)
            problem = self._problem(forward, x0, batch, per_eval, progress)
            ids = tuple(t[None] if batch else t for t in features.ids)
            problem = replace(problem, features=replace(features, ids=ids))
            parts = map(problem.part, problem.everyone.split(1))
            models = [self._fit_example(forward, part, n_samples, batch, values_of) for part in parts]
        if not return_input_shape:
            return models[0] if len(models) == 1 else torch.cat([c.reshape(1, -1) for c in models])
        to_entries = features.to_entries(torch.stack([c.flatten() for c in models])[:, None].to(x0[0].device))
        scores = [s[: len(x), 0].expand(-1, *x.shape[1:]) for s, x in zip(to_entries, forward.inputs, strict=True)]
        return forward.like_inputs(scores)

    def _fit_example(self, forward: Forward, problem: Problem, n_samples: int, batch: bool, values_of: ValuesOf) -> Any:
        """The representation of the surrogate of one example, or with `batch` of all of them as one."""
        assert isinstance(problem.features, DenseMask)
        count = problem.features.count

        def shaped(tensors: Sequence[Tensor]) -> TensorOrTuple:
            return forward.like_inputs([t[0] if batch else t for t in tensors])

        x, x0, ids = map(shaped, (problem.x, problem.baseline, problem.features.ids))
        context = {"baselines": x0, "feature_mask": ids, "num_interp_features": count}
        samples = torch.cat(self._draw_samples(x, n_samples, context)).bool().to(problem.x[0].device)
        values = values_of(problem, samples)

        def similarity(point: Sequence[Tensor], sample: Tensor) -> Any:
            return self.similarity_func(x, shaped(point), sample[None].long(), **context)

        silent = replace(problem, rows=replace(problem.rows, progress=None))
        weights = silent.chunks(len(samples), lambda part: self._weights(problem, samples[part], similarity))
        return self._fitted(forward, samples, values, torch.cat([part for _, part in weights]))

    def _weights(self, problem: Problem, samples: Tensor, similarity: Similarity) -> Tensor:
        """The weights of samples (R, M): by the user's function of a point and its sample, if there is one.

        By default exp(−d²/2), of the cosine distance d of each point from its example, all tensors taken together.
        """
        owner = torch.zeros(len(samples), dtype=torch.long, device=samples.device)
        z = ablate(problem, owner, ~samples)
        if self.similarity_func is not None:
            return joined([similarity([t[r : r + 1] for t in z], sample) for r, sample in enumerate(samples)], z[0])
        x = tuple(t[owner] for t in problem.x)
        one, other = (torch.cat([by_row(t).float() for t in tensors], 1) for tensors in (x, z))
        return torch.exp(-((1 - torch.cosine_similarity(one, other)) ** 2) / 2)


class KernelShap(Lime):
    """`methods.surrogate.KernelShapMethod` with Captum's samples, and its million for the two infinite weights."""

    def __init__(self, forward_func: Callable[..., Any]) -> None:
        super().__init__(forward_func, SkLearnLinearRegression(), None, kernel_shap_subsets)

    def _weights(self, problem: Problem, samples: Tensor, similarity: Similarity) -> Tensor:
        return torch.where(samples.all(1) | ~samples.any(1), 1e6, 1.0)


def _distribution(forward: Forward, inputs: TensorOrTuple, baselines: Any) -> Tensors:
    """N baselines for each input: (N, …) each. Raises CaptumAssertion if they do not fit the inputs, or each other."""
    given = baseline_distribution(inputs, baselines)
    if len(given) != len(forward.inputs):
        raise CaptumAssertion(f"{len(forward.inputs)} inputs need as many baselines; got {len(given)}.")
    tensors: list[Tensor] = []
    for x, b in zip(forward.inputs, given, strict=True):
        rows = len(b) if isinstance(b, Tensor) and b.ndim else 1
        tensors += baseline_tensors((x.new_empty(rows, *x.shape[1:]),), (b,))
    count = max(map(len, tensors))
    if any(len(b) not in (1, count) or not len(b) for b in tensors):
        raise CaptumAssertion(f"each input needs as many baselines as the others, or one; got {[*map(len, tensors)]}.")
    return tuple(b.expand(count, *b.shape[1:]).to(x.device) for b, x in zip(tensors, forward.inputs, strict=True))


def _rows_like(baselines: Tensor, x: Tensor) -> Tensor:
    """Baselines (N, …) in the shape of the examples x: those of a whole batch have a dimension for it, (N, B, …)."""
    rows = baselines if baselines.ndim == x.ndim else baselines[:, None]
    return rows.expand(len(rows), *x.shape[1:])


def _mean(values: Tensor, dim: int) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32)).mean(dim)


#: Captum's name for KernelShap on its main branch: one baseline takes the place of what is missing.
BaselineKernelShap = KernelShap


class RandomBaselineKernelShap(KernelShap):
    """`KernelShap` with a distribution of baselines: the value of a subset is the mean over them.

    The scores estimate the mean of the Shapley values for each single baseline: they add up to f(x) less the mean of f
    over the baselines. `KernelShap` is the case of one baseline. Captum's name on its main branch.
    Source: Sundararajan & Najmi 2020, Random Baseline Shapley (arXiv:1908.08474); Lundberg & Lee 2017, eq. 11
    (arXiv:1705.07874).

    >>> shap = RandomBaselineKernelShap(lambda x: 2 * x[:, 0] + x[:, 1] ** 2)
    >>> x, baselines = torch.tensor([[3.0, 2.0]]), torch.tensor([[1.0, 0.0], [2.0, 1.0]])
    >>> shap.attribute(x, baselines).round(decimals=3)
    tensor([[3.0000, 3.5000]])
    """

    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        baselines: Baselines | BaselineDistribution,
        target: TargetType = None,
        additional_forward_args: object | None = None,
        feature_mask: TensorOrTuple | None = None,
        n_samples: int = 25,
        perturbations_per_eval: int = 1,
        return_input_shape: bool = True,
        show_progress: bool = False,
        n_baseline_samples: int | None = None,
    ) -> Any:
        """Shapley values of the entries' features, averaged over the baselines: the shape of `inputs`, (B, …) each.

        baselines: for each input a tensor of N baselines (N, …), of one, or a number; or a function that returns them.
        n_samples: the number of subsets of the features that the model of each example is fitted to.
        perturbations_per_eval: samples and baselines for each forward pass; 1 lets the engine choose.
        return_input_shape: False returns one score for each feature, (B, M), instead of one for each entry.
        n_baseline_samples: the number of baselines that are drawn for each subset, with replacement; None takes all.

        Raises CaptumAssertion for numbers of baselines that differ. If the function gives one number for the batch,
        each baseline takes the place of every example.
        """
        forward = self._bind(inputs, additional_forward_args, target, batch_output=True)
        distribution = _distribution(forward, inputs, baselines)
        if n_baseline_samples is not None:
            check_count("n_baseline_samples", n_baseline_samples)

        def mean_values(problem: Problem, samples: Tensor) -> Tensor:
            pairs = problem.against(tuple(map(_rows_like, distribution, problem.x)))
            if n_baseline_samples is None:
                return _mean(_values_of_each(pairs, samples), 0)
            drawn = torch.randint(pairs.examples, (len(samples), n_baseline_samples)).to(samples.device)
            rows = torch.arange(drawn.numel(), device=drawn.device) // n_baseline_samples  # the sample of each row
            values = ablated_values(pairs, drawn.flatten(), lambda part: ~samples[rows[part]])
            return _mean(values.unflatten(0, drawn.shape), 1)

        options = (feature_mask, n_samples, perturbations_per_eval, return_input_shape, show_progress)
        x0 = baseline_tensors(forward.inputs, tuple(b[:1] for b in distribution))
        return self._surrogates(forward, x0, mean_values, *options)
