"""Methods that score many noisy copies of the input, or many points of its path, and say what is common to them.

Draws are the same for every example and every position whatever stands beside or behind it, so that scores depend on
neither the batch nor its padding; and each sample has a stream of its own, so that they do not depend on memory either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.features import Features
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.registry import Method, Scores, find_method, method
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.scope import tensors_at

POINTS, NOISE = 1, 2  # what a stream of random numbers is for; it comes first in its key, since zeros at the end vanish


class Moments:
    """Mean and spread of samples that come in batches; nothing is subtracted that is nearly equal.

    Source: Chan, Golub & LeVeque 1979, eq. 2.1 (updating formulae for sample variances).

    >>> found = Moments()
    >>> for batch in torch.tensor([[1.0, 2.0], [3.0, 6.0]]): found.add(batch)
    >>> found.mean.item(), found.variance.item(), found.mean_square.item()
    (3.0, 3.5, 12.5)
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(())
        self.squares = torch.zeros(())  # Σ (sample − mean)²

    def add(self, samples: Tensor) -> None:
        """Samples along the first dimension: (N, …), kept in float32 or wider."""
        samples = samples.to(torch.promote_types(samples.dtype, torch.float32))
        new, mean = len(samples), samples.mean(0)
        squares = (samples - mean).square().sum(0)
        if not self.count:
            self.count, self.mean, self.squares = new, mean, squares
            return
        moved, both = mean - self.mean, self.count + new
        self.mean = self.mean + moved * (new / both)
        self.squares = self.squares + squares + moved.square() * (self.count * new / both)
        self.count = both

    @property
    def variance(self) -> Tensor:
        """Of the samples themselves: the mean squared distance from their mean."""
        return self.squares / self.count

    @property
    def mean_square(self) -> Tensor:
        return self.variance + self.mean.square()


#: What becomes of the samples' scores; called as Captum calls it.
SMOOTHINGS: dict[str, Callable[[Moments], Tensor]] = {
    "smoothgrad": lambda found: found.mean,
    "smoothgrad_sq": lambda found: found.mean_square,
    "vargrad": lambda found: found.variance,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class GradientOnTheWay(Method):
    """The gradient at one point of each example's path, times the displacement: one sample of expected gradients."""

    where: Tensor  # (B,), 0 at the baseline, 1 at the input
    multiply: bool = True

    def scores(self, problem: Problem) -> Scores:
        there = replace(problem, x=problem.at(problem.everyone, self.where)).slope_at_x()
        if not self.multiply:
            return Scores(there.gradients)
        ends = zip(passing(problem, problem.x), passing(problem, problem.baseline), there.gradients, strict=True)
        return Scores(tuple((y - y0)[:, None] * gradient for y, y0, gradient in ends))


def passing(problem: Problem, z: Tensors) -> Tensors:
    """What passes at the sites, or where there are none enters, when the inputs are z: (B, *S) each."""
    if not problem.sites:
        return z

    def work(part: slice) -> Tensors:
        mine = problem.everyone[part]
        with torch.no_grad():
            found = tensors_at(problem.sites, lambda: problem.value(tuple(t[part] for t in z), mine))
        flat = [t for tensors in found for t in tensors]
        return tuple(t.expand(len(mine), *t.shape[1:]) if len(t) == 1 else t for t in flat)

    parts = [tensors for _, tensors in problem.chunks(problem.examples, work)]
    return tuple(map(torch.cat, zip(*parts, strict=True)))


@dataclass(frozen=True, eq=False)
class _Copies:
    """The features of some examples, copy after copy of all of them."""

    of: Features
    examples: int

    @property
    def count(self) -> int:
        return self.of.count

    def present(self, examples: int) -> Tensor:
        return self.of.present(self.examples).repeat(examples // self.examples, 1)

    def ablation_mask(self, owner: Tensor, gone: Tensor) -> Tensors:
        return self.of.ablation_mask(owner % self.examples, gone)

    def touched(self, owner: Tensor, entries: Tensors) -> Tensor:
        return self.of.touched(owner % self.examples, entries)

    def to_entries(self, scores: Tensor) -> Tensors:
        each = (self.of.to_entries(copy) for copy in scores.split(self.examples))
        return tuple(map(torch.cat, zip(*each, strict=True)))


def _noise(x: Tensor, x0: Tensor, samples: range, seed: tuple[int, ...]) -> Tensor:
    """Normal noise for each sample and example, in units of how far x lies from x₀: (samples · B, *S).

    The root mean square is taken over the entries that differ: padding does not, and would change it.
    """
    drawn = np.stack([np.random.default_rng((NOISE, *seed, k)).standard_normal(x.shape[1:]) for k in samples])
    way = (x - x0).flatten(1)
    unit = (way.square().sum(1) / way.ne(0).sum(1).clamp_min(1)).sqrt()
    scaled = torch.from_numpy(drawn).to(x)[:, None] * unit.view(1, -1, *[1] * (x.ndim - 1))
    return scaled.flatten(0, 1)


@dataclass(frozen=True, kw_only=True)
class Sampled(Method):
    """What the methods of this family share.

    samples: how many copies of the input are scored.
    noise: standard deviation of what is added to every entry, as a share of how far the input lies from the baseline
        (root mean square over the entries that differ).
    """

    samples: int = 25
    noise: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise InvalidInput(f"samples must be at least 1; got {self.samples}.")
        if self.noise < 0:
            raise InvalidInput(f"noise is a standard deviation, 0 or more; got {self.noise}.")

    def sampled(self, problem: Problem, scorer: Callable[[range], Method]) -> tuple[Moments, ...]:
        """Mean and spread of the scores of noisy copies, for each tensor; `scorer` is asked for samples by number."""
        B, rows = problem.examples, problem.rows
        found: dict[int, Moments] = {}

        def work(part: slice) -> Tensors:
            numbers = range(part.start, part.stop)
            return scorer(numbers).scores(self.copies(problem, numbers)).tensors

        together = replace(rows, limit=rows.limit and max(1, rows.limit // B))
        entries = B * sum(x[:1].numel() for x in problem.x)
        for _, tensors in together.chunks(self.samples, entries, problem.x[0].device, work):
            for s, scores in enumerate(tensors):
                found.setdefault(s, Moments()).add(scores.unflatten(0, (-1, B)))
        return tuple(found.values())

    def copies(self, problem: Problem, numbers: range) -> Problem:
        """The problem with a noisy copy of all its examples for each sample, one after the other, as examples."""
        who = problem.everyone.repeat(len(numbers))
        many = problem.part(who)
        if self.noise:
            x = tuple(
                t + self.noise * _noise(x, x0, numbers, (self.seed, i))
                for i, (t, x, x0) in enumerate(zip(many.x, problem.x, problem.baseline, strict=True))
            )
            many = replace(many, x=x)
        features = None if problem.features is None else _Copies(problem.features, problem.examples)
        return replace(many, features=features, rows=replace(problem.rows, progress=None))


@dataclass(frozen=True, kw_only=True)
class _Smoothed(Sampled):
    """`of` is the method that scores each copy, `of_options` are its own."""

    smoothing: ClassVar[str]

    of: str = "saliency"
    of_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scorer.operates_on != "inputs":
            raise InvalidInput(
                f"noise goes with methods over the inputs; {self.of!r} is over {self.scorer.operates_on}."
            )

    @property
    def scorer(self) -> Method:
        return find_method(self.of, dict(self.of_options))

    def scores(self, problem: Problem) -> Scores:
        scorer = self.scorer
        return Scores(tuple(map(SMOOTHINGS[self.smoothing], self.sampled(problem, lambda numbers: scorer))))


@method("smoothgrad")
@dataclass(frozen=True, kw_only=True)
class SmoothGrad(_Smoothed):
    """The mean of a method's scores over noisy copies of the input: what does not hang on the exact input.

    Cost: `samples` times the cost of `of`.
    Misleads: where smooth is taken for sure: noisy word vectors are no words, and the mean hides that copies
    disagree.
    Source: Smilkov et al. 2017, sec. 3 (arXiv:1706.03825). There noise is a share of the range of the values; here of
    the distance from the baseline, which padding does not change.
    """

    smoothing: ClassVar[str] = "smoothgrad"
    reduction: ClassVar[str] = "l2"  # these three as the method has them that scores the copies
    unit: ClassVar[str] = ""
    supports_layers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("reduction", "unit", "supports_layers"):
            object.__setattr__(self, name, getattr(self.scorer, name))


@method("smoothgrad_squared")
@dataclass(frozen=True, kw_only=True)
class SmoothGradSquared(_Smoothed):
    """The mean of the squares of a method's scores over noisy copies of the input: large wherever any copy's is.

    Cost: `samples` times the cost of `of`.
    Misleads: where the noise is large against the scores: squares then show the noise; and signs are lost.
    Source: Hooker et al. 2019, sec. 3.2 (arXiv:1806.10758).
    """

    smoothing: ClassVar[str] = "smoothgrad_sq"
    unit: ClassVar[str] = ""


@method("vargrad")
@dataclass(frozen=True, kw_only=True)
class VarGrad(_Smoothed):
    """The variance of a method's scores over noisy copies of the input: where they hang on the exact input.

    Cost: `samples` times the cost of `of`.
    Misleads: where it is read as importance: it says where scores are unsteady, and a steady decisive word scores
    zero.
    Source: Adebayo et al. 2018 (arXiv:1810.03307), with the mean over the samples, not over one fewer.
    """

    smoothing: ClassVar[str] = "vargrad"
    unit: ClassVar[str] = ""


@method("gradient_shap")
@dataclass(frozen=True, kw_only=True)
class GradientShapMethod(Sampled):
    """Expected gradients: the gradient at random points between baseline and input, times the displacement.

    Without noise a Monte Carlo estimate of integrated gradients at the inputs; Σ scores = f(x) − f(x₀) only in the
    mean. One point lies in each of n equal parts of the way, which is less random than n points anywhere.
    At a layer the displacement is the layer's own, and Σ scores tells nothing where what lies below is not linear.
    Cost: `samples` forward and backward passes.
    Misleads: where samples are few: sums then miss f(x) − f(x₀) by as much as the noise; and as integrated
    gradients do.
    Source: Erion et al. 2021, eq. 4 (arXiv:1906.10670), for one baseline; Lundberg & Lee 2017 (arXiv:1705.07874).
    """

    noise: float = 0.0
    multiply: bool = True  # False leaves out the displacement: the mean gradient itself

    def scores(self, problem: Problem) -> Scores:
        random = np.random.default_rng((POINTS, self.seed)).random(self.samples)
        where = torch.from_numpy((np.arange(self.samples) + random) / self.samples)

        def scorer(numbers: range) -> Method:
            points = where[numbers.start : numbers.stop].repeat_interleave(problem.examples)
            return GradientOnTheWay(where=points.to(problem.x[0].device), multiply=self.multiply)

        return Scores(tuple(found.mean for found in self.sampled(problem, scorer)))
