"""Methods that score many noisy copies of the input, or random points of its path, and combine the scores.

Draws are the same for every example and every position, whatever else is in the batch, so that scores depend on neither
the batch nor its padding. Each sample has a random stream of its own, so that they do not depend on memory either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.features import by_row
from xai_nlp.core.moments import Moments, moments_of
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.registry import Method, Scores, find_method, method
from xai_nlp.errors import InvalidInput

POINTS, NOISE = 1, 2  # first number of the key of a random stream: zeros at its end would not count

#: How the scores of the samples become one; the names are Captum's.
SMOOTHINGS: dict[str, Callable[[Moments], Tensor]] = {
    "smoothgrad": lambda moments: moments.mean,
    "smoothgrad_sq": lambda moments: moments.mean_square,
    "vargrad": lambda moments: moments.variance,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class GradientAtPathPoint(Method):
    """The gradient at one point of each example's path, times the displacement: one sample of expected gradients.

    t: (B,) the point, 0 at the baseline and 1 at the input.
    multiply: False leaves out the displacement.
    """

    t: Tensor
    multiply: bool = True

    def scores(self, problem: Problem) -> Scores:
        slope = replace(problem, x=problem.at(problem.everyone, self.t)).slope_at_x()
        if not self.multiply:
            return Scores(slope.gradients)
        x, x0 = problem.x, problem.baseline
        if problem.sites:
            x, x0 = (tuple(chain(*problem.site_tensors(z))) for z in (x, x0))
        triples = zip(x, x0, slope.gradients, strict=True)
        return Scores(tuple((y - y0)[:, None] * gradient for y, y0, gradient in triples))


def _noise(x: Tensor, x0: Tensor, samples: range, seed: tuple[int, ...]) -> Tensor:
    """Normal noise for each sample and example, in units of the distance of x from x₀: (samples · B, *S).

    The distance is the root mean square over the entries that differ: padding does not differ, and would change it.
    """
    normal = np.stack([np.random.default_rng((NOISE, *seed, k)).standard_normal(x.shape[1:]) for k in samples])
    difference = by_row(x - x0)
    unit = (difference.square().sum(1) / difference.ne(0).sum(1).clamp_min(1)).sqrt()
    return (torch.from_numpy(normal).to(x)[:, None] * unit.view(1, -1, *[1] * (x.ndim - 1))).flatten(0, 1)


@dataclass(frozen=True, kw_only=True)
class SampledMethod(Method):
    """Options of the methods that score noisy copies.

    samples: the number of copies of the input.
    noise: standard deviation of the noise of every entry, as a share of the distance of the input from the baseline
        (root mean square over the entries that differ).
    seed: the same seed gives the same scores.
    """

    samples: int = 25
    noise: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise InvalidInput(f"samples must be at least 1; got {self.samples}.")
        if self.noise < 0:
            raise InvalidInput(f"noise is a standard deviation, 0 or more; got {self.noise}.")

    def copies(self, problem: Problem, numbers: range) -> Problem:
        """The problem with a noisy copy of all its B examples for each of these samples, one after the other.

        The same numbers give the same copies.
        """
        copies = problem.part(problem.everyone.repeat(len(numbers)))
        copies = replace(copies, rows=replace(problem.rows, progress=None))
        if not self.noise:
            return copies
        ends = problem.x, problem.baseline
        noise = (_noise(x, x0, numbers, (self.seed, i)) for i, (x, x0) in enumerate(zip(*ends, strict=True)))
        return replace(copies, x=tuple(x + self.noise * n for x, n in zip(copies.x, noise, strict=True)))

    def moments(self, problem: Problem, scorer: Callable[[range], Method]) -> tuple[Moments, ...]:
        """The moments of the scores of the copies, for each tensor that is scored.

        As many samples as `problem.rows` allows are scored together.

        scorer: numbers of samples -> the method that scores their copies.
        """
        B, rows = problem.examples, problem.rows

        def work(part: slice) -> Tensors:
            numbers = range(part.start, part.stop)
            scores = scorer(numbers).scores(self.copies(problem, numbers))
            return tuple(t.unflatten(0, (-1, B)) for t in scores.tensors)

        entries = B * sum(x[:1].numel() for x in problem.x)
        batching = replace(rows, limit=rows.limit and max(1, rows.limit // B))
        chunks = batching.chunks(self.samples, entries, problem.x[0].device, work)
        return moments_of(scores for _, scores in chunks)


@dataclass(frozen=True, kw_only=True)
class SmoothedMethod(SampledMethod):
    """Options of the methods that score noisy copies by another method.

    of: the name of that method.
    of_options: its options.
    """

    smoothing: ClassVar[str]  # a key of SMOOTHINGS

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
        return Scores(tuple(map(SMOOTHINGS[self.smoothing], self.moments(problem, lambda numbers: scorer))))


@method("smoothgrad")
@dataclass(frozen=True, kw_only=True)
class SmoothGrad(SmoothedMethod):
    """The mean of a method's scores over noisy copies of the input, which depends less on the exact input.

    Cost: `samples` times the cost of `of`.
    Misleads: where smooth scores are taken for certain ones: noisy word vectors are no words, and the mean hides
    that copies disagree.
    Source: Smilkov et al. 2017, sec. 3 (arXiv:1706.03825). There noise is a share of the range of the values; here of
    the distance from the baseline, which padding does not change.
    """

    smoothing: ClassVar[str] = "smoothgrad"
    reduction: ClassVar[str] = "l2"  # these three are those of the method that scores the copies
    unit: ClassVar[str] = ""
    supports_layers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("reduction", "unit", "supports_layers"):
            object.__setattr__(self, name, getattr(self.scorer, name))


@method("smoothgrad_squared")
@dataclass(frozen=True, kw_only=True)
class SmoothGradSquared(SmoothedMethod):
    """The mean of the squares of a method's scores over noisy copies of the input: large wherever any copy's is.

    Cost: `samples` times the cost of `of`.
    Misleads: where the noise is large against the scores: squares then show the noise; and signs are lost.
    Source: Hooker et al. 2019, sec. 3.2 (arXiv:1806.10758).
    """

    smoothing: ClassVar[str] = "smoothgrad_sq"
    unit: ClassVar[str] = ""


@method("vargrad")
@dataclass(frozen=True, kw_only=True)
class VarGrad(SmoothedMethod):
    """The variance of a method's scores over noisy copies of the input: large where they depend on the exact input.

    Cost: `samples` times the cost of `of`.
    Misleads: where it is read as importance: it shows where scores vary, and a decisive word whose score does not
    vary scores zero.
    Source: Adebayo et al. 2018 (arXiv:1810.03307), with the mean over the samples, not over one fewer.
    """

    smoothing: ClassVar[str] = "vargrad"
    unit: ClassVar[str] = ""


@method("gradient_shap")
@dataclass(frozen=True, kw_only=True)
class GradientShapMethod(SampledMethod):
    """Expected gradients: the gradient at random points between baseline and input, times the displacement.

    Without noise a Monte Carlo estimate of integrated gradients at the inputs; Σ scores = f(x) − f(x₀) only in the
    mean. One point lies in each of n equal parts of the way, which is less random than n points anywhere.
    At a layer the displacement is the layer's own, and Σ scores means nothing if the layers below are not linear.
    Cost: `samples` forward and backward passes.
    Misleads: where samples are few: sums then miss f(x) − f(x₀) by as much as the noise; and as integrated
    gradients do.
    Source: Erion et al. 2021, eq. 4 (arXiv:1906.10670), for one baseline; Lundberg & Lee 2017 (arXiv:1705.07874).
    multiply: False leaves out the displacement: the mean gradient itself.
    """

    noise: float = 0.0
    multiply: bool = True

    def scores(self, problem: Problem) -> Scores:
        random = np.random.default_rng((POINTS, self.seed)).random(self.samples)
        points = torch.from_numpy((np.arange(self.samples) + random) / self.samples)

        def scorer(numbers: range) -> Method:
            t = points[numbers.start : numbers.stop].repeat_interleave(problem.examples)
            return GradientAtPathPoint(t=t.to(problem.x[0].device), multiply=self.multiply)

        return Scores(tuple(moments.mean for moments in self.moments(problem, scorer)))
