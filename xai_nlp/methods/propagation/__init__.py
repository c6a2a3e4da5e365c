"""Methods that change how gradients flow: a table from operation to rule (`xai_nlp.hooks.rewire`) for each."""

from xai_nlp.methods.propagation.deeplift import DeepLift, Multipliers
from xai_nlp.methods.propagation.lrp import LRP, conservation_error, relevant
from xai_nlp.methods.propagation.relu import Deconvolution, GuidedBackprop
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
    "LRP",
    "Alpha1_Beta0_Rule",
    "Deconvolution",
    "DeepLift",
    "EpsilonRule",
    "GammaRule",
    "GuidedBackprop",
    "IdentityRule",
    "Multipliers",
    "NoRule",
    "PropagationRule",
    "ZPlusRule",
    "conservation_error",
    "relevant",
]
