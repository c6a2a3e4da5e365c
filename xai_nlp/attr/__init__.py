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
from xai_nlp.attr.perturbation import (
    FeatureAblation,
    FeaturePermutation,
    LayerFeatureAblation,
    LayerFeaturePermutation,
    NeuronFeatureAblation,
    Occlusion,
    ShapleyValues,
    ShapleyValueSampling,
)
from xai_nlp.attr.surrogate import KernelShap, Lime, LimeBase

__all__ = [
    "Attribution",
    "FeatureAblation",
    "FeaturePermutation",
    "GradientAttribution",
    "GradientShap",
    "InputXGradient",
    "IntegratedGradients",
    "InternalInfluence",
    "KernelShap",
    "LayerActivation",
    "LayerAttribution",
    "LayerConductance",
    "LayerFeatureAblation",
    "LayerFeaturePermutation",
    "LayerGradientShap",
    "LayerGradientXActivation",
    "LayerIntegratedGradients",
    "Lime",
    "LimeBase",
    "NeuronAttribution",
    "NeuronConductance",
    "NeuronFeatureAblation",
    "NeuronGradient",
    "NeuronGradientShap",
    "NeuronIntegratedGradients",
    "NoiseTunnel",
    "Occlusion",
    "PerturbationAttribution",
    "Saliency",
    "ShapleyValueSampling",
    "ShapleyValues",
]
