"""Captum's names and signatures over our engine: `from captum.attr import …` becomes `from xai_nlp.attr import …`.

Same answers to 1e-6. That holds for `riemann_trapezoid` too, whose weights sum to (n − 1)/n, as Captum's do: the right
rule is `core.quadrature.trapezoid`, and `gausslegendre` is better than either.
"""

from xai_nlp.attr import visualization
from xai_nlp.attr.base import (
    Attribution,
    GradientAttribution,
    LayerAttribution,
    NeuronAttribution,
    PerturbationAttribution,
)
from xai_nlp.attr.cam import GuidedGradCam, LayerGradCam
from xai_nlp.attr.dataloader import DataLoaderAttribution
from xai_nlp.attr.deeplift import (
    DeepLift,
    DeepLiftShap,
    LayerDeepLift,
    LayerDeepLiftShap,
    NeuronDeepLift,
    NeuronDeepLiftShap,
)
from xai_nlp.attr.embedding import (
    InterpretableEmbeddingBase,
    TokenReferenceBase,
    configure_interpretable_embedding_layer,
    remove_interpretable_embedding_layer,
)
from xai_nlp.attr.gradient import (
    InputXGradient,
    LayerActivation,
    LayerGradientXActivation,
    NeuronGradient,
    Saliency,
)
from xai_nlp.attr.interpretable import (
    ImageMaskInput,
    InterpretableInput,
    ProductBaselines,
    TextTemplateInput,
    TextTokenInput,
)
from xai_nlp.attr.llm import LLMAttribution, LLMGradientAttribution
from xai_nlp.attr.llm_result import LLMAttributionResult
from xai_nlp.attr.lrp import LRP, LayerLRP
from xai_nlp.attr.noise import GradientShap, LayerGradientShap, NeuronGradientShap, NoiseTunnel
from xai_nlp.attr.path import (
    IntegratedGradients,
    InternalInfluence,
    LayerConductance,
    LayerIntegratedGradients,
    NeuronConductance,
    NeuronIntegratedGradients,
)
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
from xai_nlp.attr.relu import Deconvolution, GuidedBackprop, NeuronDeconvolution, NeuronGuidedBackprop
from xai_nlp.attr.remote import RemoteLLMAttribution, RemoteLLMProvider, VLLMProvider
from xai_nlp.attr.stats import (
    MSE,
    ClassSummarizer,
    CommonStats,
    Count,
    Max,
    Mean,
    Min,
    StatValue,
    StdDev,
    Sum,
    Summarizer,
    SummarizerSingleTensor,
    Var,
)
from xai_nlp.attr.surrogate import KernelShap, Lime, LimeBase

__all__ = [
    "LRP",
    "MSE",
    "Attribution",
    "ClassSummarizer",
    "CommonStats",
    "Count",
    "DataLoaderAttribution",
    "Deconvolution",
    "DeepLift",
    "DeepLiftShap",
    "FeatureAblation",
    "FeaturePermutation",
    "GradientAttribution",
    "GradientShap",
    "GuidedBackprop",
    "GuidedGradCam",
    "ImageMaskInput",
    "InputXGradient",
    "IntegratedGradients",
    "InternalInfluence",
    "InterpretableEmbeddingBase",
    "InterpretableInput",
    "KernelShap",
    "LLMAttribution",
    "LLMAttributionResult",
    "LLMGradientAttribution",
    "LayerActivation",
    "LayerAttribution",
    "LayerConductance",
    "LayerDeepLift",
    "LayerDeepLiftShap",
    "LayerFeatureAblation",
    "LayerFeaturePermutation",
    "LayerGradCam",
    "LayerGradientShap",
    "LayerGradientXActivation",
    "LayerIntegratedGradients",
    "LayerLRP",
    "Lime",
    "LimeBase",
    "Max",
    "Mean",
    "Min",
    "NeuronAttribution",
    "NeuronConductance",
    "NeuronDeconvolution",
    "NeuronDeepLift",
    "NeuronDeepLiftShap",
    "NeuronFeatureAblation",
    "NeuronGradient",
    "NeuronGradientShap",
    "NeuronGuidedBackprop",
    "NeuronIntegratedGradients",
    "NoiseTunnel",
    "Occlusion",
    "PerturbationAttribution",
    "ProductBaselines",
    "RemoteLLMAttribution",
    "RemoteLLMProvider",
    "Saliency",
    "ShapleyValueSampling",
    "ShapleyValues",
    "StatValue",
    "StdDev",
    "Sum",
    "Summarizer",
    "SummarizerSingleTensor",
    "TextTemplateInput",
    "TextTokenInput",
    "TokenReferenceBase",
    "VLLMProvider",
    "Var",
    "configure_interpretable_embedding_layer",
    "remove_interpretable_embedding_layer",
    "visualization",
]
