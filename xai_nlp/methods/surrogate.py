"""Methods that fit a linear model to what the model says around the input; its coefficients are the scores."""

from dataclasses import dataclass
from math import comb
from typing import Any, ClassVar

import torch
from torch import Tensor

from xai_nlp.core.registry import method
from xai_nlp.errors import InvalidInput
from xai_nlp.methods.shapley import CoalitionMethod, subsets


def coefficients(model: Any, inputs: Tensor, values: Tensor, weights: Tensor) -> Tensor:
    """Of a linear model of scikit-learn's, fitted to inputs (N, m) and values (g, N, T), weights (N,): (g, T, m)."""
    g, N, T = values.shape
    columns = values.transpose(0, 1).reshape(N, g * T)
    points, numbers, shares = (t.cpu().numpy() for t in (inputs, columns, weights))
    model.fit(points, numbers, sample_weight=shares)
    return torch.from_numpy(model.coef_).reshape(g, T, -1)


def subsets_of_size(sizes: Tensor, m: int, generator: torch.Generator) -> Tensor:
    """For each size a subset of m features, all equally likely: (n, m) bool."""
    turns = torch.rand(len(sizes), m, generator=generator, dtype=torch.float64).argsort(1).argsort(1)
    return turns < sizes[:, None]


@method("lime")
@dataclass(frozen=True, kw_only=True)
class LimeMethod(CoalitionMethod):
    """The coefficients of a linear model that says what the target does when features are taken away at random.

    samples: how many subsets of the features are tried, of every size equally many.
    width: how fast a subset's weight falls with its cosine distance from the whole.
    alpha: how much large coefficients are held down (ridge regression).

    Scores depend on all three, and do not add up to anything; how well a linear model fits is not said. `kernel_shap`
    is the same with weights that follow from axioms.
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

    def _coalitions(self, m: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        sizes = torch.randint(m, (self.samples,), generator=generator)  # at least one feature is taken away
        return subsets_of_size(sizes, m, generator)

    def _shared(self, kept: Tensor, values: Tensor) -> Tensor:
        from sklearn.linear_model import Ridge

        kept = kept.double()
        distance = 1 - kept.mean(1).sqrt()  # cosine distance from (1, …, 1)
        weights = torch.exp(-((distance / self.width) ** 2))
        return coefficients(Ridge(alpha=self.alpha), kept, values.double(), weights)


@method("kernel_shap")
@dataclass(frozen=True, kw_only=True)
class KernelShapMethod(CoalitionMethod):
    """Shapley values as the coefficients of a linear model, fitted to what subsets of the features are worth.

    samples: how many subsets are tried. Where there are no more than that (m features have 2^m − 2), all of them are,
        and the scores are `shapley`'s; else they are drawn, each with its complement. Take several for each feature.

    Scores add up to f(x) − f(x without any feature).
    Cost: `samples` forward passes.
    Misleads: where samples are few for the features: scores are then noise around `shapley`'s; and as those do.
    Source: Lundberg & Lee 2017, theorem 2 (arXiv:1705.07874); complements, Covert & Lee 2021, paired sampling
    (arXiv:2012.01536).
    """

    complete: ClassVar[bool] = True

    samples: int = 512

    def _coalitions(self, m: int) -> Tensor:
        if 2**m - 2 <= self.samples:
            return subsets(m)[1:-1]
        generator = torch.Generator().manual_seed(self.seed)
        sizes = torch.arange(1, m)
        chances = 1 / (sizes * (m - sizes)).double()
        drawn = torch.multinomial(chances, (self.samples + 1) // 2, replacement=True, generator=generator)
        kept = subsets_of_size(sizes[drawn], m, generator)
        return torch.stack([kept, ~kept], 1).flatten(0, 1)[: self.samples]

    def _shared(self, kept: Tensor, values: Tensor) -> Tensor:
        """Σ scores is known, so the last feature's follows from the others', which are fitted freely."""
        from sklearn.linear_model import LinearRegression

        m = kept.shape[1]
        nothing, difference = values[:, 1:2], values[:, :1] - values[:, 1:2]  # (g, 1, T)
        if m == 1:
            return difference.transpose(1, 2)
        inside, last = kept[2:].double(), kept[2:, -1:].double()
        free = (inside - last)[:, :-1]
        sizes = kept[2:].sum(1).tolist()
        everything = len(sizes) == 2**m - 2  # drawn ones come as often as their weight says
        weights = torch.tensor(
            [1 / (comb(m, k) * k * (m - k)) if everything else 1.0 for k in sizes], dtype=torch.float64
        )
        rest = values[:, 2:].double() - nothing - last * difference
        own = coefficients(LinearRegression(fit_intercept=False), free, rest, weights).to(difference)
        return torch.cat([own, difference.transpose(1, 2) - own.sum(2, keepdim=True)], 2)
