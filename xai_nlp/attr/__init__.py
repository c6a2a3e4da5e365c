"""Captum's names and signatures over our engine: `from captum.attr import …` becomes `from xai_nlp.attr import …`.

Same answers to 1e-6. That holds for `riemann_trapezoid` too, whose weights sum to (n − 1)/n, as Captum's do: the right
rule is `core.path.trapezoid`, and `gausslegendre` is better than either.
"""

from xai_nlp.attr.base import (
    Attribution,
    GradientAttribution,
    LayerAttribution,
    NeuronAttribution,
    PerturbationAttribution,
)
from xai_nlp.attr.inputs import InputXGradient, IntegratedGradients, Saliency
from xai_nlp.attr.layers import (
    InternalInfluence,
    LayerActivation,
    LayerConductance,
    LayerGradientXActivation,
    LayerIntegratedGradients,
)
from xai_nlp.attr.neurons import NeuronConductance, NeuronGradient, NeuronIntegratedGradients
from xai_nlp.attr.noise import GradientShap, LayerGradientShap, NeuronGradientShap, NoiseTunnel
from xai_nlp.attr.perturbation import FeatureAblation, Occlusion

__all__ = [
    "Attribution",
    "FeatureAblation",
    "GradientAttribution",
    "GradientShap",
    "InputXGradient",
    "IntegratedGradients",
    "InternalInfluence",
    "LayerActivation",
    "LayerAttribution",
    "LayerConductance",
    "LayerGradientShap",
    "LayerGradientXActivation",
    "LayerIntegratedGradients",
    "NeuronAttribution",
    "NeuronConductance",
    "NeuronGradient",
    "NeuronGradientShap",
    "NeuronIntegratedGradients",
    "NoiseTunnel",
    "Occlusion",
    "PerturbationAttribution",
    "Saliency",
]
