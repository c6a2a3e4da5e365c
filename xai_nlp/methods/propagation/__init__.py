"""Methods that change how gradients flow: a table from operation to rule (`xai_nlp.hooks.gradient_rules`) for each."""

from xai_nlp.methods.propagation.deeplift import DeepLiftMethod, Multipliers
from xai_nlp.methods.propagation.lrp import LRPMethod, conservation_error, lrp_problem
from xai_nlp.methods.propagation.relu import DeconvolutionMethod, GuidedBackpropMethod
from xai_nlp.methods.propagation.rules import (
    Alpha1_Beta0_Rule,
    EpsilonRule,
    GammaRule,
    IdentityRule,
    NoRule,
    PropagationRule,
    ZPlusRule,
)

__all__ = [
    "Alpha1_Beta0_Rule",
    "DeconvolutionMethod",
    "DeepLiftMethod",
    "EpsilonRule",
    "GammaRule",
    "GuidedBackpropMethod",
    "IdentityRule",
    "LRPMethod",
    "Multipliers",
    "NoRule",
    "PropagationRule",
    "ZPlusRule",
    "conservation_error",
    "lrp_problem",
]
