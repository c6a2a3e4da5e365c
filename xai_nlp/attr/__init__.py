"""Captum's names and signatures over our engine: `from captum.attr import …` becomes `from xai_nlp.attr import …`.

Same answers to 1e-6. That holds for `riemann_trapezoid` too, whose weights sum to (n − 1)/n, as Captum's do: the right
rule is `core.path.trapezoid`, and `gausslegendre` is better than either.
"""

from xai_nlp.attr.inputs import InputXGradient, IntegratedGradients, Saliency
from xai_nlp.attr.layers import (
    InternalInfluence,
    LayerActivation,
    LayerConductance,
    LayerGradientXActivation,
    LayerIntegratedGradients,
)
from xai_nlp.attr.neurons import NeuronConductance, NeuronGradient, NeuronIntegratedGradients
from xai_nlp.attr.perturbation import FeatureAblation, Occlusion

__all__ = [
    "FeatureAblation",
    "InputXGradient",
    "IntegratedGradients",
    "InternalInfluence",
    "LayerActivation",
    "LayerConductance",
    "LayerGradientXActivation",
    "LayerIntegratedGradients",
    "NeuronConductance",
    "NeuronGradient",
    "NeuronIntegratedGradients",
    "Occlusion",
    "Saliency",
]
