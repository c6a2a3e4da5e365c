"""Random scores: a method is of use only if it does better."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from xai_nlp.core.coalitions import features_of
from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method, Scores, method


@method("random")
@dataclass(frozen=True, kw_only=True)
class Random(Method):
    """A standard normal number for each feature, independent of the model. For comparisons only.

    Cost: one forward pass.
    Misleads: always.
    seed: of the draws.
    """

    needs_baseline: ClassVar[bool] = False
    supports_layers: ClassVar[bool] = False
    unit: ClassVar[str] = ""

    seed: int = 0

    def scores(self, problem: Problem) -> Scores:
        features, value = features_of(problem), problem.values(problem.x, problem.everyone)
        generator = torch.Generator().manual_seed(self.seed)
        draws = torch.randn(1, 1, features.count, generator=generator, dtype=torch.float32).to(value.device)
        present = features.present(problem.examples)[:, None]
        return Scores(features.to_entries((draws * present).expand(*value.shape, -1)), value)
