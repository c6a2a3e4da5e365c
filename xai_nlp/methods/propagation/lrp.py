"""Layer-wise relevance propagation, as a method."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method, Scores, method
from xai_nlp.methods.gradient import InputXGradientMethod
from xai_nlp.methods.propagation.rules import AttentionPath, BiasHandling, lrp_problem


@method("lrp")
@dataclass(frozen=True, kw_only=True)
class LRPMethod(Method):
    """Passes the target's value back from operation to operation, each of which shares out all that it receives.

    Σ scores = f(x), not f(x) − f(x₀), at every place that everything passes through: at the embeddings and after each
    block. Norms are scales, activations pass on all that they receive, each of two factors gets half.
    biases: "share" the contribution of a bias among the entries that it is added to; or let it "absorb" that, as
    published: scores then add up to f(x) minus the contributions of biases and of softmax's constants. Constants that
    are added as tensors absorb.
    attends: relevance flows through "both" attention weights and values, or through "values" alone, with constant
    weights.
    Limits: recurrent layers of torch, and operations without a rule, are refused.
    Cost: one forward and one backward pass, of more operations than the model's own.
    Misleads: where the same function can be written in two ways: scores depend on which; and where biases decide,
    whose part is shared out too.
    Source: Bach et al. 2015, eq. 58 (doi:10.1371/journal.pone.0130140); transformers: Achtibat et al. 2024, sec. 3
    (arXiv:2402.05602); values alone: Ali et al. 2022, sec. 4 (arXiv:2202.07304).
    """

    needs_baseline = False

    biases: BiasHandling = "share"
    attends: AttentionPath = "both"

    def scores(self, problem: Problem) -> Scores:
        return InputXGradientMethod().scores(lrp_problem(problem, self.biases, self.attends))


def conservation_error(problem: Problem, method: LRPMethod | None = None) -> Tensor:
    """The share of f(x) that is missing at each site, each of them one tensor that everything passes through.

    Returns (B, T, sites), relative to |f(x)|; the sites are for instance the outputs of layers.
    """
    scores = (method or LRPMethod()).scores(problem)
    assert scores.value is not None
    sums = torch.stack([t.flatten(2).double().sum(2) for t in scores.tensors], 2)
    value = scores.value[:, :, None].double()
    return (value - sums) / value.abs()
