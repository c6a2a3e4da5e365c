"""Gradients whose way back through ReLU is changed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method, Scores, method
from xai_nlp.hooks.gradient_rules import Call, with_gradient_of
from xai_nlp.methods.gradient import SaliencyMethod
from xai_nlp.methods.propagation.operations import flowing


def rectified(gradient: Tensor) -> Tensor:
    return gradient.clamp(min=0)


def guided(call: Call) -> Tensor:
    """Only what is positive goes back, and only to what was positive."""
    entered = call.x.view_as(call.x)  # a node of our own: its hook sees what comes back from here alone
    entered.register_hook(rectified)
    return call.run(entered)


def deconvolved(call: Call) -> Tensor:
    """Only what is positive goes back, to whatever went in."""
    entered = call.x.view_as(call.x)
    entered.register_hook(rectified)
    with torch.no_grad():
        value = call.run()
    return with_gradient_of(value, entered)


@method("guided_backprop")
@dataclass(frozen=True, kw_only=True)
class GuidedBackpropMethod(Method):
    """The gradient, with negative parts dropped on the way back through each ReLU.

    Shows patterns rather than importance: it hardly depends on the upper layers' weights (Adebayo et al. 2018,
    arXiv:1810.03292). In a model without ReLU it is the gradient.
    Cost: one forward and one backward pass.
    Misleads: nearly always, if taken for an explanation: it shows edges of the input whatever the class.
    Source: Springenberg et al. 2014, sec. 3.4 (arXiv:1412.6806).
    """

    needs_baseline = False
    reduction = "l2"
    unit = ""

    def scores(self, problem: Problem) -> Scores:
        return SaliencyMethod().scores(flowing(problem, {"relu": guided}))


@method("deconvolution")
@dataclass(frozen=True, kw_only=True)
class DeconvolutionMethod(Method):
    """The gradient, with each ReLU replaced on the way back by a ReLU of what comes back.

    Does not see which units were active, except through pooling; in a model without ReLU it is the gradient.
    Cost: one forward and one backward pass.
    Misleads: nearly always, if taken for an explanation: it shows edges of the input whatever the class.
    Source: Zeiler & Fergus 2013, sec. 2.1 (arXiv:1311.2901).
    """

    needs_baseline = False
    reduction = "l2"
    unit = ""

    def scores(self, problem: Problem) -> Scores:
        return SaliencyMethod().scores(flowing(problem, {"relu": deconvolved}))
