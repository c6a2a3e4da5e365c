"""Captum's names for linear models fitted to what a function says around its input.

Captum's draws are drawn in its order, from torch's global generator.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from inspect import isgeneratorfunction
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from xai_nlp.attr.ablation import DenseMask, as_one, limit_of, masks_of, targeted
from xai_nlp.attr.base import PerturbationAttribution
from xai_nlp.attr.forward import (
    Baselines,
    CaptumAssertion,
    Forward,
    NotRowwise,
    TargetType,
    TensorOrTuple,
    as_tuple,
    tensorized,
)
from xai_nlp.core.batching import Batching, progress_bar
from xai_nlp.core.coalitions import ablate
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.methods.surrogate import coefficients

Survey = tuple[Tensor, Tensor, Tensor]  # of R samples: what the surrogate sees (R, M), values (R, T), weights (R,)
Look = Callable[[Problem, bool, slice], Survey]


class Linear:
    """A linear model of scikit-learn's by name, behind the two functions that Captum asks of a surrogate."""

    def __init__(self, name: str, **options: Any) -> None:
        self.name, self.options = name, options

    def fit(self, train_data: DataLoader[Any]) -> None:
        from sklearn import linear_model

        inputs, values, weights = (torch.cat(column) for column in zip(*train_data, strict=True))
        model = getattr(linear_model, self.name)(**self.options)
        self.linear = nn.Linear(inputs.shape[1], 1)  # draws, as Captum's does, so that later samples are the same
        self.linear.weight.data = coefficients(model, inputs, values[None, :, None], weights)[0].float()

    def representation(self) -> Tensor:
        return self.linear.weight.detach()


def any_subset(inputs: TensorOrTuple, *, num_interp_features: int, **_: Any) -> Tensor:
    """Each feature is in it or not, as a coin falls: (1, M)."""
    return torch.bernoulli(torch.full((1, num_interp_features), 0.5)).long()


def subsets_by_size(inputs: TensorOrTuple, *, num_interp_features: int, **_: Any) -> Iterator[Tensor]:
    """All features, none, and then subsets as often as the Shapley kernel weighs them: (1, M) each."""
    M = num_interp_features
    yield torch.ones(1, M, dtype=torch.long)
    yield torch.zeros(1, M, dtype=torch.long)
    sizes = torch.arange(M, dtype=torch.float)
    chances = torch.tensor(M - 1) / (sizes * (M - sizes))
    chances[0] = 0.0
    while M > 1:
        size = int(torch.multinomial(chances / chances.sum(), 1, replacement=True))
        drawn = torch.randn(1, M)
        yield (drawn > drawn.kthvalue(M - size).values).long()


def in_one(weights: list[Any], like: Tensor) -> Tensor:
    """Weights, each a number or a tensor of one: (R,)."""
    return torch.cat([torch.as_tensor(weight, device=like.device).reshape(-1) for weight in weights])


def one_for_all(forward: Forward) -> bool:
    """Does the function give one number for a batch of several examples? Raises CaptumAssertion."""
    if forward.examples == 1:
        return False
    count = targeted(forward, forward.inputs).numel()
    if count not in (1, forward.examples):
        raise CaptumAssertion(f"a surrogate needs one output for each example, or one for the batch; got {count}.")
    return count == 1


@dataclass(frozen=True)
class Example:
    """What `perturb_func` and `similarity_func` are told of an example, or of a batch taken as one."""

    number: int
    x: Tensors
    baselines: Tensors
    masks: Tensors
    features: int
    told: Callable[[Tensors], TensorOrTuple]

    @property
    def inputs(self) -> TensorOrTuple:
        return self.told(self.x)

    @property
    def context(self) -> dict[str, Any]:
        return {
            "baselines": self.told(self.baselines),
            "feature_mask": self.told(self.masks),
            "num_interp_features": self.features,
        }


class LimeBase(PerturbationAttribution):
    """A surrogate of the user's own, fitted to samples of the user's own: returns its `representation()`."""

    _multiply_by_inputs = False

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
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        drawn = self._drawn(inputs, n_samples, kwargs)

        def look(problem: Problem, whole: bool, part: slice) -> Survey:
            pairs = [self._pair(sample, inputs, kwargs) for sample in drawn[part]]
            join = torch.stack if whole else torch.cat
            z = tuple(join(tensors) for tensors in zip(*(as_tuple(point) for _, point in pairs), strict=True))
            values = problem.value(z, torch.zeros(len(pairs), dtype=torch.long, device=z[0].device))
            weights = [self.similarity_func(inputs, point, known, **kwargs) for known, point in pairs]
            return torch.cat([known for known, _ in pairs]), values, in_one(weights, z[0])

        how = (perturbations_per_eval, show_progress)
        with torch.no_grad(), forward.lent():
            return self._fitted(*self._surveyed(look, len(drawn), forward, forward.inputs, forward.examples > 1, *how))

    def _drawn(self, inputs: TensorOrTuple, count: int, kwargs: dict[str, Any]) -> list[Any]:
        """Samples, from a function or a generator."""
        if not isgeneratorfunction(self.perturb_func):
            return [self.perturb_func(inputs, **kwargs) for _ in range(count)]
        drawn = list(islice(self.perturb_func(inputs, **kwargs), count))
        if len(drawn) < count:
            warnings.warn(f"the generator of samples ended after {len(drawn)} of {count}.", stacklevel=4)
        return drawn

    def _pair(self, sample: Any, inputs: TensorOrTuple, kwargs: dict[str, Any]) -> tuple[Tensor, TensorOrTuple]:
        """What the surrogate sees of a sample, and what the function does."""
        if self.perturb_interpretable_space:
            assert self.from_interp_rep_transform is not None
            return sample, self.from_interp_rep_transform(sample, inputs, **kwargs)
        assert self.to_interp_rep_transform is not None
        return self.to_interp_rep_transform(sample, inputs, **kwargs), sample

    def _surveyed(
        self, look: Look, count: int, forward: Forward, x0: Tensors, whole: bool, per_eval: int, show_progress: bool
    ) -> Survey:
        """What is seen of `count` samples; `whole`: each is a batch, of which the function says one thing."""
        limit = limit_of(per_eval, 1)

        def run(problem: Problem, whole: bool) -> Survey:
            parts = [found for _, found in problem.chunks(count, partial(look, problem, whole))]
            known, values, weights = map(torch.cat, zip(*parts, strict=True))
            return known.float(), forward.single(values)[:, 0].float(), weights.float()

        with progress_bar(self.get_name()) if show_progress else nullcontext() as progress:
            if not whole:
                rows = Batching(limit=limit, progress=progress)
                try:
                    return run(Problem(value=forward.value, x=forward.inputs, baseline=x0, rows=rows), False)
                except NotRowwise:
                    if forward.examples > 1:
                        raise
            if per_eval > 1:
                raise CaptumAssertion("a function with one output for the whole batch takes perturbations_per_eval=1.")
            return run(replace(as_one(forward, x0), rows=Batching(progress=progress)), True)

    def _fitted(self, known: Tensor, values: Tensor, weights: Tensor) -> Any:
        self.interpretable_model.fit(DataLoader(TensorDataset(known, values, weights), batch_size=len(known)))
        return self.interpretable_model.representation()


class Lime(LimeBase):
    """A linear model of which features are there: `methods.surrogate.Lime`, with Captum's samples, weights and lasso.

    Each example has a model of its own, or the batch has one where the function gives one number for all of it.
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        interpretable_model: Any = None,
        similarity_func: Callable[..., Any] | None = None,
        perturb_func: Callable[..., Any] | None = None,
    ) -> None:
        PerturbationAttribution.__init__(self, forward_func)
        self.interpretable_model = interpretable_model or Linear("Lasso", alpha=0.01)
        self.similarity_func = similarity_func  # type: ignore[assignment]  # None: `_weights`, of many samples at once
        self.perturb_func = perturb_func or any_subset

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
        forward = Forward.of(self.forward_func, inputs, additional_forward_args, target)
        x0, masks = tensorized(forward.inputs, baselines), masks_of(forward.inputs, feature_mask)
        features = DenseMask.of([mask - min(int(m.min()) for m in masks) for mask in masks])
        with torch.no_grad(), forward.lent():
            whole = one_for_all(forward)
            fitted = []
            for e in range(1 if whole else forward.examples):
                x, start, ids = (
                    tuple(t if whole or len(t) == 1 else t[e : e + 1] for t in tensors)
                    for tensors in (forward.inputs, x0, features.ids)
                )
                example = Example(e, x, start, ids, features.count, forward.shaped)
                drawn = torch.cat(self._drawn(example.inputs, n_samples, example.context)).bool().to(x0[0].device)
                distinct, where = drawn.unique(dim=0, return_inverse=True)  # a sample drawn twice is evaluated once
                look = partial(self._look, example, features, distinct)
                how = (whole, perturbations_per_eval, show_progress)
                survey = self._surveyed(look, len(distinct), forward, x0, *how)
                fitted.append(self._fitted(*(t[where] for t in survey)))
        if not return_input_shape:
            return fitted[0] if len(fitted) == 1 else torch.cat([c.reshape(1, -1) for c in fitted])
        coefs = torch.stack([c.flatten() for c in fitted])[:, None].to(x0[0].device)
        to_entries = features.to_entries(coefs)
        scores = tuple(s[:, 0].expand(-1, *x.shape[1:]) for s, x in zip(to_entries, forward.inputs, strict=True))
        return forward.shaped(scores)

    def _look(
        self, example: Example, features: DenseMask, drawn: Tensor, problem: Problem, whole: bool, part: slice
    ) -> Survey:
        kept = drawn[part]
        owner = torch.full((len(kept),), example.number, device=kept.device)
        of = DenseMask(tuple(mask[None] for mask in features.ids), features.count) if whole else features
        z = ablate(replace(problem, features=of), owner, ~kept)
        values = problem.value(z, owner)
        if self.similarity_func is None:
            return kept, values, self._weights(tuple(t[owner] for t in problem.x), z, kept)
        points = (tuple(t[r] if whole else t[r : r + 1] for t in z) for r in range(len(kept)))
        weights = [
            self.similarity_func(example.inputs, example.told(point), known[None].long(), **example.context)
            for point, known in zip(points, kept, strict=True)
        ]
        return kept, values, in_one(weights, z[0])

    def _weights(self, x: Tensors, z: Tensors, kept: Tensor) -> Tensor:
        """exp(−d²/2), of the cosine distance d of each sample from its example, all tensors taken together: (R,)."""
        one, other = (torch.cat([t.flatten(1).float() for t in tensors], 1) for tensors in (x, z))
        return torch.exp(-((1 - torch.cosine_similarity(one, other)) ** 2) / 2)


class KernelShap(Lime):
    """`methods.surrogate.KernelShap`, with Captum's samples, and its million for the two infinite weights."""

    def __init__(self, forward_func: Callable[..., Any]) -> None:
        super().__init__(forward_func, Linear("LinearRegression"), None, subsets_by_size)

    def _weights(self, x: Tensors, z: Tensors, kept: Tensor) -> Tensor:
        return torch.where(kept.all(1) | ~kept.any(1), 1e6, 1.0)
