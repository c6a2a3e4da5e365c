"""Methods that fit a linear model to f around the input; its coefficients are the scores."""

from dataclasses import dataclass
from math import comb
from typing import Any, ClassVar

import torch
from torch import Tensor

from xai_nlp.core.registry import method
from xai_nlp.errors import InvalidInput, NotFinite
from xai_nlp.methods.shapley import CoalitionMethod, all_subsets


def coefficients(model: Any, inputs: Tensor, values: Tensor, weights: Tensor) -> Tensor:
    """The coefficients (g, T, m) of a linear model of scikit-learn's, fitted in the precision of the values.

    inputs: (N, m) of N samples; values: (g, N, T), with a fit for each of the g · T columns; weights: (N,).
    Raises NotFinite.
    """
    if not values.isfinite().all():
        raise NotFinite
    g, N, T = values.shape
    columns = values.transpose(0, 1).reshape(N, g * T)
    model.fit(*(t.cpu().numpy() for t in (inputs.to(values.dtype), columns)), sample_weight=weights.cpu().numpy())
    return torch.from_numpy(model.coef_).reshape(g, T, -1)


def subsets_of_size(sizes: Tensor, m: int, generator: torch.Generator) -> Tensor:
    """For each of the sizes (n,) a subset of m features, all subsets of a size equally likely: (n, m) bool."""
    ranks = torch.rand(len(sizes), m, generator=generator, dtype=torch.float64).argsort(1).argsort(1)
    return ranks < sizes[:, None]


@method("lime")
@dataclass(frozen=True, kw_only=True)
class LimeMethod(CoalitionMethod):
    """The coefficients of a linear model, fitted to the target where features are removed at random.

    samples: the number of subsets of the features that are evaluated, equally many of every size.
    width: how fast a subset's weight falls with its cosine distance from all features.
    alpha: how much large coefficients are penalised (ridge regression).

    Scores depend on all three, and do not add up to anything; how well the linear model fits is not reported.
    `kernel_shap` is the same with weights that follow from axioms.
    Cost: `samples` forward passes.
    Misleads: where the target is not linear around the input: the scores still look like an answer, and another
    `width` gives others.
    Source: Ribeiro, Singh & Guestrin 2016, eq. 1 and 2, alg. 1 (arXiv:1602.04938), with the ridge regression and the
    width of its authors' program for texts (25 to distances times 100), where 5,000 samples stand against alpha = 1.
    """

    samples: int = 512
    width: float = 0.25
    alpha: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width <= 0 or self.alpha < 0:
            raise InvalidInput(f"width must be above 0, alpha not below; got {self.width} and {self.alpha}.")

    def draw(self, m: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        sizes = torch.randint(m, (self.samples,), generator=generator)  # at least one feature is removed
        return subsets_of_size(sizes, m, generator)

    def solve(self, coalitions: Tensor, values: Tensor) -> Tensor:
        from sklearn.linear_model import Ridge

        distance = 1 - coalitions.double().mean(1).sqrt()  # cosine distance from (1, …, 1)
        weights = torch.exp(-((distance / self.width) ** 2))
        return coefficients(Ridge(alpha=self.alpha), coalitions, values.double(), weights)


@method("kernel_shap")
@dataclass(frozen=True, kw_only=True)
class KernelShapMethod(CoalitionMethod):
    """Shapley values as the coefficients of a linear model, fitted to the values of subsets of the features.

    samples: the number of subsets that are evaluated. Where there are no more (m features have 2^m − 2), all of them
        are, and the scores are `shapley`'s; else they are drawn, each with its complement. Take several per feature.

    Scores add up to f(x) − f(x without any feature).
    Cost: `samples` forward passes.
    Misleads: where samples are few for the features: scores are then noise around `shapley`'s; and as those do.
    Source: Lundberg & Lee 2017, theorem 2 (arXiv:1705.07874); complements, Covert & Lee 2021, paired sampling
    (arXiv:2012.01536).
    """

    complete: ClassVar[bool] = True

    samples: int = 512

    def draw(self, m: int) -> Tensor:
        if 2**m - 2 <= self.samples:
            return all_subsets(m)[1:-1]
        generator = torch.Generator().manual_seed(self.seed)
        sizes = torch.arange(1, m)
        chances = 1 / (sizes * (m - sizes)).double()
        random_sizes = sizes[torch.multinomial(chances, (self.samples + 1) // 2, replacement=True, generator=generator)]
        coalitions = subsets_of_size(random_sizes, m, generator)
        return torch.stack([coalitions, ~coalitions], 1).flatten(0, 1)[: self.samples]

    def solve(self, coalitions: Tensor, values: Tensor) -> Tensor:
        """Σ scores is known, so the last feature's score follows from the others', which are fitted freely."""
        from sklearn.linear_model import LinearRegression

        none, difference = values[:, 1:2], values[:, :1] - values[:, 1:2]  # (g, 1, T)
        N, m = coalitions.shape
        if m == 1:
            return difference.transpose(1, 2)
        weights = torch.ones(N - 2, dtype=torch.float64)  # drawn subsets occur as often as their weight says
        if 2**m == N:
            by_size = torch.tensor([1 / (comb(m, k) * k * (m - k)) for k in range(1, m)], dtype=torch.float64)
            weights = by_size[coalitions[2:].sum(1).cpu() - 1]
        present, last = coalitions[2:].double(), coalitions[2:, -1:].double()
        rest = values[:, 2:].double() - none - last * difference
        model = LinearRegression(fit_intercept=False)
        scores = coefficients(model, (present - last)[:, :-1], rest, weights).to(difference)
        return torch.cat([scores, difference.transpose(1, 2) - scores.sum(2, keepdim=True)], 2)
