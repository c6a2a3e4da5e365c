"""Layer-wise relevance propagation, as a method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method, Scores, method
from xai_nlp.methods.gradient import InputXGradientMethod
from xai_nlp.methods.propagation.operations import flowing
from xai_nlp.methods.propagation.rules import (
    Attention,
    Biases,
    PropagationRule,
    lrp_rules,
    one_operation,
    refused,
)


@method("lrp")
@dataclass(frozen=True, kw_only=True)
class LRPMethod(Method):
    """Hands the target's value back from operation to operation, so that each gives out what it was given.

    Σ scores = f(x), not f(x) − f(x₀), at every place that everything passes through: at the embeddings and after each
    block. Norms are scales, activations hand on what they get, of two factors each gets half.
    biases: "share" what a bias adds among what it is added to; or let it "absorb" that, as published: scores then add
    up to f(x) less what biases, and softmax's constants, contributed. Constants that are added as tensors absorb.
    attends: relevance goes through "both" attention weights and values, or through "values" alone, weights held.
    Limits: recurrent layers of torch, and operations without a rule, are refused.
    Cost: one forward and one backward pass, of more operations than the model's own.
    Misleads: where the same function can be written in two ways: scores depend on which; and where biases decide,
    whose part is shared out too.
    Source: Bach et al. 2015, eq. 58 (doi:10.1371/journal.pone.0130140); transformers: Achtibat et al. 2024, sec. 3
    (arXiv:2402.05602); values alone: Ali et al. 2022, sec. 4 (arXiv:2202.07304).
    """

    needs_baseline = False

    biases: Biases = "share"
    attends: Attention = "both"

    def scores(self, problem: Problem) -> Scores:
        return InputXGradientMethod().scores(relevant(problem, self.biases, self.attends))


def relevant(
    problem: Problem,
    biases: Biases,
    attends: Attention = "both",
    of_module: Mapping[nn.Module, PropagationRule] | None = None,
) -> Problem:
    """The problem whose gradient is relevance over value."""
    given = dict(of_module or {})
    return flowing(problem, lrp_rules(biases, attends, given), whole=partial(one_operation, given), unknown=refused)


def conservation_error(problem: Problem, method: LRPMethod | None = None) -> Tensor:
    """How much of f(x) is missing at each site, relative to it: (B, T, sites). Ask at the layers' outputs.

    Each site is one tensor that everything passes through.
    """
    found = (method or LRPMethod()).scores(problem)
    assert found.value is not None
    sums = torch.stack([t.flatten(2).double().sum(2) for t in found.tensors], 2)
    return (found.value[:, :, None].double() - sums) / found.value[:, :, None].abs().double()
