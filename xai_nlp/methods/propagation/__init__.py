"""Methods that change how gradients flow, each by a table from operation to rule (`xai_nlp.hooks.gradient_rules`)."""

from xai_nlp.methods.propagation import deeplift, lrp, relu

__all__ = ["deeplift", "lrp", "relu"]
