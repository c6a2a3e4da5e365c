"""Guided backpropagation and deconvolution: gradients that flow through ReLU by other rules."""

from dataclasses import dataclass
from typing import ClassVar

from torch.autograd.graph import Node

from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method, Scores, method
from xai_nlp.hooks.graph_rules import Gradients, GraphRule
from xai_nlp.methods.gradient import SaliencyMethod
from xai_nlp.methods.propagation.operations import with_graph_rules


def _positive(gradients: Gradients) -> Gradients:
    return tuple(None if gradient is None else gradient.clamp(min=0) for gradient in gradients)


def guided(nodes: list[Node]) -> None:
    """Only positive gradients flow, and only to positive inputs."""
    for node in nodes:
        node.register_prehook(_positive)


def deconvolved(nodes: list[Node]) -> None:
    """Only positive gradients flow, to all inputs."""
    for node in nodes:
        node.register_hook(lambda to_inputs, to_outputs: _positive(to_outputs))


@dataclass(frozen=True, kw_only=True)
class _ReluRuleMethod(Method):
    """The gradient, with another rule for each ReLU."""

    needs_baseline: ClassVar[bool] = False
    looks_at_x_first = True
    reduction: ClassVar[str] = "l2"
    unit: ClassVar[str] = ""
    relu_rule: ClassVar[GraphRule]

    def scores(self, problem: Problem) -> Scores:
        return SaliencyMethod().scores(with_graph_rules(problem, {"ReluBackward0": type(self).relu_rule}))


@method("guided_backprop")
@dataclass(frozen=True, kw_only=True)
class GuidedBackpropMethod(_ReluRuleMethod):
    """The gradient, with negative parts dropped on the way back through each ReLU.

    It shows patterns rather than importance: it hardly depends on the upper layers' weights (Adebayo et al. 2018,
    arXiv:1810.03292). In a model without ReLU it is the gradient.
    Cost: one forward and one backward pass.
    Misleads: nearly always, if taken for an explanation: it shows edges of the input whatever the class.
    Source: Springenberg et al. 2014, sec. 3.4 (arXiv:1412.6806).
    """

    relu_rule: ClassVar[GraphRule] = guided


@method("deconvolution")
@dataclass(frozen=True, kw_only=True)
class DeconvolutionMethod(_ReluRuleMethod):
    """The gradient, with each ReLU replaced on the way back by a ReLU of the gradient.

    It does not depend on which units were active, except through pooling. In a model without ReLU it is the gradient.
    Cost: one forward and one backward pass.
    Misleads: nearly always, if taken for an explanation: it shows edges of the input whatever the class.
    Source: Zeiler & Fergus 2013, sec. 2.1 (arXiv:1311.2901).
    """

    relu_rule: ClassVar[GraphRule] = deconvolved
